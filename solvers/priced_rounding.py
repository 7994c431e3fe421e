"""From a choice that prices suggest to feasible ones, with ever more columns to swap to."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from solvers.price_repair import PriceRepair
from solvers.priced_columns import PricedColumns
from solvers.problem import CAPACITY_TOLERANCE, FloatArray, IntArray
from solvers.reduced_cost_core import nearest_columns

__all__ = ["round_at_prices"]

# Columns beyond one per group that repair may swap to, and entries of their dense usage.
_REPAIR_COLUMNS, _REPAIR_ENTRIES = 5_000, 4_000_000
_REPAIR_GROWTH = 4
# What is left over may be worth this share of the allowed gap.
_FILLED_SHARE = 0.25


def round_at_prices(
    priced: PricedColumns,
    capacity: FloatArray,
    limit: FloatArray,
    choice: IntArray,
    *,
    adopt: Callable[[IntArray], bool],
    allowed_gap: Callable[[], float],
    out_of_time: Callable[[], bool],
    then_cores: bool = False,
) -> None:
    """Make a choice feasible by swaps of least loss, and fill what is left over.

    Parameters
    ----------
    capacity, limit
        (m,), `inf` allowed; the limits are at most the capacities, tolerance included.
    choice
        (G,), positions, not necessarily feasible.
    adopt
        Is given each feasible choice (G,); returns whether that closes the gap.
    allowed_gap
        Returns the gap that was asked for, in cost.
    out_of_time
        Whether to stop.
    then_cores
        Whether cores of a few hundred columns follow that take milliseconds: they do better what
        is left to do for a feasible choice.
    """
    columns, prices = priced.columns, priced.prices
    most = _REPAIR_ENTRIES // max(len(limit), 1)
    count = min(_REPAIR_COLUMNS, most)
    # Half the tolerance: sums in another order stay within the whole.
    limit = np.minimum(limit, capacity * (1.0 + CAPACITY_TOLERANCE / 2))
    while not out_of_time():
        near = nearest_columns(priced, count, math.inf)
        others = near.positions != choice[columns.group_of(near.positions)]
        repair = PriceRepair(columns, limit, prices, choice, near.positions[others])
        feasible, closed = repair.unload(out_of_time), False
        if feasible:
            repair.fill(out_of_time)
            closed = adopt(repair.choice)
        if feasible and then_cores:
            return
        choice = repair.choice
        left = np.where(prices > 0, repair.left, 0.0)
        if feasible and float(left @ prices) <= _FILLED_SHARE * allowed_gap():
            if not closed:
                repair.exchange(out_of_time)
                adopt(repair.choice)
            return
        if math.isinf(near.rest) or count >= most:
            return
        count = min(count * _REPAIR_GROWTH, most)
