"""Finding an entry by name, with the nearest names when there is none."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

from optimizer.errors import FleetError

__all__ = ["UnknownEntryError", "find_entry"]

# Names offered when one is unknown.
_OFFERED = 3
_WORD = re.compile(r"[^\W_]+")

Facts = TypeVar("Facts")


class UnknownEntryError(FleetError, LookupError):
    """The catalogue has no entry of that name.

    Parameters
    ----------
    kind
        What was looked for: `accelerator` or `model`.
    name
        The name that came.
    nearest
        Names of the catalogue that resemble it, the most alike first; may be empty.
    """

    def __init__(self, kind: str, name: str, nearest: tuple[str, ...]) -> None:
        self.kind = kind
        self.name = name
        self.nearest = nearest
        offer = f"; did you mean {' or '.join(nearest)}?" if nearest else ""
        super().__init__(f"the catalogue has no {kind} {name!r}{offer}")

    def __reduce__(self) -> tuple[type[UnknownEntryError], tuple[str, str, tuple[str, ...]]]:
        """Pickle by the parts of the message."""
        return type(self), (self.kind, self.name, self.nearest)


def find_entry(kind: str, name: str, table: Mapping[str, Facts]) -> Facts:
    """Entry `name` of `table`; the name must match exactly.

    Raises
    ------
    UnknownEntryError
        If there is none; it carries the nearest names.
    """
    if name not in table:
        raise UnknownEntryError(kind, name, _nearest(name, table))
    return table[name]


def _nearest(name: str, names: Iterable[str]) -> tuple[str, ...]:
    by_folded = {known.casefold(): known for known in names}
    wanted = name.casefold()
    within = sorted((known for known in by_folded if wanted and wanted in known), key=len)
    # What people call a model leaves parts of its name out: `Llama-70B` for `Llama-3.1-70B`.
    words = set(_WORD.findall(wanted))
    of_words = sorted((k for k in by_folded if words and words <= {*_WORD.findall(k)}), key=len)
    alike = difflib.get_close_matches(wanted, by_folded, n=_OFFERED)
    ranked = dict.fromkeys([*alike, *within, *of_words])
    return tuple(by_folded[known] for known in ranked)[:_OFFERED]
