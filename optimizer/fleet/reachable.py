"""The best that each candidate could ever do: its latencies at vanishing load."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable, Verdict
from optimizer.fleet.processes import PairProcesses
from optimizer.fleet.reuse import loading_ms
from queue_models import Statistic, Targets
from queue_models import get as get_queue_model

__all__ = ["best_reachable", "pair_processes"]

# "Vanishing load", as a share of what a replica can carry at all.
_IDLE_SHARE = 1e-6


@lru_cache(maxsize=2)
def pair_processes(table: CandidateTable) -> PairProcesses:
    """Return the table's pairs in the words of its queue model."""
    return PairProcesses(table.spec, get_queue_model(table.queue_model))


def best_reachable(table: CandidateTable, row: int) -> dict[Statistic, tuple[float, float]]:
    """Return per bounded statistic its value at vanishing load and its bound [ms].

    No load can do better: latencies grow with the load. Empty where the queue model was not asked
    or refused.
    """
    service = int(table.service[row])
    return {
        statistic: (float(values[row]), float(table.targets.bounds[statistic][service]))
        for statistic, values in _idle_values(table).items()
        if np.isfinite(table.targets.bounds[statistic][service]) and not np.isnan(values[row])
    }


@lru_cache(maxsize=2)
def _idle_values(table: CandidateTable) -> dict[Statistic, NDArray[np.float64]]:
    """Return per bounded statistic its value for every row, NaN where there is none."""
    model = get_queue_model(table.queue_model)
    asked = np.isin(table.verdict, (Verdict.POSSIBLE, Verdict.SLO, Verdict.REPLICAS))
    # Without performance data the rates were measured, and no latency is known; two pools are not
    # what one of them is alone, nor shared replicas those of one service.
    asked &= (table.decode.accelerator < 0) & (table.shared < 0)
    rows = np.flatnonzero(asked & (table.accelerator >= 0) & (table.performance >= 0))
    idle = {statistic: np.full(len(table), np.nan) for statistic in table.targets.bounds}
    processes = pair_processes(table)
    for chosen, clock, statistics in processes.batches(
        rows, table.service, table.performance, table.targets.bounds
    ):
        process = processes.process(
            clock,
            table.service[chosen],
            table.performance[chosen],
            table.max_batch[chosen],
            prefix_hit_rate=table.reuse.prefix_hit_rate[chosen],
        )
        rate = _IDLE_SHARE * model.max_rate(process, Targets())
        metrics = model.evaluate(process, rate, statistics)
        for statistic in statistics:
            loading = loading_ms(table.reuse.take(chosen), statistic)
            idle[statistic][chosen] = metrics.value(statistic) + loading
    return idle
