"""Run a solver of flat pairs over broadcast arguments, in groups of similar slots."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from queue_models.arrays import FloatArray, IntArray
from queue_models.base import QueueMetrics, Statistic, Targets
from queue_models.birth_death import similar_slots
from queue_models.process import ServiceProcess, checked_arrival_rate

__all__ = ["NO_BOUND", "evaluate_pairs", "size_pairs"]

# Stand-in for a bound without limit, of which logarithms and ratios exist.
NO_BOUND = 1e300

# Indices of flat pairs and their arrival rates -> fields of `QueueMetrics` and percentiles.
Evaluation = Callable[[IntArray, FloatArray], Mapping[str | Statistic, NDArray[Any]]]
# Indices of flat pairs and their bounds, one array per target -> largest rates.
Sizing = Callable[[IntArray, list[FloatArray]], FloatArray]


def evaluate_pairs(
    service: ServiceProcess, arrival_rate_rps: ArrayLike, solve: Evaluation
) -> QueueMetrics:
    """Broadcast process and rate, evaluate the flat pairs, return metrics of the common shape.

    Raises
    ------
    ServiceProcessError
        If a rate is negative, NaN or infinite, or if the shapes do not broadcast.
    """
    rate = checked_arrival_rate(arrival_rate_rps, service.shape)
    pairs = np.arange(service.input_tokens.size).reshape(service.shape)
    pairs = np.broadcast_to(pairs, rate.shape).ravel()
    flat_rate = rate.ravel()
    results: dict[str | Statistic, NDArray[Any]] = {}
    slots = service.max_batch.ravel()[pairs].astype(np.int64)
    # Without pairs one empty group still says which fields there are.
    for group in list(similar_slots(slots)) or [pairs]:
        for key, values in solve(pairs[group], flat_rate[group]).items():
            results.setdefault(key, np.empty(rate.size, values.dtype))[group] = values
    shaped = {key: values.reshape(rate.shape) for key, values in results.items()}
    percentiles = {key: values for key, values in shaped.items() if isinstance(key, Statistic)}
    means = {key: values for key, values in shaped.items() if isinstance(key, str)}
    return QueueMetrics(**means, percentiles=percentiles)


def size_pairs(
    service: ServiceProcess, targets: Targets, solve: Sizing, *, grouped: bool = True
) -> FloatArray:
    """Broadcast the bounds, size the flat pairs, return rates of the process's shape.

    Without groups of similar slots all pairs are solved at once: for solvers without tables.
    """
    bounds = [
        np.minimum(np.broadcast_to(target.bound, service.shape).ravel(), NO_BOUND)
        for target in targets.targets
    ]
    slots = service.max_batch.ravel().astype(np.int64)
    rates = np.empty(slots.size)
    for group in similar_slots(slots) if grouped else [np.arange(slots.size)]:
        rates[group] = solve(group, [bound[group] for bound in bounds])
    return rates.reshape(service.shape)
