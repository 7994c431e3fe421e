"""The independent checker of plans: everything again, from the fleet and the plan's words.

It reads no candidate table and no array of a solver. Costs, resources, what each service may be
given, how its load is spread, and every objective by the queue model are recomputed; a plan read
from a file is checked as well as a fresh one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from optimizer.fleet.check_objectives import check_objectives
from optimizer.fleet.check_pools import check_pools
from optimizer.fleet.check_services import check_services
from optimizer.fleet.check_shared import check_shared
from optimizer.fleet.estimates import with_estimates
from optimizer.fleet.fleet_facts import FleetFacts
from optimizer.fleet.plan import Allocation, FleetPlan, ResourceUse, UnservedService
from optimizer.fleet.purchases import purchases_of
from optimizer.fleet.resources import KINDS, Scope, resource_uses
from optimizer.fleet.transition import transition_of
from optimizer.fleet.violation import PlanCheck, Violation
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.service import ServiceSpec

__all__ = ["check_plan"]

# Figures that are said and figures that are recomputed agree when they differ by less.
_AGREES = 1e-6
# As the solvers' own checker has it, for whole cards; sums of other units round more.
_KEPT = 1e-7


def check_plan(spec: FleetSpec, plan: FleetPlan) -> PlanCheck:
    """Check a plan against the fleet that it is for.

    Parameters
    ----------
    spec
        The fleet, with the options that the plan was made with.
    plan
        Fresh, or read from a file.

    Returns
    -------
    PlanCheck
        Every violation found. A plan that says of itself that an objective is missed does not break
        that rule; one that says it is met, and is not, does.
    """
    spec = with_estimates(spec)
    unknown = tuple(_unknown(spec, plan))
    if unknown:
        return PlanCheck(unknown, math.nan, ())
    facts = FleetFacts(spec)
    resources = resource_uses(spec, plan.allocations)
    costs = [_cost(facts, allocation) for allocation in plan.allocations]
    total = math.fsum(costs)
    violations = (
        *check_services(facts, plan),
        *check_objectives(facts, plan),
        *check_pools(facts, plan),
        *check_shared(facts, plan),
        *_sizes(facts, plan, costs),
        *_purchases(spec, plan),
        *_resources(plan, resources),
        *_totals(facts, plan, total),
        *_stages(spec, plan),
    )
    return PlanCheck(violations, total, resources)


def _unknown(spec: FleetSpec, plan: FleetPlan) -> Iterator[Violation]:
    """Find names that the fleet does not have."""
    services = {service.name: service for service in spec.services}
    accelerators = {accelerator.name for accelerator in spec.accelerators}
    entries = {(p.model, p.accelerator, p.configuration) for p in spec.performance}
    parts: tuple[Allocation | UnservedService, ...] = (*plan.allocations, *plan.unserved)
    for part in parts:
        service = services.get(part.service)
        if service is None:
            yield Violation("plan", part.service, "the fleet has no such service")
        elif isinstance(part, Allocation) and (lost := _strangers(part, services)):
            yield Violation(
                "plan", part.service, f"the fleet has no service {lost!r} to share with"
            )
        elif (part.model, part.service_class) != (service.model, service.service_class):
            yield Violation(
                "plan",
                part.service,
                f"is of model {service.model!r} and class {service.service_class!r}, not "
                f"{part.model!r} and {part.service_class!r}",
            )
    stores = {store.name for store in spec.stores}
    tiers = {a.name: {t.tier for t in a.tiers} for a in spec.accelerators}
    for allocation in plan.allocations:
        for tier in allocation.tiers:
            if tier not in tiers.get(allocation.accelerator or "", ()):
                yield Violation("plan", allocation.service, f"there is no tier {tier!r}")
        place, service = allocation.accelerator, services.get(allocation.service)
        if place is None or service is None:
            continue
        storage = allocation.storage
        if storage is not None and (service.kv_reuse is None or storage.store not in stores):
            yield Violation("plan", service.name, f"may not use a store {storage.store!r}")
        buckets = service.length_buckets
        measured = () if buckets is None else (m.accelerator for m in buckets.measured)
        if place not in accelerators:
            yield Violation("plan", service.name, f"the fleet has no accelerator {place!r}")
        elif (service.model, place, allocation.configuration) not in entries and (
            place not in measured
        ):
            where = f"{place} {allocation.configuration}".rstrip()
            yield Violation("plan", service.name, f"there is no performance data on {where!r}")
        shares = () if buckets is None else buckets.shares
        for route in allocation.routes:
            i, j = route.input_row, route.output_column
            if not (0 <= i < len(shares) and 0 <= j < len(shares[i])):
                yield Violation("plan", service.name, f"there is no bucket ({i}, {j})")


def _strangers(allocation: Allocation, services: Mapping[str, ServiceSpec]) -> str | None:
    """Return a service that it is said to share replicas with and that the fleet does not have."""
    named = (*allocation.shared_with, allocation.replicas_of or allocation.service)
    return next((name for name in named if name not in services), None)


def _cost(facts: FleetFacts, allocation: Allocation) -> float:
    if allocation.accelerator is None:
        return 0.0
    return facts.cost(allocation)


def _sizes(facts: FleetFacts, plan: FleetPlan, costs: list[float]) -> Iterator[Violation]:
    """Find instances, cards and costs that are not those of the replicas."""
    for allocation, cost in zip(plan.allocations, costs, strict=True):
        placed = allocation.accelerator is not None
        instances = facts.instances(allocation) if placed else 0
        cards = instances * facts.machine(allocation).cards if placed else 0
        for what, said, found in (
            ("instances", allocation.instances, instances),
            ("cards", allocation.cards, cards),
            ("cost_per_hour", allocation.cost_per_hour, cost),
        ):
            if not _agree(said, found):
                yield Violation("plan", allocation.service, f"{what} {said:.9g}, not {found:.9g}")


def _purchases(spec: FleetSpec, plan: FleetPlan) -> Iterator[Violation]:
    """Find instances bought in tiers that there are not, are full, or may not be used."""
    of_class = {entry.name: entry.tiers for entry in spec.classes}
    tiered = {machine.name for machine in spec.accelerators if machine.tiers}
    for allocation in plan.allocations:
        if allocation.accelerator not in tiered:
            continue
        bought, where = sum(allocation.tiers.values()), allocation.service
        if bought != allocation.instances:
            yield Violation(
                "plan", where, f"{bought} instances bought, {allocation.instances} used"
            )
        allowed = of_class[allocation.service_class]
        for tier in allocation.tiers:
            if allowed is not None and tier not in allowed:
                yield Violation("service", where, f"bought in tier {tier!r}, which it may not be")
    found = purchases_of(spec, plan.allocations) if plan.found else ()
    for purchase in found:
        where = f"{purchase.accelerator} {purchase.tier}"
        if purchase.quota is not None and purchase.instances > purchase.quota:
            yield Violation(
                "resource", where, f"{purchase.instances} instances of {purchase.quota}"
            )
    if found != plan.purchases:
        yield Violation("total", "purchases", "are not those of the allocations")


def _resources(plan: FleetPlan, found: tuple[ResourceUse, ...]) -> Iterator[Violation]:
    """Find resources of which more is used than there is, or than is said."""
    said = {use.name: use for use in plan.resources}
    for use in found:
        if use.capacity is not None and use.used > use.capacity * (1 + _KEPT):
            yield Violation(
                "resource", use.name, f"{use.used:.9g} {use.unit} used of {use.capacity:.9g}"
            )
        mine = said.get(use.name)
        if plan.found and (mine is None or not _agree(mine.used, use.used)):
            other = "nothing" if mine is None else f"{mine.used:.9g} {use.unit}"
            yield Violation("resource", use.name, f"{other} said, {use.used:.9g} used")


def _totals(facts: FleetFacts, plan: FleetPlan, total: float) -> Iterator[Violation]:
    """Find money, power, carbon and changes that are not those of the allocations."""
    if plan.total_cost_per_hour is not None and not _agree(plan.total_cost_per_hour, total):
        yield Violation(
            "total", "total_cost_per_hour", f"{plan.total_cost_per_hour:.9g}, not {total:.9g}"
        )

    for name in ("power_kw", "carbon_kg_per_hour"):
        said = getattr(plan, name)
        found = KINDS[name].used(facts, Scope(), plan.allocations)
        if said is not None and not _agree(said, found):
            yield Violation("total", name, f"{said:.9g}, not {found:.9g}")
    change = transition_of(facts, plan.allocations) if plan.found else None
    if change is not None and plan.transition is not None:
        for name in ("moved", "started", "stopped", "cost", "cost_per_hour", "ready_after_s"):
            said, found = getattr(plan.transition, name), getattr(change, name)
            same = said == found if isinstance(said, tuple) else _agree(said, found)
            if not same:
                yield Violation("total", f"transition.{name}", f"{said}, not {found}")
    elif change != plan.transition:
        yield Violation("total", "transition", "is left out" if change else "is not asked for")


def _stages(spec: FleetSpec, plan: FleetPlan) -> Iterator[Violation]:
    """Find stages of strict priorities that miscount what is not served whole."""
    of_class = {entry.name: entry.priority for entry in spec.classes}
    whole = {a.service for a in plan.allocations} - set(plan.services_partly_served)
    for stage in plan.stages:
        lacking = sum(
            of_class[service.service_class] == stage.priority and service.name not in whole
            for service in spec.services
        )
        if stage.not_served_whole != lacking:
            yield Violation(
                "total",
                f"priority {stage.priority}",
                f"{stage.not_served_whole} not served whole, {lacking} counted",
            )


def _agree(said: float, found: float) -> bool:
    return abs(said - found) <= _AGREES * max(1.0, abs(found))
