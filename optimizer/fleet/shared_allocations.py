"""What a service gets of replicas that it shares with others."""

from __future__ import annotations

from optimizer.fleet.allocation import allocation_of
from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.plan import Allocation
from optimizer.fleet.prediction import predict_whole, target_outcomes

__all__ = ["shared_allocation"]


def shared_allocation(table: CandidateTable, row: int) -> Allocation:
    """Return the allocation of one service on shared replicas, with latencies of its requests.

    Replicas, cards and money stand in the allocation of the first of the services alone.
    """
    rows = table.sharers[int(table.shared[row])]
    services = [table.spec.services[int(table.service[r])] for r in rows]
    replicas = int(table.replicas[rows[0]])
    carrying = max(replicas - max(service.spares for service in services), 1)
    prediction = predict_whole(table, row)
    allocation = allocation_of(
        table,
        row,
        int(table.replicas[row]),
        needed=int(table.replicas[row]),
        prediction=prediction,
        targets=target_outcomes(table, row, carrying, prediction),
        max_rate_rps=carrying * float(table.rate_per_replica_rps[row]),
        partial=False,
    )
    mine = rows.index(row)
    return allocation.model_copy(
        update={
            "replicas_of": services[0].name if mine else None,
            "shared_with": tuple(s.name for i, s in enumerate(services) if i != mine),
        }
    )
