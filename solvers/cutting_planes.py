"""Maximising a Lagrangian dual by cutting planes inside a box trust region.

The dual of an allocation problem in its capacity rows is, for prices λ >= 0,

    L(λ) = sum over groups of min_j (c_j + λ·A_j) - λ·b,

concave and piecewise linear; every L(λ) is a lower bound on the optimum, and the largest is the LP
bound. Each evaluation gives a plane above L; the planes' highest point within a box around the best
prices is where L is evaluated next (Kelley 1960; trust region of Marsten, Hogan and Blankenship
1975). The master programme has one variable per row and one for the value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from solvers.base import SolveParams
from solvers.grouped_columns import GroupedColumns
from solvers.highs_arrays import new_highs, run_highs
from solvers.problem import FloatArray

__all__ = ["Ascent", "DualFunction", "PriceBox", "maximise_dual"]

# A step is taken when it gains this share of what the model promised; the box grows when it gains
# the larger share, and shrinks when it loses.
_ACCEPTED, _GOOD = 0.1, 0.5
_GROWTH, _SHRINKAGE = 2.0, 0.5


@dataclass(frozen=True, slots=True, eq=False)
class DualFunction:
    """L(λ), in floating point.

    Parameters
    ----------
    columns
        Of the groups whose choice depends on the prices.
    limit
        (m,), what these groups may use; negative where the others use more than there is.
    fixed_cost
        Of the other groups.
    """

    columns: GroupedColumns
    limit: FloatArray
    fixed_cost: float = 0.0

    def evaluate(self, prices: FloatArray) -> tuple[float, FloatArray]:
        """Return the value and a supergradient (m,)."""
        least = self.columns.minimum(prices)
        value = least.total + self.fixed_cost - float(prices @ self.limit)
        return value, least.usage - self.limit


@dataclass(frozen=True, slots=True, eq=False)
class PriceBox:
    """Prices (m,) between `low` and `high`."""

    low: FloatArray
    high: FloatArray

    def holds_inside(self, prices: FloatArray) -> bool:
        """Whether the prices touch no side of the box, 0 and prices that stay aside."""
        above = (prices > self.low) | (self.low == 0)
        below = (prices < self.high) | (self.low == self.high)
        return bool((above & below).all())


@dataclass(frozen=True, slots=True, eq=False)
class Ascent:
    """Where an ascent came to.

    Parameters
    ----------
    prices
        (m,), the best found.
    value
        L there.
    promise
        What the model says the rest of the box can still gain.
    evaluations
        Number of evaluations.
    """

    prices: FloatArray
    value: float
    promise: float
    evaluations: int


class _Master:
    """The planes found so far, as a linear programme in scaled prices and value."""

    def __init__(self, rows: int, params: SolveParams) -> None:
        import highspy

        self.rows = rows
        self.columns = np.arange(rows + 1, dtype=np.int32)
        # Warm-started after each plane: presolve would throw the basis away.
        self.highs: Any = new_highs(params, None, presolve="off")
        programme = highspy.HighsLp()
        programme.num_col_ = rows + 1
        programme.col_cost_ = np.append(np.zeros(rows), -1.0)
        programme.col_lower_ = np.append(np.zeros(rows), -np.inf)
        programme.col_upper_ = np.full(rows + 1, np.inf)
        self.highs.passModel(programme)

    def add(self, value: float, slope: FloatArray, at: FloatArray) -> None:
        """Add the plane `v <= value + slope @ (y - at)`."""
        self.highs.addRow(
            -np.inf, value - float(slope @ at), self.rows + 1, self.columns, np.append(-slope, 1.0)
        )

    def highest(self, low: FloatArray, high: FloatArray) -> tuple[FloatArray, float] | None:
        """Return the model's highest point in a box and its value; None if HiGHS finds none."""
        self.highs.changeColsBounds(self.rows, self.columns[: self.rows], low, high)
        if run_highs(self.highs) != "Optimal":
            return None
        point = np.array(self.highs.getSolution().col_value)
        return np.clip(point[:-1], low, high), float(point[-1])


def maximise_dual(
    evaluate: Callable[[FloatArray], tuple[float, FloatArray]],
    start: FloatArray,
    scale: FloatArray,
    unit: float,
    *,
    box: PriceBox,
    radius: float,
    tolerance: float,
    most_evaluations: int,
    out_of_time: Callable[[], bool],
    params: SolveParams,
) -> Ascent:
    """Maximise a concave function of prices that is given by values and supergradients.

    Parameters
    ----------
    start
        (m,), prices to start from.
    scale
        (m,), > 0: by how much each price moves when the radius is 1; 0 for prices that stay.
    unit
        Of the values, > 0: the master works in multiples of it.
    box
        Where the prices must stay.
    radius
        Of the first trust region, in multiples of the scale.
    tolerance
        Stop when the model promises no more than this gain, in cost.
    """
    value, slope = evaluate(start)
    best, base, evaluations = start, value, 1
    best_value, promise = value, math.inf
    safe_scale = np.where(scale > 0, scale, 1.0)
    low, high = box.low / safe_scale, box.high / safe_scale
    master = _Master(len(start), params)
    master.add(0.0, slope * scale / unit, start / safe_scale)
    while evaluations < most_evaluations and not out_of_time():
        centre = best / safe_scale
        moves = np.where(scale > 0, radius, 0.0)
        found = master.highest(np.maximum(centre - moves, low), np.minimum(centre + moves, high))
        if found is None:
            break
        promise = found[1] * unit + base - best_value
        if promise <= tolerance:
            break
        prices = np.clip(found[0] * safe_scale, box.low, box.high)
        value, slope = evaluate(prices)
        evaluations += 1
        master.add((value - base) / unit, slope * scale / unit, prices / safe_scale)
        gain = value - best_value
        if gain > _GOOD * promise:
            radius *= _GROWTH
        elif gain < 0:
            radius *= _SHRINKAGE
        if gain > _ACCEPTED * promise:
            best, best_value = prices, value
    return Ascent(best, best_value, promise, evaluations)
