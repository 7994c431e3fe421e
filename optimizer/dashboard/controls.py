"""The figures of a fleet that can be moved: loads, objectives, prices, quotas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from optimizer.catalog import accelerator as catalogued
from optimizer.spec import FleetSpec, LimitMeasure, SloMetric
from optimizer.spec.assignment import named_entry

__all__ = ["Control", "controls_of", "wildcards_of"]

_UNITS = {
    SloMetric.REQUEST_TOKENS_PER_S: "tokens/s",
    SloMetric.SERVICE_TOKENS_PER_S: "tokens/s",
    SloMetric.SERVICE_REQUESTS_PER_S: "requests/s",
}
_LIMIT_UNITS = {
    LimitMeasure.CARDS: "cards",
    LimitMeasure.POWER_KW: "kW",
    LimitMeasure.CARBON_KG_PER_HOUR: "kg CO2e/h",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One figure.

    Parameters
    ----------
    group
        `loads`, `objectives`, `prices` or `quotas`.
    label
        In words.
    path
        Where it stands in the fleet, as `fleetopt whatif --set` has it.
    value
        What it is.
    unit
        Of it.
    whole
        Whether it is a count.
    source
        Where the figure comes from.
    written
        Whether the fleet itself has it at that path, to be multiplied there.
    """

    group: str
    label: str
    path: str
    value: float
    unit: str
    whole: bool = False
    source: str = "fleet"
    written: bool = True

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def controls_of(fleet: FleetSpec) -> tuple[Control, ...]:
    """Return the figures that a person can move, group by group."""
    return (*_loads(fleet), *_objectives(fleet), *_prices(fleet), *_quotas(fleet))


def wildcards_of(fleet: FleetSpec) -> dict[str, str]:
    """Return the path of all figures of a group at once, for groups that have one.

    There is none for prices where a path with `*` would miss a tier's, or find nothing written.
    """
    found = {"loads": "services[*].load.arrival_rate_rps"}
    if all(one.cost_per_hour is not None and not one.tiers for one in fleet.accelerators):
        found["prices"] = "accelerators[*].cost_per_hour"
    return found


def _loads(fleet: FleetSpec) -> Iterator[Control]:
    for service in fleet.services:
        yield Control(
            group="loads",
            label=service.name,
            path=f"{named_entry('services', service.name)}.load.arrival_rate_rps",
            value=service.load.arrival_rate_rps,
            unit="requests/s",
        )


def _objectives(fleet: FleetSpec) -> Iterator[Control]:
    for one in fleet.classes:
        for entry, slo in enumerate(one.slos):
            whose = f"{one.name}, {slo.model}" if slo.model else one.name
            for place, target in enumerate(slo.targets):
                metric = target.metric.value.removesuffix("_ms").replace("_", " ")
                metric = metric.upper() if target.metric.is_latency else metric
                yield Control(
                    group="objectives",
                    label=f"{whose}: {metric} {target.statistic}",
                    path=f"{named_entry('classes', one.name)}.slos[{entry}].targets[{place}].bound",
                    value=target.bound,
                    unit="ms" if target.metric.is_latency else _UNITS[target.metric],
                )


def _prices(fleet: FleetSpec) -> Iterator[Control]:
    unit = f"{fleet.currency}/h"
    for one in fleet.accelerators:
        path = named_entry("accelerators", one.name)
        price, source = one.cost_per_hour, "fleet"
        if price is None and one.catalog is not None:
            listed = catalogued(one.catalog).usd_per_hour
            price = None if listed is None else listed * one.cards
            source = "catalogue, indicative price"
        if price is not None and not one.tiers:
            yield Control(
                group="prices", label=one.name, path=f"{path}.cost_per_hour", value=price,
                unit=unit, source=source, written=one.cost_per_hour is not None,
            )  # fmt: skip
        for place, tier in enumerate(one.tiers):
            own = tier.cost_per_hour if tier.cost_per_hour is not None else price
            if own is not None:
                yield Control(
                    group="prices", label=f"{one.name}, {tier.tier}",
                    path=f"{path}.tiers[{place}].cost_per_hour", value=own, unit=unit,
                    written=tier.cost_per_hour is not None,
                )  # fmt: skip


def _quotas(fleet: FleetSpec) -> Iterator[Control]:
    for place, capacity in enumerate(fleet.capacities):
        where = (capacity.type, capacity.pool, capacity.zone, capacity.region)
        yield Control(
            group="quotas", label=", ".join(word for word in where if word),
            path=f"capacities[{place}].cards", value=capacity.cards, unit="cards", whole=True,
        )  # fmt: skip
    for place, limit in enumerate(fleet.limits):
        yield Control(
            group="quotas", label=limit.name or limit.measure.value.replace("_", " "),
            path=f"limits[{place}].at_most", value=limit.at_most,
            unit=_LIMIT_UNITS.get(limit.measure) or f"{fleet.currency}/h",
        )  # fmt: skip
