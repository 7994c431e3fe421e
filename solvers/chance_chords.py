"""Uncertain rows as chords over their variance: nearer than half-spaces where choices are whole.

Of a factor that moves one group alone, (Dx)^2 is linear in whole choices, since one column is taken
of the group: the variance V of a row's such factors is a sum over columns. Its root is concave, so
that between bounds on V it lies above their chord, a linear row that every solution keeps. In
fractions the chord sees the variance that a half-space of (Dx)^2 takes for less. The narrower the
bounds, the nearer the chord; linear programmes find them, of solutions no dearer than one that is
known.
"""

from __future__ import annotations

import numpy as np

from solvers.base import SolveParams
from solvers.grouped_columns import GroupedColumns
from solvers.highs_arrays import choice_programme, new_highs, run_highs
from solvers.price_bound import price_bound, valid_prices
from solvers.problem import CAPACITY_TOLERANCE, AllocationProblem, FloatArray, IntArray
from solvers.sparse_columns import SparseColumns

__all__ = ["VarianceChords"]


class VarianceChords:
    """A chord per uncertain row, between bounds on its variance.

    Parameters
    ----------
    problem
        With an uncertain part.
    of_one_group
        (factors,), which factors have entries in one group alone.
    """

    def __init__(self, problem: AllocationProblem, of_one_group: np.ndarray) -> None:
        assert problem.chance is not None
        self._problem, self._chance = problem, problem.chance
        spread = problem.chance.spread
        self._alone = of_one_group[spread.rows]
        self.variance: FloatArray = np.zeros((problem.rows, problem.columns))
        np.add.at(
            self.variance,
            (problem.chance.row[spread.rows[self._alone]], spread.columns[self._alone]),
            spread.values[self._alone] ** 2,
        )
        finite = np.isfinite(problem.capacity)
        self.rows: IntArray = np.flatnonzero(self.variance.any(axis=1) & finite)
        order = np.argsort(problem.group, kind="stable")
        starts = np.searchsorted(problem.group[order], np.arange(problem.groups))
        sorted_ = self.variance[:, order]
        self.low: FloatArray = np.minimum.reduceat(sorted_, starts, axis=1).sum(axis=1)
        self.high: FloatArray = np.maximum.reduceat(sorted_, starts, axis=1).sum(axis=1)
        self._direction = np.ones((problem.rows, 1))
        self._point: FloatArray | None = None

    def look_from(self, x: FloatArray | IntArray) -> None:
        """Weigh single groups' deviations and common ones as at a point (n,)."""
        self._point = np.asarray(x, dtype=np.float64)

    def linear(self) -> tuple[SparseColumns, FloatArray]:
        """Return (rows, n) and (rows,): the chords as capacity rows that every solution keeps."""
        problem, chance, spread = self._problem, self._chance, self._chance.spread
        point = np.zeros(problem.columns) if self._point is None else self._point
        moved = np.where(self._of_many(), spread.dot(point), 0.0)
        own = np.maximum(self.variance @ point, 0.0)
        length = np.sqrt(own + np.bincount(chance.row, moved**2, minlength=problem.rows))
        alone = np.divide(np.sqrt(own), length, out=np.ones(problem.rows), where=length > 0)
        common = np.divide(moved, length[chance.row], out=np.zeros(len(moved)),
                           where=length[chance.row] > 0)  # fmt: skip
        least, most = np.sqrt(self.low), np.sqrt(self.high)
        slope = np.divide(1.0, least + most, out=np.zeros(problem.rows), where=most > 0)
        dense = problem.usage.to_dense() + (alone * slope)[:, None] * self.variance
        many = ~self._alone
        np.add.at(
            dense,
            (chance.row[spread.rows[many]], spread.columns[many]),
            spread.values[many] * common[spread.rows[many]],
        )
        limit = np.maximum(problem.capacity - alone * slope * least * most, 0.0)
        return SparseColumns.from_any(dense[self.rows]), limit[self.rows]

    def _of_many(self) -> np.ndarray:
        found = np.zeros(self._chance.factors, dtype=np.bool_)
        found[self._chance.spread.rows[~self._alone]] = True
        return found

    def tighten(
        self, row: int, linear: AllocationProblem, at_most: float, time_limit_s: float | None
    ) -> None:
        """Narrow the bounds on a row's variance to solutions of linear rows that cost so much.

        Bounds are those that the programmes' prices prove, not their values.
        """
        offset = min(float(linear.cost.min()), 0.0)
        dearest = SparseColumns.from_any(np.atleast_2d(linear.cost - offset))
        limited = AllocationProblem(
            linear.cost,
            SparseColumns.stack([linear.usage, dearest]),
            np.append(linear.capacity, max(at_most - offset * linear.groups, 0.0)),
            linear.group,
        )
        least = _proven(limited, self.variance[row], time_limit_s)
        most = -_proven(limited, -self.variance[row], time_limit_s)
        self.low[row] = max(self.low[row], least)
        self.high[row] = max(min(self.high[row], most), self.low[row])


def _proven(problem: AllocationProblem, objective: FloatArray, time_limit_s: float | None) -> float:
    """Return a lower bound on the sum of an objective over solutions; -inf where none is found."""
    limit = problem.capacity * (1.0 + CAPACITY_TOLERANCE)
    highs = new_highs(SolveParams(), time_limit_s)
    highs.passModel(choice_programme(objective, problem.usage, limit, problem.group, binary=False))
    if run_highs(highs) != "Optimal":
        return -np.inf
    claimed = -np.array(highs.getSolution().row_dual)[: problem.rows]
    asked = AllocationProblem(objective, problem.usage, problem.capacity, problem.group)
    columns, _ = GroupedColumns.of(asked)
    prices = valid_prices(claimed, limit)
    return price_bound(columns, limit, columns.minimum(prices), prices)
