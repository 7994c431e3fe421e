"""Names: each given once, and none that nothing bears."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from itertools import chain

from optimizer.spec.configuration_checks import check_configurations, configuration_key
from optimizer.spec.consistency import check_consistency
from optimizer.spec.coverage import check_coverage
from optimizer.spec.finding import Finding
from optimizer.spec.horizon_checks import check_horizon
from optimizer.spec.options import PoolRole
from optimizer.spec.parts import Part
from optimizer.spec.place_checks import check_places
from optimizer.spec.replica_pool_checks import check_replica_pools
from optimizer.spec.serving_checks import check_serving
from optimizer.spec.storage_checks import check_storage
from optimizer.spec.uncertainty_checks import check_uncertainty
from optimizer.spec.wording import show_path, suggestion

__all__ = ["cross_check"]

_PLACES = ("pool", "zone", "region")
_SECTIONS = {
    "accelerators": "accelerator",
    "models": "model",
    "classes": "class",
    "services": "service",
}


def cross_check(data: object) -> Iterator[Finding]:
    """Check what no part of a fleet's description can tell alone.

    Parameters
    ----------
    data
        The whole document; parts that the models refuse are passed over.
    """
    fleet = Part((), data)
    return chain(
        _empty_sections(fleet),
        _repeated_names(fleet),
        _unknown_names(fleet),
        check_configurations(fleet),
        check_consistency(fleet),
        check_coverage(fleet),
        check_storage(fleet),
        check_serving(fleet),
        check_replica_pools(fleet),
        check_uncertainty(fleet),
        check_horizon(fleet),
    )


def _empty_sections(fleet: Part) -> Iterator[Finding]:
    for section, what in _SECTIONS.items():
        if fleet.is_empty_list(section):
            yield fleet.find(section, f"must have at least one {what}")


def _repeated_names(fleet: Part) -> Iterator[Finding]:
    for section, what in _SECTIONS.items():
        yield from _repeated(
            ((entry, entry.text("name")) for entry in fleet.entries(section)),
            f"another {what} has this name",
            "name",
        )
    yield from _repeated(
        ((entry, configuration_key(entry)) for entry in fleet.entries("performance")),
        "another entry is for this model on this accelerator in the same configuration",
        "accelerator",
        "keep one of them, or tell them apart by instances, tensor_parallel, pipeline_parallel, "
        "weight_precision, kv_precision or engine settings",
    )
    yield from _repeated(
        (
            (entry, tuple(entry.text(key) for key in ("type", *_PLACES)))
            for entry in fleet.entries("capacities")
            if entry.text("type") is not None
        ),
        "another capacity is for this type and place",
        "type",
    )
    yield from _repeated(
        ((entry, entry.text("name")) for entry in fleet.entries("regions")),
        "another region has this name",
        "name",
    )
    yield from _repeated(
        (
            (entry, tuple(entry.text(key) for key in ("measure", "tenant", "type", *_PLACES)))
            for entry in fleet.entries("limits")
            if entry.text("measure") is not None
        ),
        "another limit is on this measure of the same services and places",
        "measure",
    )
    yield from _repeated(
        ((entry, entry.text("name")) for entry in fleet.part("horizon").entries("periods")),
        "another period has this name",
        "name",
    )
    yield from _repeated(
        (
            (entry, entry.text("accelerator"))
            for entry in fleet.part("horizon").entries("commitments")
        ),
        "another commitment is for this accelerator",
        "accelerator",
    )
    yield from _repeated(
        ((entry, entry.text("name")) for entry in fleet.part("uncertainty").entries("scenarios")),
        "another scenario has this name",
        "name",
    )
    for service in fleet.entries("services"):
        yield from _repeated(
            (
                (
                    entry,
                    (
                        entry.text("accelerator"),
                        entry.number("max_batch"),
                        entry.text("role") or PoolRole.AGGREGATED,
                    ),
                )
                for entry in service.entries("current")
                if entry.text("accelerator") is not None
            ),
            "another entry is for this accelerator, maximum batch and role",
            "accelerator",
        )
        measured = service.part("length_buckets").entries("measured")
        yield from _repeated(
            ((entry, entry.text("accelerator")) for entry in measured),
            "other measured rates are for this accelerator",
            "accelerator",
        )
    for group in fleet.entries("classes"):
        yield from _repeated(
            ((slo, slo.text("model") or "") for slo in group.entries("slos")),
            "another entry of the class is for this model (or, without one, for every model)",
            "model",
        )


def _repeated(
    keyed: Iterable[tuple[Part, Hashable | None]],
    message: str,
    member: str,
    hint: str = "keep one of them",
) -> Iterator[Finding]:
    """Find entries whose key an earlier one has; None is no key."""
    first: dict[Hashable, Part] = {}
    for entry, key in keyed:
        if key is None:
            continue
        if key in first:
            yield entry.find(member, f"{message}: {show_path(first[key].path)}", hint)
        first.setdefault(key, entry)


def _unknown_names(fleet: Part) -> Iterator[Finding]:
    known = {section: dict.fromkeys(fleet.names(section)) for section in _SECTIONS}
    for entry in fleet.entries("performance"):
        yield from _unknown(known, entry, "model", "models")
        yield from _unknown(known, entry, "accelerator", "accelerators")
    for group in fleet.entries("classes"):
        for slo in group.entries("slos"):
            yield from _unknown(known, slo, "model", "models")
    for service in fleet.entries("services"):
        yield from _unknown(known, service, "model", "models")
        yield from _unknown(known, service, "class", "classes")
        yield from _unknown(known, service, "accelerator", "accelerators")
        for current in service.one_or_more("current"):
            yield from _unknown(known, current, "accelerator", "accelerators")
        for measured in service.part("length_buckets").entries("measured"):
            yield from _unknown(known, measured, "accelerator", "accelerators")
    yield from check_places(fleet)
    yield from _unknown_entries(fleet)


def _unknown(
    known: Mapping[str, Mapping[str, None]], entry: Part, key: str, section: str
) -> Iterator[Finding]:
    """Find a name under a key that no entry of a section bears."""
    name = entry.text(key)
    # A section without any name is at fault itself.
    if name is not None and known[section] and name not in known[section]:
        message = f"there is no such {_SECTIONS[section]}"
        yield entry.find(key, message, suggestion(name, known[section], section))


def _unknown_entries(fleet: Part) -> Iterator[Finding]:
    """Find names that the built-in catalogue does not have."""
    for section in ("accelerators", "models"):
        for entry in fleet.entries(section):
            name = entry.text("catalog")
            if name is None:
                continue
            known = _catalogued(section)
            if name not in known:
                hint = suggestion(name, known, "it has")
                yield entry.find("catalog", "the catalogue has no such entry", hint)


def _catalogued(section: str) -> tuple[str, ...]:
    # Read only for fleets that refer to the catalogue.
    from optimizer.catalog import accelerator_names, model_names

    return accelerator_names() if section == "accelerators" else model_names()
