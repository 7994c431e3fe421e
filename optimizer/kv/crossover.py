"""The recompute ratio at which recomputing takes as long as loading."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from optimizer.kv.times import WholeModelTime

__all__ = ["find_crossover"]

FloatArray = NDArray[np.float64]

TOLERANCE = 1e-13
"""Width of the last bracket, relative to the ratio where that is above 1."""

# 2**64 times the context would have to be recomputed: there is no crossover.
_MOST_DOUBLINGS = 64


def find_crossover(
    load: WholeModelTime,
    recompute: Callable[[FloatArray], WholeModelTime],
    *,
    tolerance: float = TOLERANCE,
) -> FloatArray:
    """Largest ratio whose recomputation is hidden by loading, by bisection.

    Parameters
    ----------
    load
        Loading delay, any shape.
    recompute
        Delay of recomputing at a ratio, rising with it; takes and returns arrays of that shape.
    tolerance
        Width of the last bracket; relative for ratios above 1.

    Returns
    -------
    ndarray
        Uncapped: above 1 where recomputing everything is quicker than loading, inf where no
        ratio is long enough, 0 where even none is hidden. Errs low, so that what is returned is
        hidden.
    """
    shape = np.broadcast_shapes(load.ms.shape, recompute(np.zeros(load.ms.shape)).ms.shape)
    low, high = np.zeros(shape), np.ones(shape)
    for _ in range(_MOST_DOUBLINGS):
        short = recompute(high) <= load
        if not short.any():
            break
        low, high = np.where(short, high, low), np.where(short, 2.0 * high, high)
    endless = recompute(high) <= load
    while np.any(high - low > tolerance * np.maximum(1.0, high)):
        middle = 0.5 * (low + high)
        short = recompute(middle) <= load
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return np.where(endless, np.inf, low)
