"""Rows that are kept with a probability as linear rows: one per direction of the deviations."""

from __future__ import annotations

import dataclasses

import numpy as np

from solvers.chance import Chance
from solvers.chance_chords import VarianceChords
from solvers.problem import CAPACITY_TOLERANCE, AllocationProblem, FloatArray, IntArray
from solvers.sparse_columns import SparseColumns

__all__ = ["ChanceCuts", "fitting_columns", "with_columns"]


def fitting_columns(problem: AllocationProblem) -> IntArray:
    """Return the columns that keep every row alone, with the room for their own deviations.

    The others are in no solution, as no entry is negative.
    """
    chance = problem.chance
    assert chance is not None
    places = chance.row[chance.spread.rows] * problem.columns + chance.spread.columns
    means = problem.usage.rows * problem.columns + problem.usage.columns
    known, entry = np.unique(np.concatenate([places, means]), return_inverse=True)
    squares = np.bincount(entry[: len(places)], chance.spread.values**2, minlength=len(known))
    mean = np.bincount(entry[len(places) :], problem.usage.values, minlength=len(known))
    row, column = np.divmod(known, problem.columns)
    over = mean + np.sqrt(squares) > problem.capacity[row] * (1.0 + CAPACITY_TOLERANCE)
    return np.setdiff1d(np.arange(problem.columns), column[over])


def with_columns(problem: AllocationProblem, columns: IntArray) -> AllocationProblem:
    """Return the problem of some columns, of which every group has one."""
    assert problem.chance is not None
    return dataclasses.replace(
        problem,
        cost=problem.cost[columns],
        usage=problem.usage.take(columns),
        group=problem.group[columns],
        unserved=None if problem.unserved is None else problem.unserved[columns],
        parts=None if problem.parts is None else problem.parts[columns],
        chance=Chance(problem.chance.spread.take(columns), problem.chance.row),
    )


class ChanceCuts:
    """Linear rows that every solution of a problem with uncertain rows keeps.

    For any u of length 1, u'Dx <= |Dx|: in the direction u the cone is a half-space, and the one
    at u = Dx / |Dx| touches it at x. A row without a direction yet is its mean alone.

    Parameters
    ----------
    problem
        With an uncertain part.

    References
    ----------
    .. [1] Duran, M. A., Grossmann, I. E. (1986). An outer-approximation algorithm for a class of
       mixed-integer nonlinear programs. *Mathematical Programming* 36, 307-339.
    """

    def __init__(self, problem: AllocationProblem) -> None:
        assert problem.chance is not None
        self._problem, self._chance = problem, problem.chance
        self.rows = np.unique(problem.chance.row)
        self._kept: list[tuple[int, SparseColumns]] = []
        spread, group = problem.chance.spread, problem.group
        first = np.full(problem.chance.factors, len(group))
        last = np.full(problem.chance.factors, -1)
        np.minimum.at(first, spread.rows, group[spread.columns])
        np.maximum.at(last, spread.rows, group[spread.columns])
        self._of_one_group = first >= last
        self.chords = VarianceChords(problem, self._of_one_group)

    def usage_at(self, x: FloatArray | IntArray) -> FloatArray:
        """Return (m,), usage of each row at x (n,) with the room for its deviations."""
        point = np.asarray(x, dtype=np.float64)
        mean = self._problem.usage.dot(point)
        return mean + self._chance.deviations(point, self._problem.rows)

    def violated(self, x: IntArray) -> IntArray:
        """Return the rows that x passes."""
        over = self.usage_at(x) > self._problem.capacity * (1.0 + CAPACITY_TOLERANCE)
        return np.flatnonzero(over)

    def linear_usage(self, x: FloatArray | IntArray) -> SparseColumns:
        """Return (m, n), each row in the direction of its deviations at x."""
        chance, problem = self._chance, self._problem
        moved = chance.spread.dot(np.asarray(x, dtype=np.float64))
        length = np.sqrt(np.bincount(chance.row, moved**2, minlength=problem.rows))[chance.row]
        direction = np.divide(moved, length, out=np.zeros(len(moved)), where=length > 0)
        return self._with_deviations(chance.spread.values * direction[chance.spread.rows])

    def _with_deviations(self, values: FloatArray) -> SparseColumns:
        """Return (m, n): mean usage and, by row and column, the sum of what stands for spread."""
        from scipy.sparse import coo_array

        spread, usage = self._chance.spread, self._problem.usage
        rows = np.concatenate([usage.rows, self._chance.row[spread.rows]])
        columns = np.concatenate([usage.columns, spread.columns])
        entries = np.concatenate([usage.values, values])
        return SparseColumns.from_any(coo_array((entries, (rows, columns)), shape=usage.shape))

    def add(self, x: FloatArray | IntArray, rows: IntArray) -> None:
        """Keep the half-spaces that touch the cones of some uncertain rows at x."""
        tilted = self.linear_usage(x)
        for row in np.intersect1d(rows, self.rows).tolist():
            self._kept.append((row, _one_row(tilted, row)))

    def inside(self, x: IntArray) -> AllocationProblem:
        """Return a problem of linear rows whose solutions near x (n,) keep the cones.

        With V the summed squares of a row's deviations, sqrt(V) <= (V + V0) / (2 sqrt(V0)) with
        equality at V0. What a factor that is of one group alone adds to V is linear in whole
        columns; of the others one term of the square is taken at x, so that the solution has to be
        checked.
        """
        chance, problem = self._chance, self._problem
        moved = chance.spread.dot(np.asarray(x, dtype=np.float64))
        squares = np.bincount(chance.row, moved**2, minlength=problem.rows)
        length = np.sqrt(squares)
        room = problem.capacity - length / 2.0
        near = (length > 0) & (room > 0) & np.isfinite(problem.capacity)
        half = np.divide(0.5, length, out=np.zeros(problem.rows), where=near)
        spread = chance.spread
        one = np.where(self._of_one_group[spread.rows], spread.values, moved[spread.rows])
        row = chance.row[spread.rows]
        usage = self._with_deviations(spread.values * one * half[row])
        capacity = np.where(near, room, problem.capacity)
        return dataclasses.replace(problem, usage=usage, capacity=capacity, chance=None)

    def problem(self) -> AllocationProblem:
        """Return the problem with linear rows alone, a relaxation."""
        capacity = self._problem.capacity
        number = np.array([row for row, _ in self._kept], dtype=np.int64)
        plain = np.setdiff1d(np.arange(self._problem.rows), number)
        usage = self._problem.usage.scaled_rows(plain, np.ones(len(plain)))
        chords, limits = self.chords.linear()
        return dataclasses.replace(
            self._problem,
            usage=SparseColumns.stack([usage, *(cut for _, cut in self._kept), chords]),
            capacity=np.concatenate([capacity[plain], capacity[number], limits]),
            chance=None,
        )


def _one_row(matrix: SparseColumns, row: int) -> SparseColumns:
    return matrix.scaled_rows(np.array([row]), np.ones(1))
