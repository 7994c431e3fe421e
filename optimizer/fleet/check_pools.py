"""The checker's part for prefill and decode pools: the queue model is asked about both together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from optimizer.fleet.check_objectives import AskedAllocation, broken
from optimizer.fleet.disaggregation import transfer_ms
from optimizer.fleet.fleet_facts import FleetFacts
from optimizer.fleet.plan import Allocation, FleetPlan, PoolRole
from optimizer.fleet.processes import PairProcesses
from optimizer.fleet.targets import ServiceTargets, targets_of
from optimizer.fleet.violation import Violation
from queue_models import QueueModel, Role, Tandem, evaluate_tandem
from queue_models import get as get_queue_model

__all__ = ["check_pools"]


def check_pools(facts: FleetFacts, plan: FleetPlan) -> Iterator[Violation]:
    """Find objectives that are said to be met by two pools together, and are not."""
    decode = {a.service: a for a in plan.allocations if a.role is PoolRole.DECODE}
    for prefill in plan.allocations:
        if prefill.role is PoolRole.PREFILL and prefill.service in decode:
            yield from _pair(facts, get_queue_model(plan.queue_model), prefill, decode)


def _pair(
    facts: FleetFacts, model: QueueModel, prefill: Allocation, decode: dict[str, Allocation]
) -> Iterator[Violation]:
    service, second = facts.service(prefill), decode[prefill.service]
    carrying = [pool.replicas - service.spares for pool in (prefill, second)]
    if min(carrying) < 1:
        yield Violation(
            "service", service.name, f"no replica carries load beside {service.spares} spare(s)"
        )
        return
    alone = facts.spec.model_copy(update={"services": (service,)})
    group = next(c for c in facts.spec.classes if c.name == service.service_class)
    entries = [_entry(facts, pool) for pool in (prefill, second)]
    asked = AskedAllocation(
        allocation=prefill,
        service=service,
        entry=entries[0],
        carrying=carrying[0],
        rate_rps=0.0,
        reuse=None,
        targets=targets_of(group, service.model),
    )
    processes, here = PairProcesses(alone, model), np.zeros(1, dtype=np.int64)
    halves = [
        processes.process(
            int(processes.clock[entry]),
            here,
            np.array([entry]),
            np.array([pool.max_batch or 1]),
            np.array([count if processes.replicas_matter[0] else 1]),
            role=role,
        )
        for entry, pool, count, role in zip(
            entries, (prefill, second), carrying, (Role.PREFILL, Role.DECODE), strict=True
        )
    ]
    tandem = Tandem(
        halves[0],
        halves[1],
        np.array([transfer_ms(alone, 0, entries[0])]),
        prefill_replicas=np.array(carrying[:1]),
        decode_replicas=np.array(carrying[1:]),
    )
    rate = ServiceTargets.of(alone).rate_rps
    found = evaluate_tandem(model, tandem, rate, tuple(asked.bounds))
    values = {statistic: float(found.value(statistic)[0]) for statistic in asked.bounds}
    yield from broken(asked, values, stable=bool(found.stable[0]))


def _entry(facts: FleetFacts, pool: Allocation) -> int:
    """Return the place of a pool's performance entry."""
    known = facts.performance(pool)
    return next(place for place, entry in enumerate(facts.spec.performance) if entry is known)
