"""What prices on the capacity rows prove: a lower bound on every solution's cost."""

from __future__ import annotations

import numpy as np

from solvers.grouped_columns import GroupedColumns, GroupMinimum
from solvers.problem import FloatArray

__all__ = ["price_bound", "valid_prices"]


def price_bound(
    columns: GroupedColumns, limit: FloatArray, least: GroupMinimum, prices: FloatArray
) -> float:
    """Return the Lagrangian dual function at some prices, less all that rounding may have added.

    Whatever the prices, no solution costs less: of each group it pays at least the least reduced
    cost, and it uses no row beyond its limit [1]_. Where the prices come from does not matter.

    Parameters
    ----------
    limit
        (m,), >= 0, `inf` allowed: such rows have price 0.
    least
        The columns' minimum at these prices.
    prices
        (m,), finite, >= 0.

    References
    ----------
    .. [1] Geoffrion, A. M. (1974). Lagrangean relaxation for integer programming. *Mathematical
       Programming Study* 2, 82-114.
    """
    finite = np.isfinite(limit)
    paid = float(prices[finite] @ limit[finite])
    entries = np.diff(columns.usage.indptr)
    depth = int(entries.max(initial=0)) + len(limit) + 64
    negative = 0.0
    if columns.cost.min() < 0:
        lowest = np.minimum.reduceat(columns.cost, columns.starts[:-1])
        negative = float(np.maximum(-lowest, 0.0).sum())
    rounding = depth * 2.0**-52 * (least.magnitude + 2.0 * negative + paid)
    return least.total - paid - rounding


def valid_prices(claimed: FloatArray, limit: FloatArray) -> FloatArray:
    """Return prices that `price_bound` may be asked about, nearest to what someone claims.

    What is negative or no number becomes 0, and so does the price of a row without a finite limit
    above 0: the former cannot bind, the latter no column that is in a solution uses.
    """
    priced = np.isfinite(limit) & (limit > 0) & np.isfinite(claimed)
    return np.where(priced, np.maximum(claimed, 0.0), 0.0)
