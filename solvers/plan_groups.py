"""Groups taken apart: the plans of each, and what a plan takes of the rows that groups share.

A plan is one way to satisfy a group by itself: one of its columns where it chooses; where it
splits, counts of its columns that carry its load, or a column that drops it. A choice of one plan
per group that keeps the shared rows is a solution.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from solvers.links import LINK_TOLERANCE
from solvers.plan_clusters import Clusters
from solvers.problem import AllocationProblem, BoolArray, FloatArray, IntArray
from solvers.split_items import SplitItems

__all__ = ["OwnColumns", "PlanGroups", "own_columns", "suits_plans"]

# Tables of counts larger than this take longer than they are worth.
_MOST_OPTIONS = 20_000_000


@dataclass(frozen=True, slots=True, eq=False)
class OwnColumns:
    """Further columns z that depend on a single decision, and their rows.

    Such a z stands in rows of links with one counted column alone, as in z >= x_k - now, or with
    columns of one group that chooses: what it costs is a function of the count, or of the choice.

    Parameters
    ----------
    column
        (z,), the counted column; -1 where there is none.
    group
        (z,), the group that chooses; -1 where there is none.
    row_column, row_group
        (rows,), the same for rows that such a z keeps, or that hold no z.
    """

    column: IntArray
    group: IntArray
    row_column: IntArray
    row_group: IntArray

    @property
    def row(self) -> BoolArray:
        """Return (rows,), whether a row concerns one decision alone."""
        return (self.row_column >= 0) | (self.row_group >= 0)


def own_columns(problem: AllocationProblem, items: SplitItems) -> OwnColumns:
    """Find the further columns that depend on one decision."""
    links = problem.links
    assert links is not None
    of_x, of_z, n = links.of_x, links.of_z, problem.columns
    counted = items.counted & ~items.dropping
    decision = np.where(counted, np.arange(n), np.where(items.counted, -1, n + problem.group))
    first = np.full(links.rows, -1)
    first[of_x.rows] = decision[of_x.columns]
    mixed = np.zeros(links.rows, dtype=np.bool_)
    mixed[of_x.rows[decision[of_x.columns] != first[of_x.rows]]] = True
    further = np.bincount(of_z.rows, minlength=links.rows)
    first[mixed | (further > 1)] = -1
    of_column = np.full(links.columns, -1)
    of_column[of_z.columns] = first[of_z.rows]
    shared = np.zeros(links.columns, dtype=np.bool_)
    shared[of_z.columns[first[of_z.rows] != of_column[of_z.columns]]] = True
    of_column[shared] = -1
    kept = further == 0
    kept[of_z.rows[of_column[of_z.columns] >= 0]] = True
    row = np.where(kept, first, -1)
    return OwnColumns(
        column=np.where(of_column < n, of_column, -1),
        group=np.where(of_column >= n, of_column - n, -1),
        row_column=np.where(row < n, row, -1),
        row_group=np.where(row >= n, row - n, -1),
    )


def suits_plans(problem: AllocationProblem, items: SplitItems) -> bool:
    """Whether every group can be taken apart: at most one item each, on columns of its own."""
    split = items.split
    if problem.links is not None and problem.links.of_rates is not None:
        return False
    live = split.demand > 0
    if items.shared.any() or (np.bincount(split.owner[live], minlength=1) > 1).any():
        return False
    own = problem.group[split.edge_column] == split.owner[split.edge_item]
    if not (own | ~live[split.edge_item]).all():
        return False
    counted = items.counted & ~items.dropping
    most = np.where(counted, items.upper, 0.0)
    return bool(np.isfinite(most).all() and most.sum() < _MOST_OPTIONS)


class PlanGroups:
    """The structure of all groups' plans, whatever the objective.

    Attributes
    ----------
    kind_column
        (kinds,), the columns of which plans take counts, group by group.
    kind_group
        (kinds,), their groups.
    option_first
        (kinds + 1,), where the options of each kind begin; options are counts from its `lower`.
    option_count, option_share
        (options,), the count, and the share of the group's demand that it carries beyond what the
        least count does.
    begin_group, begin_column, begin_open
        (begins,): group, column that is taken once at the beginning of a plan or -1, and the share
        of demand that is then left to carry.
    clusters
        Which groups are taken together, and the cells of beginnings.
    stay_item
        (G,), item whose unserved share may end a plan; -1 where there is none.
    """

    def __init__(self, problem: AllocationProblem, items: SplitItems) -> None:
        self.problem, self.items = problem, items
        split = items.split
        rate = np.zeros(problem.columns)
        live = split.demand[split.edge_item] > 0
        edges = np.flatnonzero(live)
        column, item = split.edge_column[edges], split.edge_item[edges]
        rate[column] = split.edge_rate[edges] / split.demand[item]
        kinds = np.flatnonzero(items.counted & ~items.dropping & (items.upper > 0))
        kinds = kinds[np.argsort(problem.group[kinds], kind="stable")]
        self.kind_column: IntArray = kinds
        self.kind_group: IntArray = problem.group[kinds]
        self.kind_rate: FloatArray = rate[kinds]
        lower = items.lower[kinds]
        self.kind_lower: IntArray = lower
        self.kind_spares: IntArray = items.spares[kinds]
        number = items.upper[kinds].astype(np.int64) - lower + 1
        self.option_first: IntArray = np.concatenate([[0], np.cumsum(number)])
        self.option_kind: IntArray = np.repeat(np.arange(len(kinds)), number)
        place = np.arange(self.option_first[-1]) - self.option_first[self.option_kind]
        self.option_count: IntArray = place + lower[self.option_kind]
        carrying = np.maximum(self.option_count - self.kind_spares[self.option_kind], 0)
        share = np.minimum(carrying * self.kind_rate[self.option_kind], 1.0)
        least = share[self.option_first[:-1]]
        self.option_share: FloatArray = share - least[self.option_kind]
        self.own = None if problem.links is None else own_columns(problem, items)
        carried = np.zeros(problem.groups)
        np.add.at(carried, self.kind_group, least)
        self._begin(carried)
        self.clusters = Clusters(problem, self.begin_group, self.begin_column)
        self.linked: BoolArray = self._linked()

    def _begin(self, carried: FloatArray) -> None:
        """List the beginnings of plans: serving, or one of the columns that is taken instead."""
        problem, items, split = self.problem, self.items, self.items.split
        has_demand = np.zeros(problem.groups)
        live = np.flatnonzero(split.demand > 0)
        has_demand[split.owner[live]] = 1.0
        self.stay_item: IntArray = np.full(problem.groups, -1)
        stay = live[items.may_stay[live]]
        self.stay_item[split.owner[stay]] = stay
        serving = np.flatnonzero(split.groups)
        taken = np.flatnonzero(items.dropping | ~items.counted)
        self.begin_group: IntArray = np.concatenate([serving, problem.group[taken]])
        self.begin_column: IntArray = np.concatenate([np.full(len(serving), -1), taken])
        left = np.maximum(has_demand[serving] - carried[serving], 0.0)
        self.begin_open: FloatArray = np.concatenate([left, np.zeros(len(taken))])

    def _linked(self) -> BoolArray:
        """Return (kinds,), whether more than a load takes may be worth having for some row."""
        links = self.problem.links
        if links is None:
            return np.zeros(len(self.kind_column), dtype=np.bool_)
        return (np.diff(links.of_x.indptr) > 0)[self.kind_column]

    def shared_links(self) -> int:
        """Return how many rows of links neither belong to one column nor are kept by every unit."""
        return 0 if self.own is None else int((~self.own.row & ~self.clusters.row).sum())

    def option_extras(self, z_cost: FloatArray) -> FloatArray:
        """Return (options,), what the z of each kind alone cost at each count; inf: impossible.

        Parameters
        ----------
        z_cost
            (k,), the cost of further columns in the objective at hand.
        """
        extras = np.zeros(len(self.option_count))
        if self.own is None:
            return extras
        kind_of = np.full(self.problem.columns, -1)
        kind_of[self.kind_column] = np.arange(len(self.kind_column))
        for column, z, rows in self._decisions(self.own.column, self.own.row_column):
            kind = kind_of[column]
            if kind >= 0:
                mine = slice(self.option_first[kind], self.option_first[kind + 1])
                counts = self.option_count[mine]
                held = {row: self._entry(row, column) * counts.astype(np.float64) for row in rows}
                extras[mine] += _cheapest(self.problem, z, held, len(counts), z_cost)
        return extras

    def begin_extras(self, z_cost: FloatArray) -> FloatArray:
        """Return (begins,), the same of the z that depend on what a group chooses."""
        extras = np.zeros(len(self.begin_group))
        if self.own is None:
            return extras
        order = np.argsort(self.begin_group, kind="stable")
        bounds = np.searchsorted(self.begin_group[order], np.arange(self.problem.groups + 1))
        for group, z, rows in self._decisions(self.own.group, self.own.row_group):
            mine = order[bounds[group] : bounds[group + 1]]
            columns = self.begin_column[mine].tolist()
            held = {row: np.array([self._entry(row, c) for c in columns]) for row in rows}
            extras[mine] += _cheapest(self.problem, z, held, len(columns), z_cost)
        return extras

    def _decisions(
        self, of_z: IntArray, of_row: IntArray
    ) -> Iterator[tuple[int, int | None, list[int]]]:
        """Yield each own z with its decision and rows, then the rows that hold no z."""
        links = self.problem.links
        assert links is not None
        for z in np.flatnonzero(of_z >= 0).tolist():
            entries = slice(links.of_z.indptr[z], links.of_z.indptr[z + 1])
            yield int(of_z[z]), z, links.of_z.rows[entries].tolist()
        alone = np.bincount(links.of_z.rows, minlength=links.rows) == 0
        for row in np.flatnonzero((of_row >= 0) & alone).tolist():
            yield int(of_row[row]), None, [row]

    def _entry(self, row: int, column: int) -> float:
        """Return the entry of a row of links."""
        links = self.problem.links
        assert links is not None
        first, last = links.of_x.indptr[column], links.of_x.indptr[column + 1]
        place = first + np.searchsorted(links.of_x.rows[first:last], row)
        there = place < last and links.of_x.rows[place] == row
        return float(links.of_x.values[place]) if there else 0.0


def _cheapest(
    problem: AllocationProblem,
    z: int | None,
    held: Mapping[int, FloatArray],
    size: int,
    z_cost: FloatArray,
) -> FloatArray:
    """Return what z costs at least beside what its rows hold; inf where they cannot be kept."""
    links = problem.links
    assert links is not None
    if z is None:
        ((row, value),) = held.items()
        size_of = LINK_TOLERANCE * np.abs(value)
        out = (value < links.row_lower[row] - size_of) | (value > links.row_upper[row] + size_of)
        return np.where(out, np.inf, 0.0)
    low, high = np.full(size, links.lower[z]), np.full(size, links.upper[z])
    of_z = links.of_z
    for entry in range(of_z.indptr[z], of_z.indptr[z + 1]):
        row, factor = int(of_z.rows[entry]), of_z.values[entry]
        sides = [(links.row_lower[row] - held[row]) / factor,
                 (links.row_upper[row] - held[row]) / factor]  # fmt: skip
        below, above = sides if factor > 0 else sides[::-1]
        low, high = np.maximum(low, below), np.minimum(high, above)
    noise = LINK_TOLERANCE * np.maximum(np.abs(np.where(np.isfinite(low), low, 0.0)), 1.0)
    if links.integer[z]:
        low, high = np.ceil(low - noise), np.floor(high + noise)
    cost = float(z_cost[z])
    value = cost * (low if cost > 0 else high) if cost else np.zeros(size)
    return np.where(low > high + noise, np.inf, value)
