"""One allocation of a plan, from its row of the candidate table and what is predicted for it."""

from __future__ import annotations

import numpy as np

from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.plan import Allocation, BucketRoute, PoolRole, StorageUse, TargetOutcome
from optimizer.fleet.prediction import Prediction
from optimizer.fleet.storage_use import use_of_store

__all__ = ["allocation_of"]


def allocation_of(
    table: CandidateTable,
    row: int,
    replicas: int,
    *,
    needed: int,
    prediction: Prediction,
    targets: tuple[TargetOutcome, ...],
    max_rate_rps: float,
    partial: bool,
    share: float = 1.0,
    routes: tuple[BucketRoute, ...] = (),
    role: PoolRole = PoolRole.AGGREGATED,
) -> Allocation:
    """Return what a service gets of one candidate.

    Parameters
    ----------
    replicas, needed
        Replicas it gets, and those that keep every objective at what is to be served here.
    prediction, targets
        Steady state of one replica, and how it stands to every objective.
    max_rate_rps
        Rate at which the replicas still keep every objective.
    partial
        Whether the service gets less than all it needs.
    share, routes
        Of the service's load, what is routed here.
    role
        What the replicas do of a request.
    """
    spec = table.spec
    service = spec.services[int(table.service[row])]
    place = int(table.accelerator[row])
    part = replicas / max(int(table.replicas[row]), 1)
    margins = [target.margin for target in targets]
    known = [margin for margin in margins if margin is not None]
    entry = None if table.performance[row] < 0 else spec.performance[int(table.performance[row])]
    return Allocation(
        service=service.name,
        model=service.model,
        service_class=service.service_class,
        priority=next(c.priority for c in spec.classes if c.name == service.service_class),
        role=role,
        accelerator=table.inventory.names[place] if place >= 0 else None,
        configuration="" if entry is None else entry.configuration,
        tensor_parallel=None if entry is None else entry.tensor_parallel,
        pipeline_parallel=None if entry is None else entry.pipeline_parallel,
        weight_precision=None if entry is None else entry.weight_precision,
        kv_precision=None if entry is None else entry.kv_precision,
        source=None if entry is None else entry.source,
        log_sd=None if entry is None else entry.log_sd,
        replicas=replicas,
        replicas_needed=needed,
        instances=round(int(table.instances[row]) * part),
        cards=round(int(table.cards[row]) * part),
        max_batch=int(table.max_batch[row]) or None,
        cost_per_hour=float(table.cost_per_hour[row]) * part,
        arrival_rate_rps=service.load.arrival_rate_rps,
        admitted_rate_rps=prediction.admitted_rate_rps,
        max_rate_rps=max_rate_rps,
        utilization=prediction.utilization,
        stable=prediction.stable,
        refused_share=prediction.refused_share,
        queueing_ms=prediction.queueing_ms,
        ttft_ms=prediction.ttft_ms,
        itl_ms=prediction.itl_ms,
        e2e_ms=prediction.e2e_ms,
        targets=targets,
        margin=min(known) if known and len(known) == len(margins) else None,
        storage=_stored(table, row, prediction.admitted_rate_rps),
        partial=partial,
        share=share,
        routes=routes,
    )


def _stored(table: CandidateTable, row: int, admitted_rps: float) -> StorageUse | None:
    """Return what is kept and loaded, where something is."""
    if table.reuse.store[row] < 0:
        return None
    reuse = table.reuse.take(np.array([row]))
    return use_of_store(table.spec, reuse, int(table.replicas[row]), admitted_rps)
