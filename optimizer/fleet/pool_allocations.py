"""The two allocations of a candidate that prefills and decodes in pools of their own."""

from __future__ import annotations

import numpy as np

from optimizer.fleet.allocation import allocation_of
from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.disaggregation import PoolPairs, largest_rate, transfer_ms
from optimizer.fleet.plan import Allocation, PoolRole
from optimizer.fleet.prediction import predict_whole, target_outcomes
from queue_models import get as get_queue_model

__all__ = ["pool_allocations"]


def pool_allocations(table: CandidateTable, row: int) -> tuple[Allocation, Allocation]:
    """Return the prefill and the decode pool of a row that has both, with latencies of both."""
    service = int(table.service[row])
    counts = [int(half.replicas[row]) for half in table.halves]
    most = largest_rate(table, get_queue_model(table.queue_model), _as_pair(table, row))
    # What the rate search leaves within its tolerance: the pair was found to keep its load.
    most = max(most, float(table.targets.rate_rps[service]))
    prediction = predict_whole(table, row)
    carrying = counts[0] - table.spec.services[service].spares
    targets = target_outcomes(table, row, carrying, prediction, carried_rps=most)
    sent = transfer_ms(table.spec, service, int(table.performance[row]))
    pools = []
    for half, count, role in zip(
        table.halves, counts, (PoolRole.PREFILL, PoolRole.DECODE), strict=True
    ):
        pool = allocation_of(
            half,
            row,
            count,
            needed=count,
            prediction=prediction,
            targets=targets,
            max_rate_rps=most,
            partial=False,
            role=role,
        )
        pools.append(pool.model_copy(update={"transfer_ms": sent}))
    prefill, decode = pools
    own = {
        "utilization": float(table.decode.utilization[row]),
        "queueing_ms": float(table.decode.queueing_ms[row]),
    }
    return prefill, decode.model_copy(update=own)


def _as_pair(table: CandidateTable, row: int) -> PoolPairs:
    """Return the row as a pair of pools, less the spares of each."""
    here = np.array([row])
    spares = table.spec.services[int(table.service[row])].spares
    return PoolPairs(
        table,
        table.service[here],
        table.performance[here],
        table.decode.performance[here],
        table.max_batch[here],
        table.decode.max_batch[here],
        table.replicas[here] - spares,
        table.decode.replicas[here] - spares,
    )
