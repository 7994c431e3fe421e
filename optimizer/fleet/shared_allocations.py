"""What a service gets of replicas that it shares with others."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from optimizer.fleet.allocation import allocation_of
from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.plan import Allocation
from optimizer.fleet.prediction import predict_whole, target_outcomes
from optimizer.fleet.processes import PairProcesses
from optimizer.fleet.request_mix import RequestMix
from queue_models import Target, Targets
from queue_models import get as get_queue_model

__all__ = ["shared_allocation"]


def shared_allocation(table: CandidateTable, row: int) -> Allocation:
    """Return the allocation of one service on shared replicas, with latencies of its requests.

    Replicas, cards and money stand in the allocation of the first of the services alone.
    """
    rows = table.sharers[int(table.shared[row])]
    services = [table.spec.services[int(table.service[r])] for r in rows]
    members = table.service[list(rows)]
    rates = table.targets.rate_rps[members]
    mine = float(table.targets.rate_rps[table.service[row]])
    most = _most_rps(table, int(table.shared[row])) * mine / rates.sum() if mine else 0.0
    prediction = predict_whole(table, row)
    allocation = allocation_of(
        table,
        row,
        int(table.replicas[row]),
        needed=int(table.replicas[row]),
        prediction=prediction,
        targets=target_outcomes(table, row, 1, prediction, carried_rps=most),
        max_rate_rps=most,
        partial=False,
    )
    place = rows.index(row)
    return allocation.model_copy(
        update={
            "replicas_of": services[0].name if place else None,
            "shared_with": tuple(s.name for i, s in enumerate(services) if i != place),
        }
    )


@lru_cache(maxsize=64)
def _most_rps(table: CandidateTable, number: int) -> float:
    """Return the rate of all sharers together at which the replicas still keep every objective."""
    rows = np.array(table.sharers[number])
    members = table.service[rows]
    services = tuple(table.spec.services[i] for i in members.tolist())
    carrying = max(int(table.replicas[rows[0]]) - max(s.spares for s in services), 1)
    rates = table.targets.rate_rps[members]
    mix = RequestMix.of([service.load for service in services], rates.tolist())
    model = get_queue_model(table.queue_model)
    alone = table.spec.model_copy(update={"services": services})
    processes = PairProcesses(alone, model, [mix] * len(services))
    here = np.arange(len(rows))
    bounds = {s: bound[members] for s, bound in table.targets.bounds.items()}
    least = np.inf
    for chosen, clock, statistics in processes.batches(here, here, table.performance[rows], bounds):
        process = processes.process(
            clock,
            chosen,
            table.performance[rows[chosen]],
            table.max_batch[rows[chosen]],
            np.where(processes.replicas_matter[chosen], carrying, 1),
        )
        targets = Targets(
            tuple(Target(s, bounds[s][chosen]) for s in statistics),
            promised_throughput=table.targets.promised_throughput[members[chosen]],
        )
        least = min(least, float(model.max_rate(process, targets).min()))
    # What the rate search leaves within its tolerance: the replicas were found to keep their load.
    return float(max(least * carrying, rates.sum()))
