"""Compiled sums over the states below the slots. Importing this module imports numba.

`queue_models.state_sums` imports it when a task is large enough to pay for that.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numba.core.errors import NumbaError

from queue_models.arrays import FloatArray, IntArray
from queue_models.compilation import compiled

__all__ = ["compile_all", "law_sums", "table_sums"]

# Weights are scaled down beyond this, tested once a block: factors must stay below 1e6.
_HUGE, _TINY, _BLOCK = 1e200, 1e-200, 16


@compiled
def _sweep(factors: FloatArray, slots: int, limit: float, sums: FloatArray) -> None:
    """Write the sums of one pair, in the order of `StateSums`; w(n + 1) = w(n) factors[n]."""
    weight, below, moment, tail, capped = 1.0, 0.0, 0.0, 0.0, 0.0
    first = slots if limit >= slots else math.floor(limit)
    start = 0
    while start < slots:
        # One test of the size per block; a block ends where the limit begins.
        end = min(start + _BLOCK, first if start < first else slots)
        part, part_moment = 0.0, 0.0
        for n in range(start, end):
            part += weight
            part_moment += n * weight
            weight *= factors[n]
        moment += part_moment
        if start < first:
            below += part
            capped += part + part_moment
        else:
            tail += part
        if weight > _HUGE:
            weight *= _TINY
            below *= _TINY
            moment *= _TINY
            tail *= _TINY
            capped *= _TINY
        start = end
    sums[0] = below + tail
    sums[1] = moment
    sums[2] = weight
    sums[3] = tail
    sums[4] = capped + limit * tail if first < slots else capped


@compiled
def table_sums(
    ratios: FloatArray,
    rows: IntArray,
    load: FloatArray,
    slots: IntArray,
    limit: FloatArray,
    sums: FloatArray,
) -> None:
    """Sum with factors load x ratios, `ratios` being mu(B)/mu(n), n = 1..B, in these rows."""
    factors = np.empty(ratios.shape[1])
    for pair in range(rows.size):
        row, most = rows[pair], slots[pair]
        for n in range(most):
            factors[n] = load[pair] * ratios[row, n]
        _sweep(factors, most, limit[pair], sums[pair])


@compiled
def law_sums(
    base: FloatArray,
    slope: FloatArray,
    knee: FloatArray,
    slots: IntArray,
    limit: FloatArray,
    sums: FloatArray,
) -> None:
    """Sum with factors base/min(n, knee) + slope, n = 1..B: those of a linear service law."""
    widest = 1
    for pair in range(slots.size):
        widest = max(widest, slots[pair])
    factors = np.empty(widest)
    inverse = 1.0 / np.arange(1.0, widest + 1.0)
    for pair in range(slots.size):
        most = slots[pair]
        bend = most if knee[pair] >= most else math.floor(knee[pair])
        for n in range(bend):
            factors[n] = base[pair] * inverse[n] + slope[pair]
        flat = base[pair] / knee[pair] + slope[pair]
        for n in range(bend, most):
            factors[n] = flat
        _sweep(factors, most, limit[pair], sums[pair])


def compile_all() -> None:
    """Load the functions from the cache on disk, or compile them.

    Raises
    ------
    ImportError
        If numba cannot compile them.
    """
    one, slots = np.ones(1), np.ones(1, dtype=np.int64)
    sums = np.empty((1, 5))
    try:
        law_sums(one, one, one, slots, one, sums)
        table_sums(np.ones((1, 1)), np.zeros(1, dtype=np.int64), one, slots, one, sums)
    except NumbaError as error:
        raise ImportError(f"numba {numba.__version__} cannot compile: {error}") from error
