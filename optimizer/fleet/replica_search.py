"""How many replicas hold a load where what one carries depends on how many there are."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from queue_models import QueueModel, ServiceProcess, Statistic, Targets

__all__ = ["fewest_replicas"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# A bound counts as kept up to this relative excess.
_MET = 1e-6
# Divisions such as 6.0 / 2.0000000001 must not cost a replica.
_ROUNDING = 1e-9
# Doublings of the replicas that suffice for Poisson arrivals spread at random, before giving up.
_DOUBLINGS = 3


def fewest_replicas(
    model: QueueModel,
    process: Callable[[IntArray, IntArray], ServiceProcess],
    load_rps: FloatArray,
    bounds: Mapping[Statistic, FloatArray],
    promised_throughput: BoolArray,
    rate_rps: FloatArray,
) -> IntArray:
    """Return the fewest replicas at which every bound holds for a load spread over them.

    Parameters
    ----------
    model
        The queue model, which is asked by `evaluate` at the rate that each replica then gets.
    process
        Gives the service process of some pairs, by index, with so many replicas each.
    load_rps
        (P,), requests per second of all replicas together, > 0.
    bounds
        Per statistic, (P,) upper bounds.
    promised_throughput
        (P,), see `Targets`.
    rate_rps
        (P,), what a single replica carries, > 0 and less than its load: with Poisson arrivals
        spread at random, every replica would carry that.

    Returns
    -------
    IntArray
        (P,); 0 where even eight times what `rate_rps` asks for does not hold them.

    Notes
    -----
    More replicas are taken to hold whatever fewer hold: each gets less, and there are more to
    choose from. The search is by bisection between the least that capacity allows and what
    `rate_rps` asks for.
    """
    everyone = np.arange(len(load_rps))
    high = _at_least(load_rps, rate_rps)
    most_rps = model.max_rate(
        process(everyone, high),
        Targets(promised_throughput=promised_throughput if promised_throughput.any() else None),
    )

    def holds(pairs: IntArray, replicas: IntArray) -> BoolArray:
        each = load_rps[pairs] / replicas
        metrics = model.evaluate(process(pairs, replicas), each, tuple(bounds))
        kept = metrics.stable & (each <= most_rps[pairs] * (1 + _ROUNDING))
        for statistic, bound in bounds.items():
            kept &= metrics.value(statistic) <= bound[pairs] * (1 + _MET)
        return np.asarray(kept, dtype=np.bool_)

    # Known not to do: a single one, and what capacity does not allow.
    low = np.minimum(np.maximum(_at_least(load_rps, most_rps), 2), high) - 1
    lacking = everyone[~holds(everyone, high)]
    for _ in range(_DOUBLINGS):
        if not lacking.size:
            break
        low[lacking] = high[lacking]
        high[lacking] *= 2
        lacking = lacking[~holds(lacking, high[lacking])]
    low[lacking] = high[lacking]
    open_ = np.flatnonzero(high - low > 1)
    while open_.size:
        middle = (low[open_] + high[open_]) // 2
        kept = holds(open_, middle)
        high[open_[kept]], low[open_[~kept]] = middle[kept], middle[~kept]
        open_ = open_[high[open_] - low[open_] > 1]
    high[lacking] = 0
    return high


def _at_least(load_rps: FloatArray, most_rps: FloatArray) -> IntArray:
    """Return the fewest replicas that can carry the load at all."""
    share = np.divide(load_rps, most_rps, out=np.ones_like(load_rps), where=most_rps > 0)
    return np.ceil(share * (1 - _ROUNDING)).astype(np.int64)
