"""A problem's columns in the order of their groups, and passes over them piece by piece.

Everything a Lagrangian method asks of a large problem is a pass over all columns: reduced costs at
some prices, the least of each group, the columns near the least. A pass works through runs of whole
groups, so that its temporaries stay small whatever the size of the problem.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from solvers.problem import CAPACITY_TOLERANCE, AllocationProblem, FloatArray, IntArray
from solvers.sparse_columns import SparseColumns

__all__ = ["GroupMinimum", "GroupedColumns"]

# Columns of one piece of a pass: 1 MB of float64, about a core's second-level cache.
_PIECE = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class GroupMinimum:
    """The least reduced cost of every group at some prices.

    Parameters
    ----------
    total
        Sum of the least reduced costs over all groups.
    magnitude
        Sum of their absolute values.
    choice
        (G,), position of the column that attains each.
    usage
        (m,), what these columns use together.
    """

    total: float
    magnitude: float
    choice: IntArray
    usage: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class GroupedColumns:
    """Columns sorted by group; a *position* is an index into them.

    Parameters
    ----------
    cost
        (n,).
    usage
        (m, n).
    starts
        (G + 1,), where each group begins.
    barred
        Ascending positions of columns that no solution has: larger than a row by themselves.
    """

    cost: FloatArray
    usage: SparseColumns
    starts: IntArray
    barred: IntArray

    @classmethod
    def of(cls, problem: AllocationProblem) -> tuple[GroupedColumns, IntArray | None]:
        """Sort a problem's columns.

        Returns
        -------
        tuple
            The columns, and the problem's index of each position (n,); None when they agree.
        """
        group, cost, usage = problem.group, problem.cost, problem.usage
        order = None
        if not bool((group[1:] >= group[:-1]).all()):
            order = np.argsort(group, kind="stable")
            cost, usage = cost[order], usage.take(order)
        starts = np.zeros(problem.groups + 1, dtype=np.int64)
        np.cumsum(np.bincount(group, minlength=problem.groups), out=starts[1:])
        limit = problem.capacity * (1.0 + CAPACITY_TOLERANCE)
        return cls(cost, usage, starts, _oversized(usage, limit)), order

    @property
    def groups(self) -> int:
        """Number of groups G."""
        return len(self.starts) - 1

    @property
    def size(self) -> int:
        """Number of columns n."""
        return len(self.cost)

    def pieces(self) -> Iterator[tuple[int, int]]:
        """Yield ranges of whole groups, first and one past the last."""
        cuts = np.searchsorted(self.starts, np.arange(_PIECE, self.size, _PIECE))
        bounds = np.unique(np.concatenate([[0], cuts, [self.groups]]))
        yield from zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)

    def reduced_cost(self, prices: FloatArray, first: int, last: int) -> FloatArray:
        """Return cost plus priced usage of the columns of some groups; +inf where barred."""
        begin, end = int(self.starts[first]), int(self.starts[last])
        indptr = self.usage.indptr
        entries = slice(int(indptr[begin]), int(indptr[end]))
        priced = prices[self.usage.rows[entries]]
        priced *= self.usage.values[entries]
        counts = indptr[begin + 1 : end + 1] - indptr[begin:end]
        reduced = self.cost[begin:end].copy()
        using = np.flatnonzero(counts)
        if len(using) < len(priced):
            priced = np.add.reduceat(priced, indptr[begin:end][using] - entries.start)
        if len(using) == len(reduced):
            reduced += priced
        else:
            reduced[using] += priced
        out = slice(*np.searchsorted(self.barred, (begin, end)).tolist())
        reduced[self.barred[out] - begin] = np.inf
        return reduced

    def minimum(self, prices: FloatArray, slack: FloatArray | None = None) -> GroupMinimum:
        """Find each group's least reduced cost; of equal ones the first.

        Parameters
        ----------
        slack
            (n,), is filled with the distance of each column to its group's least.
        """
        choice = np.empty(self.groups, dtype=np.int64)
        totals, magnitudes = [], []
        usage = np.zeros(self.usage.shape[0])
        for first, last in self.pieces():
            reduced = self.reduced_cost(prices, first, last)
            least, where = self._least(reduced, first, last)
            if slack is not None:
                begin, end = int(self.starts[first]), int(self.starts[last])
                np.subtract(
                    reduced, np.repeat(least, self._widths(first, last)), out=slack[begin:end]
                )
            where += self.starts[first]
            choice[first:last] = where
            totals.append(float(least.sum()))
            magnitudes.append(float(np.abs(least).sum()))
            usage += self.used(where)
        return GroupMinimum(float(np.sum(totals)), float(np.sum(magnitudes)), choice, usage)

    def reduced_cost_of(self, prices: FloatArray, positions: IntArray) -> FloatArray:
        """Return cost plus priced usage of some columns; +inf where barred."""
        reduced: FloatArray = self.cost[positions] + self.usage.take(positions).weighed(prices)
        if self.barred.size:
            reduced[np.isin(positions, self.barred)] = np.inf
        return reduced

    def used(self, positions: IntArray) -> FloatArray:
        """Return what some columns use of each row together, as (m,)."""
        entries = self._entries(positions)
        rows, values = self.usage.rows[entries], self.usage.values[entries]
        total = np.bincount(rows, weights=values, minlength=self.usage.shape[0])
        return total.astype(np.float64, copy=False)

    def group_of(self, positions: IntArray) -> IntArray:
        """Return the group of each position."""
        return np.searchsorted(self.starts, positions, side="right") - 1

    def below(
        self, prices: FloatArray, slack: float, *, stride: int = 1
    ) -> tuple[IntArray, FloatArray]:
        """Return the columns whose reduced cost is within `slack` of their group's least.

        Parameters
        ----------
        stride
            Look at every so manieth piece of the pass only: a sample.

        Returns
        -------
        tuple
            Positions, ascending, and the distance of each to its group's least.
        """
        positions, distances = [], []
        for first, last in list(self.pieces())[::stride]:
            reduced = self.reduced_cost(prices, first, last)
            reduced -= np.repeat(self._least_value(reduced, first, last), self._widths(first, last))
            near = np.flatnonzero(reduced <= slack)
            distances.append(reduced[near])
            positions.append(near + self.starts[first])
        return np.concatenate(positions), np.concatenate(distances)

    def contenders(self, low: FloatArray, high: FloatArray) -> tuple[IntArray, IntArray]:
        """Return the columns that can be their group's least at prices within a box.

        A column is out when its reduced cost at the low prices passes another's at the high ones.

        Returns
        -------
        tuple
            Positions of the only contenders of their groups, and of those of the other groups,
            both ascending.
        """
        alone, several = [], []
        for first, last in self.pieces():
            widths = self._widths(first, last)
            bar = self._least_value(self.reduced_cost(high, first, last), first, last)
            keep = self.reduced_cost(low, first, last) <= np.repeat(bar, widths)
            offsets = self.starts[first:last] - self.starts[first]
            count = np.add.reduceat(keep, offsets, dtype=np.int64)
            single = np.repeat(count == 1, widths)
            alone.append(np.flatnonzero(keep & single) + self.starts[first])
            several.append(np.flatnonzero(keep & ~single) + self.starts[first])
        return np.concatenate(alone), np.concatenate(several)

    def take(self, positions: IntArray, weight: FloatArray | None = None) -> GroupedColumns:
        """Return some columns (ascending) as columns of their own; groups without any vanish.

        Parameters
        ----------
        weight
            Of each position, multiplies its cost and usage.
        """
        _, counts = np.unique(self.group_of(positions), return_counts=True)
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        usage, cost = self.usage.take(positions), self.cost[positions]
        if weight is not None:
            values = usage.values * np.repeat(weight, np.diff(usage.indptr))
            usage = SparseColumns(usage.shape, usage.indptr, usage.rows, values)
            cost = cost * weight
        where = np.searchsorted(self.barred, positions)
        where[where == len(self.barred)] = 0
        barred = (
            np.flatnonzero(self.barred[where] == positions) if len(self.barred) else self.barred
        )
        return GroupedColumns(cost, usage, starts, barred)

    def _widths(self, first: int, last: int) -> IntArray:
        return np.diff(self.starts[first : last + 1])

    def _least_value(self, reduced: FloatArray, first: int, last: int) -> FloatArray:
        offsets = self.starts[first:last] - self.starts[first]
        least: FloatArray = np.minimum.reduceat(reduced, offsets)
        return least

    def _least(self, reduced: FloatArray, first: int, last: int) -> tuple[FloatArray, IntArray]:
        """Return the least of each group and where in the piece it stands."""
        offsets = self.starts[first:last] - self.starts[first]
        width = int(offsets[1]) if len(offsets) > 1 else len(reduced)
        if len(reduced) == width * len(offsets) and bool((np.diff(offsets) == width).all()):
            table = reduced.reshape(-1, width)
            where = table.argmin(axis=1) + offsets
            return reduced[where], where
        least = self._least_value(reduced, first, last)
        attained = np.flatnonzero(reduced == np.repeat(least, self._widths(first, last)))
        where = attained[np.searchsorted(attained, offsets)]
        return least, where

    def _entries(self, positions: IntArray) -> IntArray:
        """Return where the usage entries of some columns stand."""
        begins = self.usage.indptr[positions]
        counts = self.usage.indptr[positions + 1] - begins
        if counts.size and counts.max() <= 1:
            return begins[counts > 0]
        ends = np.cumsum(counts)
        total = int(ends[-1]) if len(ends) else 0
        return np.repeat(begins - ends + counts, counts) + np.arange(total)


def _oversized(usage: SparseColumns, limit: FloatArray) -> IntArray:
    """Return the columns of which an entry passes its row's limit."""
    found = [np.zeros(0, dtype=np.int64)]
    for begin in range(0, len(usage.values), _PIECE):
        piece = slice(begin, begin + _PIECE)
        found.append(begin + np.flatnonzero(usage.values[piece] > limit[usage.rows[piece]]))
    columns: IntArray = np.searchsorted(usage.indptr, np.concatenate(found), side="right") - 1
    return np.unique(columns)
