"""Quantile of one distribution of which the tail is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from queue_models.arrays import FloatArray, IntArray
from queue_models.rate_search import increasing_root

__all__ = ["quantile_of_tail"]

# Stand-in for a tail of 0 inside a logarithm.
_NOTHING = 1e-300


def quantile_of_tail(tail: Callable[[float], float], share: float, scale: float) -> float:
    """Return the least t >= 0 with tail(t) <= share.

    Parameters
    ----------
    tail
        P(X > t), not increasing, below `share` from some t on.
    share
        In (0, 1].
    scale
        A first guess at t, > 0; it is doubled as often as it takes.
    """
    if tail(0.0) <= share:
        return 0.0
    high = scale
    while tail(high) > share:
        high *= 2.0

    def excess(_: IntArray, points: FloatArray) -> FloatArray:
        tails = np.array([tail(float(t)) for t in points])
        ratio: FloatArray = np.log(share / np.maximum(tails, _NOTHING))
        return ratio

    return float(increasing_root(excess, np.zeros(1), np.full(1, high))[0])
