"""Purchase tiers: how many instances of each accelerator are bought in which, for the whole fleet.

Tiers' quotas are shared over services, so what one service pays depends on what the others take: no
candidate has a price of its own. The instances bought in each tier are columns of the fleet; one
row per accelerator says that as many are bought as are used. Candidates cost the accelerator's own
price, and a bought instance the difference between its tier's price and that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.fleet_facts import FleetFacts
from optimizer.fleet.linked import Bought, Linked
from optimizer.fleet.plan import Allocation, Purchase
from optimizer.fleet.resources import Scope
from optimizer.spec.accelerator import AcceleratorSpec, TierSpec
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.limits import LimitMeasure
from optimizer.spec.service import ServiceSpec

__all__ = ["add_purchases", "purchases_of", "with_tiers"]

FloatArray = NDArray[np.float64]

# Services are alike where they may use the same tiers and the same limits count their money.
_Kind = tuple[tuple[str, ...], tuple[int, ...]]


def add_purchases(linked: Linked) -> None:
    """Add the instances bought of every accelerator with tiers, by tier and kind of service."""
    columns, table = linked.columns, linked.columns.table
    spec = table.spec
    for place, machine in enumerate(spec.accelerators):
        if not machine.tiers:
            continue
        own = float(table.inventory.cost_per_hour[place])
        instances = columns.spread(_on(table, place))
        here = instances > 0
        kinds: dict[_Kind, list[int]] = {}
        for owner in np.unique(columns.owner[here]).tolist():
            kinds.setdefault(_kind(spec, machine, spec.services[owner]), []).append(owner)
        bought: dict[str, list[int]] = {tier.tier: [] for tier in machine.tiers}
        for number, ((allowed, counted), owners) in enumerate(kinds.items()):
            used = np.where(np.isin(columns.owner, owners), instances, 0.0)
            z: dict[int, float] = {}
            for tier in machine.tiers:
                if tier.tier not in allowed:
                    continue
                more = _price(tier, own) - own
                column = linked.add_column(
                    f"{machine.name}: {tier.tier} {number}".removesuffix(" 0"),
                    money=more,
                    upper=_most(linked, place, tier),
                    uses={_limit_name(spec, i): more for i in counted} if more else {},
                )
                z[column] = -1.0
                bought[tier.tier].append(column)
            linked.add_row(f"{machine.name}: bought", used, z, lower=0.0, upper=0.0)
            in_tiers = dict(zip(allowed, z, strict=True))
            linked.purchases.append(Bought(machine.name, tuple(owners), in_tiers))
        for tier in machine.tiers:
            if tier.instances is not None and len(bought[tier.tier]) > 1:
                linked.add_row(
                    f"{machine.name}: {tier.tier}",
                    np.zeros(len(instances)),
                    dict.fromkeys(bought[tier.tier], 1.0),
                    upper=float(tier.instances),
                )


def with_tiers(
    linked: Linked, z: FloatArray, allocations: Sequence[Allocation]
) -> tuple[Allocation, ...]:
    """Say of every allocation in which tiers its instances are bought, and what they cost.

    Parameters
    ----------
    z
        (k,), the further columns of the answer: what is bought in all.

    Notes
    -----
    Of what is bought for services that are alike, the more important get the tiers listed first.
    """
    spec = linked.columns.table.spec
    facts = FleetFacts(spec)
    found = list(allocations)
    for purchase in linked.purchases:
        names = {spec.services[owner].name for owner in purchase.owners}
        left = {tier: round(z[column]) for tier, column in purchase.columns.items()}
        mine = [
            i
            for i, a in enumerate(found)
            if a.accelerator == purchase.accelerator and a.service in names
        ]
        for i in sorted(mine, key=lambda i: found[i].priority):
            tiers: dict[str, int] = {}
            for tier in left:
                taken = min(left[tier], found[i].instances - sum(tiers.values()))
                if taken:
                    tiers[tier], left[tier] = taken, left[tier] - taken
            bought = found[i].model_copy(update={"tiers": tiers})
            found[i] = bought.model_copy(update={"cost_per_hour": facts.cost(bought)})
    return tuple(found)


def purchases_of(spec: FleetSpec, allocations: Sequence[Allocation]) -> tuple[Purchase, ...]:
    """Return what is bought of every accelerator with tiers, from the allocations' words."""
    facts = FleetFacts(spec)
    bought = []
    for machine in spec.accelerators:
        for tier in machine.tiers:
            count = sum(
                a.tiers.get(tier.tier, 0) for a in allocations if a.accelerator == machine.name
            )
            price = facts.tier_price(machine.name, tier.tier)
            bought.append(
                Purchase(
                    accelerator=machine.name,
                    tier=tier.tier,
                    instances=count,
                    quota=tier.instances,
                    cost_per_hour=count * price,
                )
            )
    return tuple(bought)


def _kind(spec: FleetSpec, machine: AcceleratorSpec, service: ServiceSpec) -> _Kind:
    group = next(c for c in spec.classes if c.name == service.service_class)
    allowed = tuple(t.tier for t in machine.tiers if group.tiers is None or t.tier in group.tiers)
    counted = tuple(
        i
        for i, limit in enumerate(spec.limits)
        if limit.measure is LimitMeasure.COST_PER_HOUR
        and Scope.of(limit).has_service(service)
        and Scope.of(limit).has_accelerator(machine)
    )
    return allowed, counted


def _limit_name(spec: FleetSpec, index: int) -> str:
    limit = spec.limits[index]
    where = str(Scope.of(limit))
    return limit.name or limit.measure.value + (f"@{where}" if where else "")


def _price(tier: TierSpec, own: float) -> float:
    return own if tier.cost_per_hour is None else tier.cost_per_hour


def _most(linked: Linked, place: int, tier: TierSpec) -> float:
    """Return the quota or, without one, what all services would take of the accelerator alone."""
    if tier.instances is not None:
        return float(tier.instances)
    table = linked.columns.table
    whole = _on(table, place)
    rows = np.unique(linked.columns.candidate[~linked.columns.unserved])
    rows = rows[whole[rows] > 0]
    most: dict[int, int] = {}
    for row in rows.tolist():
        owner = int(table.service[row])
        most[owner] = max(most.get(owner, 0), int(whole[row]))
    for row in rows.tolist():  # a service that splits may take several of them at once
        owner = int(table.service[row])
        if linked.columns.counted[owner]:
            most[owner] += int(whole[row])
    return float(sum(most.values()))


def _on(table: CandidateTable, place: int) -> FloatArray:
    """Return (candidates,), instances of an accelerator that all replicas of each take."""
    taken = np.zeros(len(table))
    for half in table.halves:
        taken += np.where(half.accelerator == place, half.instances, 0)
    return taken
