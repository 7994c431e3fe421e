"""Why two plans differ, as far as the plans themselves show it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from optimizer.fleet.plan import Allocation, FleetPlan, ResourceUse
from solvers import Reason

__all__ = ["Causes"]

# Rates and prices that differ by less, relative to the larger, are the same.
_SAME = 1e-6
_MOST_NEIGHBOURS = 3


@dataclass(frozen=True)
class Causes:
    """The differences between two fleets that their plans show.

    Parameters
    ----------
    own
        By service: what is different about the service itself.
    capacities
        By resource: what is different about its capacity.
    taken
        By service: accelerators and resources it takes in either plan, by name.
    of_fleet
        What is different for all: capacities, queue model, objective, proof.

    Notes
    -----
    A cause that no plan holds, such as performance data or the price of what neither chose, is not
    guessed at.
    """

    own: dict[str, tuple[str, ...]]
    capacities: dict[str, str]
    taken: dict[str, set[str]]
    of_fleet: tuple[str, ...]

    @classmethod
    def of(cls, before: FleetPlan, after: FleetPlan) -> Causes:
        """Compare two plans."""
        capacities = _capacities(before, after)
        old, new = before.by_service, after.by_service
        own = {name: tuple(_own_causes(old[name], new[name])) for name in old if name in new}
        general = (*capacities.values(), *_options(before, after), *_proof(before, after))
        return cls(own, capacities, _resources_taken(before, after), general)

    def of_service(self, name: str, changed: Collection[str]) -> tuple[str, ...]:
        """Return what bears on a service: its own differences, or else those of what it shares.

        Parameters
        ----------
        changed
            Names of all services whose plan changed.
        """
        own = self.own.get(name, ())
        if own:
            return own
        shared = self.taken.get(name, set())
        rooms = tuple(words for room, words in self.capacities.items() if room in shared)
        neighbours = [n for n in changed if n != name and self.taken.get(n, set()) & shared]
        different = [n for n in neighbours if self.own.get(n)]
        if different:
            return (*rooms, f"shares accelerators with {_listed(different)}, which changed")
        if neighbours and not rooms:
            return (f"the room that {_listed(neighbours)} takes or gives up",)
        return rooms


def _resources_taken(*plans: FleetPlan) -> dict[str, set[str]]:
    """Return by service the accelerators, and the resources of their types, in any of the plans."""
    found: dict[str, set[str]] = {}
    for plan in plans:
        by_type: dict[str | None, set[str]] = {}
        for resource in plan.resources:
            for key in (resource.type, resource.name):
                by_type.setdefault(key, set()).add(resource.name)
        for allocation in plan.allocations:
            taken = found.setdefault(allocation.service, set())
            if allocation.accelerator is not None:
                taken |= {allocation.accelerator, *by_type.get(allocation.accelerator, ())}
    return found


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_NEIGHBOURS
    return ", ".join(names[:_MOST_NEIGHBOURS]) + (f" and {more} more" if more > 0 else "")


def _capacities(before: FleetPlan, after: FleetPlan) -> dict[str, str]:
    old = {resource.name: resource for resource in before.resources}
    new = {resource.name: resource for resource in after.resources}
    return {
        name: f"{name}: {_limit(old[name])} before, {_limit(new[name])} now"
        for name in old
        if name in new and old[name].capacity != new[name].capacity
    }


def _limit(resource: ResourceUse) -> str:
    return "no limit" if resource.capacity is None else f"limit {resource.capacity:g}"


def _options(before: FleetPlan, after: FleetPlan) -> Iterator[str]:
    for what, old, new in (
        ("queue model", before.queue_model, after.queue_model),
        ("objective", before.objective, after.objective),
        ("priorities", before.provenance.priorities, after.provenance.priorities),
    ):
        if old != new:
            yield f"{what}: {old} before, {new} now"


def _proof(before: FleetPlan, after: FleetPlan) -> Iterator[str]:
    """Say where a plan is not proven best, so that chance may have made the difference."""
    for when, plan in (("before", before), ("now", after)):
        if plan.termination is not Reason.OPTIMAL:
            gap = "" if plan.relative_gap is None else f", gap {plan.relative_gap:.2%}"
            yield f"the plan {when} is not proven optimal ({plan.termination}{gap})"


def _own_causes(before: tuple[Allocation, ...], after: tuple[Allocation, ...]) -> Iterator[str]:
    old, new = before[0], after[0]
    if _differ(old.arrival_rate_rps, new.arrival_rate_rps):
        yield f"load {old.arrival_rate_rps:.4g} before, {new.arrival_rate_rps:.4g} requests/s now"
    if (old.service_class, old.priority) != (new.service_class, new.priority):
        yield (
            f"class {old.service_class} (priority {old.priority}) before, "
            f"{new.service_class} ({new.priority}) now"
        )
    if old.model != new.model:
        yield f"model {old.model} before, {new.model} now"
    yield from _bounds(old, new)
    yield from _replica(before, after)


def _bounds(old: Allocation, new: Allocation) -> Iterator[str]:
    was = {(t.metric, t.statistic): t.bound for t in old.targets}
    now = {(t.metric, t.statistic): t.bound for t in new.targets}
    for key in dict.fromkeys((*was, *now)):
        if was.get(key) != now.get(key):
            metric, statistic = key
            words = metric.value if statistic == "mean" else f"{metric.value} {statistic}"
            yield f"objective {words}: {_bound(was.get(key))} before, {_bound(now.get(key))} now"


def _bound(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def _replica(before: tuple[Allocation, ...], after: tuple[Allocation, ...]) -> Iterator[str]:
    """Compare what one replica costs and carries where both plans have one of the same kind."""
    was = {(a.accelerator, a.max_batch): a for a in before if a.replicas}
    for allocation in after:
        old = was.get((allocation.accelerator, allocation.max_batch))
        if old is None or not allocation.replicas or not old.replicas:
            continue
        for what, unit, one, other in (
            ("costs", "/h", old.cost_per_hour, allocation.cost_per_hour),
            ("carries", " requests/s", old.max_rate_rps, allocation.max_rate_rps),
        ):
            was_one, is_one = one / old.replicas, other / allocation.replicas
            if _differ(was_one, is_one):
                yield (
                    f"a replica on {allocation.accelerator} {what} {is_one:.4g}{unit}, "
                    f"{was_one:.4g} before"
                )


def _differ(one: float, other: float) -> bool:
    return not math.isclose(one, other, rel_tol=_SAME, abs_tol=1e-12)
