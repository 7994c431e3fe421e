"""How much of each capacity row can really be used, where usages are whole multiples of a step."""

from __future__ import annotations

import numpy as np

from solvers.problem import CAPACITY_TOLERANCE, FloatArray
from solvers.sparse_columns import SparseColumns

__all__ = ["attainable_limits"]

# Entries looked at together.
_PIECE = 1 << 18
# Whole numbers and their sums are exact in float64 below this.
_EXACT = 2.0**50


def attainable_limits(usage: SparseColumns, capacity: FloatArray) -> FloatArray:
    """Return the largest usage of each row that some choice could have, at most, as (m,).

    A row in packs of 8 with a capacity of 20 can use 16: rounding its limit down to a multiple of
    the entries' common divisor loses no solution and lifts the linear relaxation, by several per
    cent where packs are large. Rows with a fractional entry keep capacity * (1 + 1e-9).
    """
    limit: FloatArray = capacity * (1.0 + CAPACITY_TOLERANCE)
    step = _common_steps(usage)
    whole = (step > 0) & (limit < _EXACT)
    limit[whole] = np.floor(limit[whole] / step[whole]) * step[whole]
    return limit


def _common_steps(usage: SparseColumns) -> FloatArray:
    """Return the greatest common divisor of each row's entries; 0 where one is not whole."""
    step = np.zeros(usage.shape[0])
    known = np.zeros(usage.shape[0], dtype=bool)
    for begin in range(0, len(usage.values), _PIECE):
        rows, values = usage.rows[begin : begin + _PIECE], usage.values[begin : begin + _PIECE]
        first = np.full(usage.shape[0], -1)
        first[rows[::-1]] = np.arange(len(rows))[::-1]
        fresh = np.flatnonzero(~known & (first >= 0))
        step[fresh], known[fresh] = values[first[fresh]], True
        fractional = (values != np.floor(values)) | (values > _EXACT)
        step[rows[fractional]] = 0.0
        share = values / np.where(step > 0, step, 1.0)[rows]
        odd = np.flatnonzero((share != np.floor(share)) & (step[rows] > 0))
        common = step.astype(np.int64)
        np.gcd.at(common, rows[odd], values[odd].astype(np.int64))
        step = common.astype(np.float64)
    return step
