"""Groups whose plans must agree, such as a pool and its classes: taken together as one unit.

Some rows of links hold nothing but columns that begin a plan: that a class is in one pool or in
none, that a pool is open. Of a few groups under such rows all ways to agree are listed, each a
cell per group: the beginnings that look alike to these rows. A plan of the unit is a plan of each
cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod

import numpy as np

from solvers.problem import AllocationProblem, BoolArray, FloatArray, IntArray

__all__ = ["Cluster", "Clusters"]

# Groups under common rows are taken together up to so many, and so many ways to combine cells.
_MOST_GROUPS, _MOST_WAYS = 16, 5_000

# Cells of one way to agree, one per group.
Cluster = list[IntArray]


class Clusters:
    """Units of groups, and cells of beginnings.

    Parameters
    ----------
    problem
        Its links may tie beginnings together.
    begin_group, begin_column
        See `PlanGroups`.

    Attributes
    ----------
    unit
        (G,), the unit of each group.
    units
        Their number.
    begin_cell
        (begins,), the cell of each beginning.
    cell_group
        (cells,), the group of each cell.
    ways
        By unit of several groups: the cells of each way to agree.
    row
        (rows of links,), rows that every way keeps.
    """

    def __init__(
        self, problem: AllocationProblem, begin_group: IntArray, begin_column: IntArray
    ) -> None:
        self._problem, self._group, self._column = problem, begin_group, begin_column
        rows = 0 if problem.links is None else problem.links.rows
        self.row: BoolArray = np.zeros(rows, dtype=np.bool_)
        self.ways: dict[int, Cluster] = {}
        self.unit: IntArray = np.arange(problem.groups)
        self.begin_cell: IntArray = begin_group.copy()
        self.cell_group: IntArray = np.arange(problem.groups)
        if rows:
            self._join()
        _, self.unit = np.unique(self.unit, return_inverse=True)
        self.units = int(self.unit.max(initial=-1)) + 1
        self.ways = {int(self.unit[first]): ways for first, ways in self.ways.items()}

    def _join(self) -> None:
        """Join the groups of each small component of rows, where they can agree in few ways."""
        links = self._problem.links
        assert links is not None
        taken = np.zeros(self._problem.columns, dtype=np.bool_)
        taken[self._column[self._column >= 0]] = True
        pure = np.bincount(links.of_z.rows, minlength=links.rows) == 0
        pure[links.of_x.rows[~taken[links.of_x.columns]]] = False
        pure &= np.bincount(links.of_x.rows, minlength=links.rows) > 0
        entry = np.flatnonzero(pure[links.of_x.rows])
        row, column = links.of_x.rows[entry], links.of_x.columns[entry]
        label = self._components(row, self._problem.group[column], links.rows)
        by_label: dict[int, list[int]] = {}
        for number in np.flatnonzero(pure).tolist():
            by_label.setdefault(int(label[number]), []).append(number)
        begins = self._begins_by_group()
        by_row = _by_row(row, column, links.of_x.values[entry], links.rows)
        for rows in by_label.values():
            groups = np.unique(np.concatenate([self._problem.group[by_row[r][0]] for r in rows]))
            if len(groups) <= _MOST_GROUPS:
                self._agree(np.array(rows), groups, by_row, begins)

    def _components(self, row: IntArray, group: IntArray, rows: int) -> IntArray:
        """Return (rows,), equal for rows that groups connect."""
        label = np.arange(rows)
        while True:
            least = np.full(self._problem.groups, rows)
            np.minimum.at(least, group, label[row])
            changed = label.copy()
            np.minimum.at(changed, row, least[group])
            if np.array_equal(changed, label):
                return label
            label = changed

    def _begins_by_group(self) -> list[IntArray]:
        order = np.argsort(self._group, kind="stable")
        bounds = np.searchsorted(self._group[order], np.arange(self._problem.groups + 1))
        return np.split(order, bounds[1:-1])

    def _agree(
        self,
        rows: IntArray,
        groups: IntArray,
        by_row: Sequence[tuple[IntArray, FloatArray]],
        begins: Sequence[IntArray],
    ) -> None:
        """Give each group its cells, and list the ways in which these keep the rows."""
        links = self._problem.links
        assert links is not None
        place = {int(r): i for i, r in enumerate(rows)}
        effect: dict[int, FloatArray] = {}
        for r in rows.tolist():
            for column, value in zip(*by_row[r], strict=True):
                effect.setdefault(int(column), np.zeros(len(rows)))[place[r]] = value
        none = np.zeros(len(rows))
        patterns: list[list[FloatArray]] = []
        members: list[list[list[int]]] = []
        for group in groups.tolist():
            seen: dict[bytes, int] = {}
            mine: list[FloatArray] = []
            begun: list[list[int]] = []
            for begin in begins[group].tolist():
                vector = effect.get(int(self._column[begin]), none)
                key = vector.tobytes()
                if key not in seen:
                    seen[key] = len(mine)
                    mine.append(vector)
                    begun.append([])
                begun[seen[key]].append(begin)
            patterns.append(mine)
            members.append(begun)
        if prod(len(p) for p in patterns) > _MOST_WAYS:
            return
        good = []
        for way in product(*(range(len(p)) for p in patterns)):
            total = np.sum([p[i] for p, i in zip(patterns, way, strict=True)], axis=0)
            if (total >= links.row_lower[rows]).all() and (total <= links.row_upper[rows]).all():
                good.append(way)
        cells = []
        for group, begun in zip(groups.tolist(), members, strict=True):
            mine_cells = [group]
            for _ in begun[1:]:
                mine_cells.append(len(self.cell_group))
                self.cell_group = np.append(self.cell_group, group)
            for cell, listed in zip(mine_cells, begun, strict=True):
                self.begin_cell[listed] = cell
            cells.append(mine_cells)
        self.row[rows] = True
        first = int(groups[0])
        self.unit[groups] = first
        self.ways[first] = [
            np.array([c[i] for c, i in zip(cells, way, strict=True)]) for way in good
        ]


def _by_row(
    row: IntArray, column: IntArray, value: FloatArray, rows: int
) -> list[tuple[IntArray, FloatArray]]:
    order = np.argsort(row, kind="stable")
    bounds = np.searchsorted(row[order], np.arange(rows + 1))[1:-1]
    return list(zip(np.split(column[order], bounds), np.split(value[order], bounds), strict=True))
