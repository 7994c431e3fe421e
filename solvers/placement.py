"""Columns placed group by group into the free capacity: the state of the heuristics."""

from __future__ import annotations

import numpy as np

from solvers.bounds import fits_alone
from solvers.problem import CAPACITY_TOLERANCE, AllocationProblem, BoolArray, IntArray

__all__ = ["NOTHING", "Placement"]

NOTHING = -1  # no column is placed for the group


class Placement:
    """One column, part of a column or nothing for each group, and what capacity is left.

    Parameters
    ----------
    problem
        Columns that mean "unserved" are no candidates; they are taken by `complete`.

    Notes
    -----
    Rows are kept up to `capacity * (1 + CAPACITY_TOLERANCE)`. Plain Python lists: the heuristics
    touch one column at a time.
    """

    def __init__(self, problem: AllocationProblem) -> None:
        self.problem = problem
        self.choice: list[int] = [NOTHING] * problem.groups
        self.taken: dict[int, int] = {}  # parts of groups that take less than their column
        self.cost: list[float] = problem.cost.tolist()
        matrix = problem.usage
        self._free: list[float] = (problem.capacity * (1.0 + CAPACITY_TOLERANCE)).tolist()
        self._first: list[int] = matrix.indptr.tolist()
        self._rows: list[int] = matrix.rows.tolist()
        self._values: list[float] = matrix.values.tolist()
        self._wholes = None if problem.parts is None else problem.parts.tolist()
        serving = np.ones(problem.columns, dtype=bool)
        if problem.unserved is not None:
            serving = ~problem.unserved
        self._serving = serving
        self.candidates = _by_group(problem, serving & fits_alone(problem))

    @property
    def free(self) -> list[float]:
        """Capacity left of each row, tolerance included."""
        return self._free

    def entries(self, column: int) -> list[tuple[int, float]]:
        """Return (row, usage) of one column."""
        entries = slice(self._first[column], self._first[column + 1])
        return list(zip(self._rows[entries], self._values[entries], strict=True))

    def fits(self, column: int) -> bool:
        """Whether the whole column fits into what is free."""
        free, rows, values = self._free, self._rows, self._values
        return all(
            values[entry] <= free[rows[entry]]
            for entry in range(self._first[column], self._first[column + 1])
        )

    def fits_instead(self, group: int, column: int) -> bool:
        """Whether the column fits once what the group has now is given back."""
        kept = self.choice[group]
        if kept == NOTHING:
            return self.fits(column)
        self._use(kept, -self._share(group))
        fits = self.fits(column)
        self._use(kept, self._share(group))
        return fits

    def place(self, group: int, column: int, parts: int | None = None) -> None:
        """Give the group this column, whole or some parts of it; fitting is the caller's care."""
        self.remove(group)
        self.choice[group] = column
        if parts is not None and parts < self.whole(column):
            self.taken[group] = parts
        self._use(column, self._share(group))

    def remove(self, group: int) -> None:
        """Give back what the group has."""
        if self.choice[group] != NOTHING:
            self._use(self.choice[group], -self._share(group))
            self.choice[group] = NOTHING
            self.taken.pop(group, None)

    def whole(self, column: int) -> int:
        """Return the number of parts of a column."""
        return 1 if self._wholes is None else self._wholes[column]

    def parts_that_fit(self, column: int) -> int:
        """Return how many parts of a column fit into what is free, at most all."""
        whole = self.whole(column)
        most = whole
        for row, value in self.entries(column):
            most = min(most, int(self._free[row] * whole / value)) if value > 0 else most
        return max(most, 0)

    def admit_unserved(self) -> None:
        """Let "unserved" columns be candidates like any other, where only the cost counts."""
        self.candidates = _by_group(self.problem, fits_alone(self.problem))

    def part_candidates(self) -> list[list[int]]:
        """Return the serving columns of which at least one part fits alone, cheapest first."""
        return _by_group(self.problem, self._serving & fits_alone(self.problem, part=True))

    def complete(self) -> bool:
        """Leave every group that has nothing unserved; False if one cannot be."""
        empty = [group for group, column in enumerate(self.choice) if column == NOTHING]
        if not empty:
            return True
        if self.problem.unserved is None:
            return False
        leaving = _by_group(self.problem, self.problem.unserved & fits_alone(self.problem))
        for group in empty:
            column = next((c for c in leaving[group] if self.fits(c)), None)
            if column is None:
                return False
            self.place(group, column)
        return True

    def solution(self) -> IntArray:
        """Return x (n,) of a complete placement."""
        x = np.zeros(self.problem.columns, dtype=np.int64)
        x[self.choice] = 1
        return x

    def parts(self) -> IntArray | None:
        """Return the parts taken (n,); None when every column is whole."""
        if not self.taken:
            return None
        taken = np.zeros(self.problem.columns, dtype=np.int64)
        for group, column in enumerate(self.choice):
            taken[column] = self.taken.get(group, self.whole(column))
        return taken

    def _share(self, group: int) -> float:
        column = self.choice[group]
        return self.taken[group] / self.whole(column) if group in self.taken else 1.0

    def _use(self, column: int, share: float) -> None:
        free, rows, values = self._free, self._rows, self._values
        for entry in range(self._first[column], self._first[column + 1]):
            free[rows[entry]] -= values[entry] * share


def _by_group(problem: AllocationProblem, among: BoolArray) -> list[list[int]]:
    """Return some columns of each group, cheapest first, equal costs in input order."""
    columns = np.flatnonzero(among)
    order = columns[np.lexsort((columns, problem.cost[columns], problem.group[columns]))]
    bounds = np.searchsorted(problem.group[order], np.arange(problem.groups + 1)).tolist()
    flat = order.tolist()
    return [flat[bounds[g] : bounds[g + 1]] for g in range(problem.groups)]
