"""What changes from today's plan to another, counted from the plan's words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from optimizer.fleet.fleet_facts import FleetFacts
from optimizer.fleet.plan import Allocation, PlanTransition
from optimizer.spec.objective import TransitionSpec
from optimizer.spec.service import CurrentAllocationSpec, ServiceSpec

__all__ = ["ServiceChange", "changes", "transition_of"]

_S_PER_H = 3600.0


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """What changes for one service.

    Parameters
    ----------
    service
        Its name.
    moved
        Whether it runs today, and will on an accelerator where it does not.
    started, stopped
        Replicas.
    money
        One-off money that it costs, in the fleet's currency.
    ready_after_s
        Longest start-up time of what is started; 0 where nothing is.
    """

    service: str
    moved: bool
    started: int
    stopped: int
    money: float
    ready_after_s: float


def changes(facts: FleetFacts, allocations: Sequence[Allocation]) -> Iterator[ServiceChange]:
    """Yield what changes for every service, those that are not in the plan included.

    Raises
    ------
    KeyError
        If the fleet does not have what an allocation names.
    """
    of_service: dict[str, list[Allocation]] = {}
    for allocation in allocations:
        if allocation.accelerator is not None and (allocation.replicas or allocation.replicas_of):
            of_service.setdefault(allocation.service, []).append(allocation)
    services = {service.name: service for service in facts.spec.services}
    for service in facts.spec.services:
        mine = of_service.get(service.name, [])
        sharers = [services[name] for a in mine for name in a.shared_with]
        yield _change(facts, service, mine, sharers)


def transition_of(facts: FleetFacts, allocations: Sequence[Allocation]) -> PlanTransition | None:
    """Return the change as a whole; None where the fleet says nothing of transitions."""
    prices = facts.spec.optimizer.transition
    if prices == TransitionSpec():
        return None
    found = list(changes(facts, allocations))
    money = math.fsum(change.money for change in found)
    return PlanTransition(
        moved=tuple(change.service for change in found if change.moved),
        started=sum(change.started for change in found),
        stopped=sum(change.stopped for change in found),
        cost=money,
        cost_per_hour=money / prices.horizon_h,
        ready_after_s=max((change.ready_after_s for change in found), default=0.0),
    )


def _change(
    facts: FleetFacts, service: ServiceSpec, mine: list[Allocation], sharers: list[ServiceSpec]
) -> ServiceChange:
    """Return the change of one service; what is shared changes with the one that has the replicas.

    Shared replicas go on from those that any of the services runs today.
    """
    prices = facts.spec.optimizer.transition
    joins = any(allocation.replicas_of for allocation in mine)
    owners = [] if joins else [service, *sharers]
    left = {id(current): current.replicas for owner in owners for current in owner.deployed}
    started, money, ready_after_s = 0, 0.0, 0.0
    for allocation in mine:
        kept = 0
        for owner in owners:
            current = _continued(owner, allocation)
            if current is not None:
                on = min(allocation.replicas - kept, left[id(current)])
                left[id(current)] -= on
                kept += on
        new = allocation.replicas - kept
        if new:
            start_up_s = facts.start_up_s(allocation)
            per_replica = facts.instances(allocation) / allocation.replicas
            per_replica *= facts.price(allocation)
            money += new * (prices.cost_per_start + start_up_s / _S_PER_H * per_replica)
            started, ready_after_s = started + new, max(ready_after_s, start_up_s)
    stopped = sum(left.values())
    places = {current.accelerator for current in service.deployed}
    moved = bool(places) and any(a.accelerator not in places for a in mine)
    money += stopped * prices.cost_per_stop + (prices.cost_per_move if moved else 0.0)
    return ServiceChange(service.name, moved, started, stopped, money, ready_after_s)


def _continued(service: ServiceSpec, allocation: Allocation) -> CurrentAllocationSpec | None:
    """Return today's allocation that goes on as this one; the same batch before any batch."""
    place = (allocation.accelerator, allocation.role)
    here = [c for c in service.deployed if (c.accelerator, c.role) == place]
    for batch in (allocation.max_batch, None):
        for current in here:
            if current.max_batch == batch:
                return current
    return None
