"""The checker's part for replicas that several services share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from optimizer.fleet.check_objectives import AskedAllocation, broken, missed
from optimizer.fleet.fleet_facts import FleetFacts
from optimizer.fleet.plan import Allocation, FleetPlan
from optimizer.fleet.processes import PairProcesses
from optimizer.fleet.request_mix import RequestMix
from optimizer.fleet.targets import ServiceTargets, targets_of
from optimizer.fleet.violation import Violation
from queue_models import Statistic
from queue_models import get as get_queue_model

__all__ = ["check_shared", "sharing_at"]


class _Judge(Protocol):
    """What is wrong with an allocation whose statistics the queue model tells."""

    def __call__(
        self, one: AskedAllocation, values: dict[Statistic, float], *, stable: bool
    ) -> Iterator[Violation]: ...


def check_shared(facts: FleetFacts, plan: FleetPlan) -> Iterator[Violation]:
    """Find services that may not share, or whose objectives the traffic of all breaks."""
    yield from _faults(facts, plan.queue_model, plan.allocations, broken)


def sharing_at(
    facts: FleetFacts, queue_model: str, given: Sequence[Allocation]
) -> Iterator[Violation]:
    """Find the same of allocations of which only places, batches, replicas and sharers are read.

    Objectives that are not met are found whatever is said of them.
    """
    yield from _faults(facts, queue_model, given, missed)


def _faults(
    facts: FleetFacts, queue_model: str, given: Sequence[Allocation], judge: _Judge
) -> Iterator[Violation]:
    of_service: dict[str, list[Allocation]] = {}
    for allocation in given:
        of_service.setdefault(allocation.service, []).append(allocation)
    seen: set[str] = set()
    for allocation in given:
        if not (allocation.shared_with or allocation.replicas_of):
            continue
        if allocation.replicas_of is not None:
            lead = of_service.get(allocation.replicas_of, [])
            if not any(allocation.service in a.shared_with for a in lead):
                yield _without_replicas(allocation)
            continue
        if allocation.service in seen:
            continue
        seen.add(allocation.service)
        found = [of_service.get(name, []) for name in allocation.shared_with]
        others = [own[0] for own in found if len(own) == 1]
        faults = list(_together(facts, allocation, others))
        for where, words in faults:
            yield Violation("service", where, words)
        if not faults:
            yield from _objectives(facts, queue_model, [allocation, *others], judge)


def _without_replicas(allocation: Allocation) -> Violation:
    return Violation(
        "service",
        allocation.service,
        f"said to be served by replicas of {allocation.replicas_of}, which has none for it",
    )


def _together(
    facts: FleetFacts, lead: Allocation, others: list[Allocation]
) -> Iterator[tuple[str, str]]:
    """Yield who does not share as is said, or may not."""
    pool = facts.service(lead).replica_pool
    names = (lead.service, *lead.shared_with)
    if len(others) != len(lead.shared_with):
        yield lead.service, "shares replicas with services that are not served once"
        return
    for other in others:
        if facts.service(other).replica_pool != pool or pool is None:
            yield other.service, f"shares replicas with {lead.service}, and not their replica_pool"
        if facts.service(other).model != lead.model:
            yield other.service, f"shares replicas of model {lead.model!r}"
        if (other.replicas_of, other.replicas) != (lead.service, 0):
            yield other.service, f"is not said to be served by the replicas of {lead.service}"
        if set(other.shared_with) != set(names) - {other.service}:
            yield other.service, "does not share with the services that share with it"
        place = (other.accelerator, other.configuration, other.max_batch)
        if place != (lead.accelerator, lead.configuration, lead.max_batch):
            yield other.service, f"is not where the replicas of {lead.service} are"


def _objectives(
    facts: FleetFacts, queue_model: str, sharers: list[Allocation], judge: _Judge
) -> Iterator[Violation]:
    """Ask the queue model about every service among the requests of all."""
    spec, lead = facts.spec, sharers[0]
    services = [facts.service(allocation) for allocation in sharers]
    alone = spec.model_copy(update={"services": tuple(services)})
    rates = ServiceTargets.of(alone).rate_rps
    mix = RequestMix.of([service.load for service in services], rates.tolist())
    if mix.rate_rps == 0:
        return
    if not lead.replicas:
        yield from (_without_replicas(a) for a in sharers if a.replicas_of is not None)
    model = get_queue_model(queue_model)
    processes = PairProcesses(alone, model, [mix] * len(services))
    entry = next(
        place for place, found in enumerate(spec.performance) if found is facts.performance(lead)
    )
    carrying = max(lead.replicas - max(service.spares for service in services), 1)
    for number, (allocation, service) in enumerate(zip(sharers, services, strict=True)):
        group = next(c for c in spec.classes if c.name == service.service_class)
        asked = AskedAllocation(
            allocation=allocation,
            service=service,
            entry=entry,
            carrying=carrying,
            rate_rps=mix.rate_rps,
            reuse=None,
            targets=targets_of(group, service.model),
        )
        here = np.array([number])
        process = processes.process(
            int(processes.clock[entry]),
            here,
            np.array([entry]),
            np.array([allocation.max_batch or 1]),
            np.array([carrying if processes.replicas_matter[number] else 1]),
        )
        statistics = tuple(asked.bounds)
        found = model.evaluate(process, np.array([mix.rate_rps / carrying]), statistics)
        values = {statistic: float(found.value(statistic)[0]) for statistic in statistics}
        yield from judge(asked, values, stable=bool(found.stable[0]))
