"""What follows from a split part: bounds, loads of edges, and which items share columns."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from solvers.lexicographic import group_weights
from solvers.problem import AllocationProblem
from solvers.split import RATE_TOLERANCE, no_split

__all__ = ["SplitItems"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


class SplitItems:
    """Arrays derived from the split part of a problem, empty ones where it has none.

    Attributes
    ----------
    split
        The split part, or one in which no group splits.
    counted
        (n,), columns of groups that split.
    dropping
        (n,), columns of these groups that drop them, at most one of each group taken, once.
    drop_item, drop_column
        (pairs,): item, and a column that drops its owner.
    droppable
        (items,), whether a column drops the item's owner.
    lower, upper
        (n,), least and most units worth considering; 0 and 1 where a group chooses. Units beyond
        what the whole demand takes are only ever bought where their cost is negative, or where
        links make something of them.
    spares
        (n,), 0 where a group chooses.
    unserved_cost
        (items,), 0 where an item must be served.
    may_stay
        (items,), whether an item may stay unserved.
    edge_load
        (edges,), units that the item's whole demand takes.
    shared
        (items,), with a demand, and a column that serves another such item too, or a rate that
        links know of.
    shared_edges
        (edges,), edges of shared items.
    component
        (items,), the same number for items linked by columns; -1 for items that are not shared.
    stage_weight
        (items,), what an item left unserved counts for at its priority.
    """

    def __init__(self, problem: AllocationProblem) -> None:
        n = problem.columns
        split = problem.split or no_split(problem.groups)
        self.split = split
        self.counted: BoolArray = split.groups[problem.group]
        self.dropping: BoolArray = split.drops(problem.group, problem.unserved)
        self.drop_item, self.drop_column = self._drop_pairs(problem)
        self.droppable: BoolArray = np.zeros(split.items, dtype=np.bool_)
        self.droppable[self.drop_item] = True
        item, column = split.edge_item, split.edge_column
        self.edge_load: FloatArray = split.demand[item] / split.edge_rate
        none, zero = np.zeros(split.items), np.zeros(n, dtype=np.int64)
        price = none + np.inf if split.unserved_cost is None else split.unserved_cost
        self.may_stay: BoolArray = np.isfinite(price)
        self.unserved_cost: FloatArray = np.where(self.may_stay, price, 0.0)
        self.spares: IntArray = np.where(self.counted, _or(split.spares, zero), 0)
        self.lower: IntArray = np.where(self.counted, _or(split.lower, zero), 0)
        self.upper: FloatArray = self._upper(problem)
        live = split.demand[item] > 0
        serves = np.bincount(column[live], minlength=n)
        known = np.zeros(split.edges, dtype=np.bool_)
        if problem.links is not None and problem.links.of_rates is not None:
            known |= np.diff(problem.links.of_rates.indptr) > 0
        self.shared: BoolArray = np.zeros(split.items, dtype=np.bool_)
        self.shared[item[live & ((serves[column] > 1) | known)]] = True
        self.shared_edges: BoolArray = self.shared[item]
        self.component: IntArray = self._components(n)
        total = np.bincount(split.owner, weights=split.demand, minlength=problem.groups)
        part = np.divide(split.demand, total[split.owner], out=none, where=split.demand > 0)
        self.stage_weight: FloatArray = group_weights(problem)[split.owner] * part

    def _drop_pairs(self, problem: AllocationProblem) -> tuple[IntArray, IntArray]:
        marked = np.flatnonzero(self.dropping)
        marked = marked[np.argsort(problem.group[marked], kind="stable")]
        count = np.bincount(problem.group[marked], minlength=problem.groups)
        first = np.cumsum(count) - count
        mine = count[self.split.owner]
        item = np.repeat(np.arange(self.split.items), mine)
        place = np.arange(len(item)) - np.repeat(np.cumsum(mine) - mine, mine)
        return item, marked[first[self.split.owner[item]] + place]

    def _upper(self, problem: AllocationProblem) -> FloatArray:
        split = self.split
        stated = _or(split.upper, np.full(problem.columns, np.inf))
        load = np.bincount(split.edge_column, weights=self.edge_load, minlength=problem.columns)
        carrying = np.ceil(load * (1.0 + RATE_TOLERANCE))
        enough = np.maximum(np.where(carrying > 0, self.spares + carrying, 0), self.lower)
        if split.lower_total is not None:
            enough = np.maximum(enough, split.lower_total[problem.group])
        prunable = problem.cost >= 0
        if problem.links is not None:
            prunable &= np.diff(problem.links.of_x.indptr) == 0
        worth: FloatArray = np.where(prunable, np.minimum(stated, enough), stated)
        return np.where(self.counted & ~self.dropping, worth, 1.0)

    def _components(self, columns: int) -> IntArray:
        """Pass the smallest number along shared columns until nothing changes."""
        item = self.split.edge_item[self.shared_edges]
        column = self.split.edge_column[self.shared_edges]
        label = np.where(self.shared, np.arange(self.split.items), -1)
        while True:
            least = np.full(columns, self.split.items)
            np.minimum.at(least, column, label[item])
            changed = label.copy()
            np.minimum.at(changed, item, least[column])
            if np.array_equal(changed, label):
                return label
            label = changed

    def single_items(self) -> Iterator[tuple[int, IntArray]]:
        """Yield each item that has its columns to itself, with its edges."""
        order = np.argsort(self.split.edge_item, kind="stable")
        bounds = np.searchsorted(self.split.edge_item[order], np.arange(self.split.items + 1))
        for item in np.flatnonzero(~self.shared & (self.split.demand > 0)).tolist():
            yield item, order[bounds[item] : bounds[item + 1]]

    def dropped(self, x: IntArray) -> BoolArray:
        """Return (items,), whether counts (n,) drop each item's owner."""
        dropped = np.zeros(self.split.items, dtype=np.bool_)
        dropped[self.drop_item[x[self.drop_column] > 0]] = True
        return dropped

    def allows(self, problem: AllocationProblem, x: IntArray) -> bool:
        """Whether counts (n,), none above `upper`, keep the groups' rules and `lower`."""
        split, groups = self.split, problem.groups
        chosen = np.bincount(problem.group, weights=x, minlength=groups)
        units = self.counted & ~self.dropping
        total = np.bincount(problem.group[units], weights=x[units], minlength=groups)
        different = np.bincount(problem.group[units & (x > 0)], minlength=groups)
        drops = np.bincount(problem.group[self.dropping], weights=x[self.dropping],
                            minlength=groups)  # fmt: skip
        least = np.zeros(groups) if split.lower_total is None else split.lower_total
        most = np.full(groups, np.inf) if split.upper_total is None else split.upper_total
        kinds = np.full(groups, np.inf) if split.most_different is None else split.most_different
        kept = (total <= most) & ((total >= least) | (drops > 0)) & (different <= kinds)
        kept &= drops <= 1
        return bool(np.where(split.groups, kept, chosen == 1).all() and (x >= self.lower).all())

    def unservable(self) -> int | None:
        """Return an item that must be served and has no edge to a column that could; or None."""
        split = self.split
        useful = self.upper[split.edge_column] > self.spares[split.edge_column]
        possible = np.zeros(split.items, dtype=np.bool_)
        possible[split.edge_item[useful]] = True
        stays = self.may_stay | self.droppable
        lost = np.flatnonzero(~possible & ~stays & (split.demand > 0))
        return int(lost[0]) if lost.size else None


def _or(array: NDArray[np.generic] | None, default: NDArray[np.generic]) -> NDArray[np.generic]:
    return default if array is None else array
