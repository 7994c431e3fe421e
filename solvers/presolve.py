"""Dropping columns and rows that cannot matter, before an exact solver sees the problem."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvers.bounds import fits_alone
from solvers.problem import CAPACITY_TOLERANCE, AllocationProblem, BoolArray, IntArray
from solvers.sparse_columns import SparseColumns

__all__ = ["Reduction", "reduce_problem"]

# Dominance is looked for in a dense copy of the usage up to this many entries (160 MB); beyond,
# only columns that do not fit are dropped.
_DENSE_ENTRIES = 20_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Reduction:
    """A smaller problem with the same optimum, and the way back.

    Parameters
    ----------
    problem
        The smaller problem; None when some group lost all its columns, which proves infeasibility.
    kept
        Columns of the larger problem that the smaller one has, ascending.
    stand_in
        (n,), column that stands for each: itself where kept, the dominating one where dominated,
        -1 where the column fits nowhere.
    empty_group
        A group none of whose columns fits alone, or None.
    """

    problem: AllocationProblem | None
    kept: IntArray
    stand_in: IntArray
    empty_group: int | None = None

    def reduce(self, x: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return a solution (n,) of the larger problem as one of the smaller, no worse."""
        full = np.zeros(len(self.stand_in), dtype=np.int64)
        chosen = self.stand_in[np.flatnonzero(x)]
        full[chosen[chosen >= 0]] = 1
        return full[self.kept]

    def restore(self, x: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return a solution of the smaller problem as one of the larger, (n,)."""
        full = np.zeros(len(self.stand_in), dtype=np.int64)
        full[self.kept] = x
        return full


def reduce_problem(problem: AllocationProblem) -> Reduction:
    """Drop columns that do not fit alone, dominated columns and rows that cannot bind.

    A column is dominated when another of its group costs at most as much and uses at most as much
    of every row; of equal columns the first stays. Priorities are not looked at: give it problems
    without them.
    """
    kept = fits_alone(problem)
    missing = np.ones(problem.groups, dtype=bool)
    missing[problem.group[kept]] = False
    stand_in = np.where(kept, np.arange(problem.columns), -1)
    if missing.any():
        return Reduction(None, np.flatnonzero(kept), stand_in, int(np.argmax(missing)))
    rows = _binding_rows(problem, kept)
    if len(rows) * problem.columns <= _DENSE_ENTRIES:
        stand_in[kept] = _dominators(problem, np.flatnonzero(kept), rows)
    columns = np.flatnonzero(stand_in == np.arange(problem.columns))
    smaller = AllocationProblem(
        problem.cost[columns],
        _submatrix(problem.usage, rows, columns),
        problem.capacity[rows],
        problem.group[columns],
    )
    return Reduction(smaller, columns, stand_in)


def _submatrix(usage: SparseColumns, rows: IntArray, columns: IntArray) -> SparseColumns:
    matrix = usage.take(columns)
    mine = np.isin(matrix.rows, rows)
    return SparseColumns.from_triplets(
        (len(rows), len(columns)),
        rows=np.searchsorted(rows, matrix.rows[mine]),
        columns=matrix.columns[mine],
        values=matrix.values[mine],
    )


def _binding_rows(problem: AllocationProblem, kept: BoolArray) -> IntArray:
    """Return the rows that the largest choices of all groups together would exceed."""
    matrix = problem.usage
    mine = kept[matrix.columns]
    rows, columns, values = matrix.rows[mine], matrix.columns[mine], matrix.values[mine]
    cell = problem.group[columns] * problem.rows + rows
    order = np.lexsort((-values, cell))
    _, first = np.unique(cell[order], return_index=True)
    largest = order[first]
    most = np.bincount(rows[largest], weights=values[largest], minlength=problem.rows)
    # Half the tolerance: what is dropped here is not looked at by the back end any more.
    return np.flatnonzero(most > problem.capacity * (1.0 + CAPACITY_TOLERANCE / 2))


def _dominators(problem: AllocationProblem, columns: IntArray, rows: IntArray) -> IntArray:
    """Return for each column the one that dominates it, itself where none does.

    Compares each column with the cheaper ones of its group, one place further at a time.
    """
    usage = _submatrix(problem.usage, rows, columns).to_dense().T
    group, cost = problem.group[columns], problem.cost[columns]
    # Equal costs: the smaller usage first, so that whatever dominates a column stands before it.
    order = np.lexsort((columns, usage.sum(axis=1), cost, group))
    group, usage = group[order], usage[order]
    dominator = np.arange(len(order))
    for distance in range(1, len(order)):
        same = np.flatnonzero(group[distance:] == group[:-distance])
        if not same.size:
            break
        # Only columns that nothing dominates are compared from; dominance is transitive.
        later = same + distance
        open_pairs = same[(dominator[later] == later) & (dominator[same] == same)]
        worse = (usage[open_pairs] <= usage[open_pairs + distance]).all(axis=1)
        dominator[open_pairs[worse] + distance] = open_pairs[worse]
    while (dominator[dominator] != dominator).any():
        dominator = dominator[dominator]
    result = np.empty(len(columns), dtype=np.int64)
    result[order] = columns[order[dominator]]
    return result
