"""Entries of an actuator's options that say what stands for which variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optimizer.control.errors import ControlError
from optimizer.control.spec import Variant

__all__ = ["read_entries", "variants_meant"]


def read_entries(where: str, entries: object, key: str) -> dict[Variant, str]:
    """Return what stands for each variant.

    Parameters
    ----------
    where
        What messages call the list.
    entries
        As they stand in the options: the keys of a variant, and one more.
    key
        That key.

    Raises
    ------
    ControlError
        Naming the first entry that is wrong.
    """
    found: dict[Variant, str] = {}
    for number, entry in enumerate(entries if isinstance(entries, list) else [entries]):
        place = f"{where}[{number}]"
        if not isinstance(entry, dict) or not isinstance(entry.get(key), str):
            raise ControlError(f"{place}: must have the keys service, accelerator and {key}")
        given = dict(entry)
        target = given.pop(key)
        try:
            variant = Variant.model_validate(given)
        except ValueError as error:
            raise ControlError(f"{place}: {error}") from error
        if variant in found:
            raise ControlError(f"{place}: another entry stands for {variant}")
        if target in found.values():
            raise ControlError(f"{place}: another entry has the {key} {target}")
        found[variant] = target
    return found


def variants_meant(
    key: str, given: Mapping[Variant, str], variants: Sequence[Variant]
) -> tuple[dict[Variant, str], dict[Variant, str]]:
    """Return the entries by the fleet's own variants, and what is wrong with those of none.

    An entry without a batch stands for the one that the plan gives its variant.
    """
    known = {_without_batch(variant): variant for variant in variants}
    found, unmatched = {}, {}
    for entry, target in given.items():
        variant = known.get(_without_batch(entry))
        if variant is None or entry.max_batch not in (None, variant.max_batch):
            near = [str(v) for v in variants if v.service == entry.service]
            unmatched[entry] = (
                f"{key} {target} stands for {entry}, which the fleet does not have; "
                f"of this service: {'; '.join(near) or 'none'}"
            )
        else:
            found[variant] = target
    return found, unmatched


def _without_batch(variant: Variant) -> Variant:
    return variant.model_copy(update={"max_batch": None})
