"""The checker's part for services one by one: what each may be given, and how its load spreads."""

from __future__ import annotations

import math
from collections.abc import Iterator

from optimizer.fleet.disaggregation import may_disaggregate
from optimizer.fleet.fleet_facts import FleetFacts
from optimizer.fleet.plan import Allocation, FleetPlan, PoolRole
from optimizer.fleet.split_services import splits
from optimizer.fleet.targets import ServiceTargets
from optimizer.fleet.violation import Violation
from optimizer.fleet.weights import weights_gb
from optimizer.spec.options import Serving
from optimizer.spec.service import BatchRangeSpec, ServiceSpec

__all__ = ["check_services", "place_faults"]

# Rates that a linear programme found sum to a load up to this, relative to it.
_SPREAD = 1e-6


def check_services(facts: FleetFacts, plan: FleetPlan) -> Iterator[Violation]:
    """Find services that got what they may not have, or less than their load without saying so."""
    if not plan.found:
        return
    unserved = [service.service for service in plan.unserved]
    rates = ServiceTargets.of(facts.spec).rate_rps.tolist()
    of_service: dict[str, list[Allocation]] = {}
    for allocation in plan.allocations:
        of_service.setdefault(allocation.service, []).append(allocation)
    for service, rate in zip(facts.spec.services, rates, strict=True):
        mine = of_service.get(service.name, [])
        times = (1 if mine else 0) + unserved.count(service.name)
        if times != 1:
            what = "is neither served nor unserved" if not times else "is listed twice"
            yield Violation("plan", service.name, what)
        if mine:
            for message in _given(facts, plan, service, mine):
                yield Violation("service", service.name, message)
            for message in _spread(facts, service, mine, rate):
                yield Violation("load", service.name, message)


def _replicas(plan: FleetPlan, allocation: Allocation) -> int:
    """Return the replicas that serve it, those that stand with another service included."""
    if allocation.replicas_of is None:
        return allocation.replicas
    return sum(a.replicas for a in plan.allocations if a.service == allocation.replicas_of)


def _given(
    facts: FleetFacts, plan: FleetPlan, service: ServiceSpec, mine: list[Allocation]
) -> Iterator[str]:
    """Yield what the service may not be given."""
    roles = sorted(a.role for a in mine)
    if PoolRole.PREFILL in roles or PoolRole.DECODE in roles:
        yield from _pools(facts, service, roles)
    places = [(a.role, a.accelerator, a.configuration, a.max_batch) for a in mine]
    if len(set(places)) != len(places):
        yield "several allocations of one configuration and maximum batch"
    most = 1
    if splits(facts.spec, service):
        most = service.max_different or facts.spec.optimizer.max_different or len(places)
    if len([role for role in roles if role is not PoolRole.DECODE]) > most:
        yield f"{len(places)} different configurations or batches, at most {most} may serve it"
    total, partial = sum(_replicas(plan, a) for a in mine), mine[0].partial
    if total < service.replicas.min and not partial:
        yield f"{total} replicas, at least {service.replicas.min} are wanted"
    if service.replicas.max is not None and total > service.replicas.max:
        yield f"{total} replicas, at most {service.replicas.max} are allowed"
    for allocation in mine:
        if allocation.accelerator is None:
            if service.replicas.min > 0 or allocation.replicas > 0:
                yield "scaled to zero, which it may not be"
            continue
        apart = (service.serving or facts.spec.optimizer.serving) is Serving.DISAGGREGATED
        if apart and allocation.role is PoolRole.AGGREGATED:
            yield "one pool prefills and decodes, which it may not have"
        yield from place_faults(facts, service, allocation)


def place_faults(facts: FleetFacts, service: ServiceSpec, allocation: Allocation) -> Iterator[str]:
    """Yield why a service may not run where it does, with that batch, precision and store."""
    if service.accelerator not in (None, allocation.accelerator):
        yield f"on {allocation.accelerator}, though pinned to {service.accelerator}"
    yield from _batch(service, allocation)
    yield from _memory(facts, allocation)
    yield from _quality(facts, service, allocation)
    yield from _stored(facts, service, allocation)


def _pools(facts: FleetFacts, service: ServiceSpec, roles: list[PoolRole]) -> Iterator[str]:
    """Yield pools that are not a prefill and a decode pool, or that the service may not have."""
    if roles != sorted((PoolRole.PREFILL, PoolRole.DECODE)):
        yield f"pools of roles {', '.join(roles)}, not one for prefill and one for decode"
    if not may_disaggregate(facts.spec, service):
        yield "prefill and decode in different pools, which it may not have"


def _batch(service: ServiceSpec, allocation: Allocation) -> Iterator[str]:
    wanted, batch = service.max_batch, allocation.max_batch
    if wanted is None or batch is None:
        return
    low, high = (wanted.min, wanted.max) if isinstance(wanted, BatchRangeSpec) else (wanted, wanted)
    if not low <= batch <= high:
        yield f"maximum batch {batch}, not from {low} to {high}"


def _memory(facts: FleetFacts, allocation: Allocation) -> Iterator[str]:
    """Yield weights that do not fit, where both sizes are known."""
    model = next(m for m in facts.spec.models if m.name == allocation.model)
    entry = facts.performance(allocation)
    precision = None if entry is None else entry.weight_precision
    weights, memory = weights_gb(model, precision), facts.memory_gb(allocation)
    if weights is not None and weights > memory:
        yield f"weights of {weights:.4g} GB in {memory:.4g} GB on {allocation.accelerator}"


def _quality(facts: FleetFacts, service: ServiceSpec, allocation: Allocation) -> Iterator[str]:
    """Yield precisions that the service's quality, or its class's, does not allow."""
    entry = facts.performance(allocation)
    if entry is None:
        return
    group = next(c for c in facts.spec.classes if c.name == service.service_class)
    for owner in (service, group):
        for what, precision, allowed in (
            ("weights", entry.weight_precision, owner.weight_precisions),
            ("KV cache", entry.kv_precision, owner.kv_precisions),
        ):
            if allowed is not None and precision not in allowed:
                yield f"{what} in {precision}, which {owner.name} does not allow"


def _stored(facts: FleetFacts, service: ServiceSpec, allocation: Allocation) -> Iterator[str]:
    """Yield what is said of its store and is not so, or what the service does not allow."""
    said, reuse = allocation.storage, service.kv_reuse
    if said is None:
        return
    found = facts.storage(allocation)
    assert found is not None
    for name in ("reused_share", "quality", "loading_ms", "kept_gb", "read_gb_s", "cost_per_hour"):
        one, other = getattr(said, name) or 0.0, getattr(found, name) or 0.0
        if abs(one - other) > _SPREAD * max(1.0, abs(other)):
            yield f"{name} {one:.9g} of {said.store}, not {other:.9g}"
    least = None if reuse is None else reuse.minimum_quality
    if least is not None and (found.quality or 0.0) < least - _SPREAD:
        yield f"quality {found.quality:.6g}, at least {least:.6g} is wanted"


def _spread(
    facts: FleetFacts, service: ServiceSpec, mine: list[Allocation], rate: float
) -> Iterator[str]:
    """Yield loads that are not spread as said."""
    # What a prefill pool takes in goes through the decode pool too.
    served = math.fsum(a.admitted_rate_rps for a in mine if a.role is not PoolRole.DECODE)
    wanted = min(service.load.arrival_rate_rps, rate)
    if served < wanted * (1 - _SPREAD) and not mine[0].partial:
        yield f"{served:.9g} of {wanted:.9g} requests/s admitted, and not said to be in part"
    if served > max(service.load.arrival_rate_rps, rate) * (1 + _SPREAD):
        yield f"{served:.9g} requests/s admitted, more than {rate:.9g}"
    yield from _survives(facts, service, mine)
    buckets = service.length_buckets
    if buckets is None:
        return
    routed: dict[tuple[int, int], float] = {}
    for allocation in mine:
        for route in allocation.routes:
            cell = (route.input_row, route.output_column)
            routed[cell] = routed.get(cell, 0.0) + route.rate_rps
        through = math.fsum(route.rate_rps for route in allocation.routes)
        if abs(through - allocation.admitted_rate_rps) > _SPREAD * max(1.0, through):
            yield f"{through:.9g} requests/s routed, {allocation.admitted_rate_rps:.9g} admitted"
    for i, row in enumerate(buckets.shares):
        for j, share in enumerate(row):
            found, due = routed.get((i, j), 0.0), share * rate
            if abs(found - due) > _SPREAD * max(1.0, due) and (found > due or not mine[0].partial):
                yield f"bucket ({i}, {j}): {found:.9g} of {due:.9g} requests/s routed"


def _survives(facts: FleetFacts, service: ServiceSpec, mine: list[Allocation]) -> Iterator[str]:
    """Yield places whose loss leaves too little, by the rates that are said to keep objectives."""
    if service.survive is None:
        return
    places = {id(a): getattr(facts.machine(a), service.survive.value) for a in mine}
    served = math.fsum(a.admitted_rate_rps for a in mine)
    for place in dict.fromkeys(places.values()):
        left = math.fsum(
            a.max_rate_rps / max(a.replicas - service.spares, 1) * a.replicas
            for a in mine
            if places[id(a)] != place
        )
        if left < served * (1 - _SPREAD):
            yield (
                f"without {service.survive.value} {place} what is left carries {left:.9g} of "
                f"{served:.9g} requests/s"
            )
