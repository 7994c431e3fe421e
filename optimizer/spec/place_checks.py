"""Places (pools, zones, regions), tenants and types that nothing bears, or that contradict."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from optimizer.spec.finding import Finding
from optimizer.spec.limits import LimitMeasure
from optimizer.spec.objective_checks import needs_carbon, needs_power
from optimizer.spec.parts import Part
from optimizer.spec.wording import listed, show_path, suggestion

__all__ = ["check_places", "check_power"]

_PLACES = ("pool", "zone", "region")


def check_places(fleet: Part) -> Iterator[Finding]:
    """Find capacities, limits and regions that concern nothing, and zones in two regions."""
    accelerators = list(fleet.entries("accelerators"))
    types = {card for a in accelerators if (card := _type_of(a)) is not None}
    for entry in chain(fleet.entries("capacities"), fleet.entries("limits")):
        card = entry.text("type")
        if card is not None and types and card not in types:
            yield entry.find(
                "type",
                "no accelerator uses cards of this type",
                suggestion(card, types, "types (accelerators[].type, else their names)"),
            )
        else:
            yield from _unknown_places(entry, card, accelerators)
    yield from _regions(fleet, accelerators)
    yield from _tenants(fleet)


def check_power(fleet: Part) -> Iterator[Finding]:
    """Find power curves and carbon intensities that a limit or the objective needs."""
    measures = {limit.text("measure") for limit in fleet.entries("limits")}
    of_carbon = LimitMeasure.CARBON_KG_PER_HOUR in measures or needs_carbon(fleet)
    if not of_carbon and LimitMeasure.POWER_KW not in measures and not needs_power(fleet):
        return
    for accelerator in fleet.entries("accelerators"):
        if not accelerator.has("power") and not _catalogued_power(accelerator):
            yield Finding(
                (*accelerator.path, "power"),
                "is missing: power and carbon are limited or minimised",
                hint="give {idle_w: ..., full_w: ...} of one instance",
            )
    if of_carbon:
        yield from _intensities(fleet)


def _type_of(accelerator: Part) -> str | None:
    return accelerator.text("type") or accelerator.text("name")


def _unknown_places(entry: Part, card: str | None, accelerators: list[Part]) -> Iterator[Finding]:
    among = [a for a in accelerators if card is None or _type_of(a) == card]
    what = "accelerator" if card is None else f"accelerator with cards of type {card!r}"
    for key in _PLACES:
        name = entry.text(key)
        known = sorted({place for a in among if (place := a.text(key)) is not None})
        if name is not None and name not in known:
            of = f"{key}s" if card is None else f"{key}s of {card!r}"
            yield entry.find(key, f"no {what} is in this {key}", suggestion(name, known, of))


def _regions(fleet: Part, accelerators: list[Part]) -> Iterator[Finding]:
    known = {name for a in accelerators if (name := a.text("region")) is not None}
    for region in fleet.entries("regions"):
        name = region.text("name")
        if name is not None and name not in known:
            yield region.find(
                "name",
                "no accelerator is in this region",
                suggestion(name, sorted(known), "accelerators[].region"),
            )
    first: dict[str, Part] = {}
    for accelerator in accelerators:
        zone = accelerator.text("zone")
        if zone is None:
            continue
        other = first.setdefault(zone, accelerator)
        if other.text("region") != accelerator.text("region"):
            yield accelerator.find(
                "zone",
                f"this zone is in another region at {show_path((*other.path, 'region'))}",
                "a zone lies in one region: give each zone a name of its own",
            )


def _tenants(fleet: Part) -> Iterator[Finding]:
    known = {name for s in fleet.entries("services") if (name := s.text("tenant")) is not None}
    for limit in fleet.entries("limits"):
        name = limit.text("tenant")
        if name is not None and name not in known:
            yield limit.find(
                "tenant",
                "no service is of this tenant",
                suggestion(name, sorted(known), "services[].tenant"),
            )


def _intensities(fleet: Part) -> Iterator[Finding]:
    known = set(fleet.names("regions"))
    for accelerator in fleet.entries("accelerators"):
        region = accelerator.text("region")
        if region is None:
            yield Finding(
                (*accelerator.path, "region"),
                "is missing: carbon is limited or minimised",
                hint="name the region, and give regions: [{name: ..., carbon_g_per_kwh: ...}]",
            )
        elif region not in known:
            yield accelerator.find(
                "region",
                "has no carbon intensity",
                f"add {{name: {region}, carbon_g_per_kwh: ...}} to regions"
                + (f", which has {listed(sorted(known))}" if known else ""),
            )


def _catalogued_power(accelerator: Part) -> bool:
    """Whether the catalogue knows the card's power; unknown entries are reported elsewhere."""
    entry = accelerator.text("catalog")
    if entry is None:
        return False
    from optimizer.catalog import accelerator as facts_of
    from optimizer.catalog import accelerator_names

    return entry not in accelerator_names() or facts_of(entry).tdp_w is not None
