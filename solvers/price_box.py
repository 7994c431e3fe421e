"""The best prices within a box: the linear relaxation over the columns that matter there.

The dual of an allocation problem in its capacity rows is, for prices p >= 0,

    L(p) = sum over groups of min_j (c_j + p @ A_j) - p @ b,

concave and piecewise linear; every L(p) is a lower bound on the optimum, and the largest is the LP
bound. Within low <= p <= high most groups have one column that is always their least. What the
others leave is a small linear programme in which every unit of overload costs `high` and every unit
left over gains `low`: its duals are the best prices of the box. (The reduction by intervals of
multipliers is that of boxstep methods: Marsten, Hogan and Blankenship 1975.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from solvers.base import SolveParams
from solvers.grouped_columns import GroupedColumns
from solvers.highs_arrays import new_highs, run_highs
from solvers.problem import FloatArray
from solvers.swap_model import SwapModel

__all__ = ["BoxOptimum", "PriceBox", "best_prices"]


# A side is touched within this share of the box: prices come out of a solver in floating point.
_CLOSE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class PriceBox:
    """Prices (m,) with 0 <= low <= high."""

    low: FloatArray
    high: FloatArray

    @classmethod
    def around(cls, prices: FloatArray, moves: FloatArray) -> PriceBox:
        """Return the box of prices at most `moves` (m,) away."""
        return cls(np.maximum(prices - moves, 0.0), prices + moves)

    def sides(self, prices: FloatArray) -> int:
        """Return how many sides of the box the prices touch, 0 and prices that stay aside."""
        close = _CLOSE * (self.high - self.low)
        moves = self.low < self.high
        below = moves & (self.low > 0) & (prices <= self.low + close)
        return int((below | (moves & (prices >= self.high - close))).sum())


@dataclass(frozen=True, slots=True, eq=False)
class BoxOptimum:
    """The best prices (m,) of a box, and L there, in floating point."""

    prices: FloatArray
    value: float


def best_prices(
    columns: GroupedColumns,
    limit: FloatArray,
    box: PriceBox,
    params: SolveParams,
    time_limit_s: float | None,
) -> BoxOptimum | None:
    """Maximise L over a box; None when the time does not suffice.

    Parameters
    ----------
    limit
        (m,), finite where a price may differ from 0.
    """
    alone, several = columns.contenders(box.low, box.high)
    open_columns = columns.take(several)
    left = limit - columns.used(alone)
    fixed_cost = float(columns.cost[alone].sum())
    rows = np.flatnonzero(box.high > 0)
    middle = (box.low + box.high) / 2
    if not (rows.size and open_columns.groups):
        # L is linear in the box: the slope is what is left.
        prices = np.where(left < 0, box.high, box.low)
        return BoxOptimum(prices, fixed_cost - float(prices @ left))
    base = open_columns.minimum(middle).choice
    group = np.repeat(np.arange(open_columns.groups), np.diff(open_columns.starts))
    base_cost = open_columns.cost[base]
    cost = open_columns.cost - base_cost[group]
    # Costs and rows in units that make prices at most 1 and usages moderate, whatever the prices.
    unit = max(
        float(np.abs(cost).mean()),
        float(box.high[rows] @ np.abs(limit[rows])) / columns.groups,
        1e-300,
    )
    factor = box.high[rows] / unit
    usage = open_columns.usage.scaled_rows(rows, factor)
    model = SwapModel.of(cost / unit, usage, left[rows] * factor, group, base, merged=False)
    # The basis at the middle of the box is nearly right: presolve would take longer than the rest.
    highs = new_highs(params, time_limit_s, presolve="off")
    programme = model.programme(whole=False)
    lower = np.array(programme.row_lower_)
    lower[: len(rows)] = model.limit
    programme.row_lower_ = lower
    highs.passModel(programme)
    for row, share in enumerate((box.low[rows] / box.high[rows]).tolist()):
        highs.addCol(1.0, 0.0, np.inf, 1, [row], [-1.0])
        highs.addCol(-share, 0.0, np.inf, 1, [row], [1.0])
    if run_highs(highs) != "Optimal":
        return None
    duals = -np.array(highs.getSolution().row_dual)[: len(rows)]
    prices = np.zeros(len(limit))
    prices[rows] = np.clip(duals * box.high[rows], box.low[rows], box.high[rows])
    gain = unit * float(highs.getInfo().objective_function_value)
    return BoxOptimum(prices, fixed_cost + float(base_cost.sum()) + gain)
