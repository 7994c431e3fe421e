"""What follows from a split part: bounds, loads of edges, and which items share columns."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from solvers.lexicographic import group_weights
from solvers.problem import AllocationProblem
from solvers.split import RATE_TOLERANCE, Split

__all__ = ["SplitItems"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


class SplitItems:
    """Arrays derived from the split part of a problem.

    Attributes
    ----------
    split
        The split part.
    counted
        (n,), columns of groups that split.
    dropping
        (n,), columns of these groups that mean unserved, at most one of each taken.
    drop_column
        (items,), the first such column of the item's owner; -1 without one.
    lower, upper
        (n,), least and most units worth considering; 0 and 1 where a group chooses. Units beyond
        what the whole demand takes are only ever bought where their cost is negative.
    spares
        (n,), 0 where a group chooses.
    unserved_cost
        (items,), 0 where an item must be served.
    may_stay
        (items,), whether an item may stay unserved.
    edge_load
        (edges,), units that the item's whole demand takes.
    shared
        (items,), with a demand, and a column that serves another such item too.
    shared_edges
        (edges,), edges of shared items.
    component
        (items,), the same number for items linked by columns; -1 for items that are not shared.
    stage_weight
        (items,), what an item left unserved counts for at its priority.
    """

    def __init__(self, problem: AllocationProblem, split: Split) -> None:
        n = problem.columns
        self.split = split
        self.counted: BoolArray = split.groups[problem.group]
        none_unserved = np.zeros(n, dtype=np.bool_)
        flagged = none_unserved if problem.unserved is None else problem.unserved
        self.dropping: BoolArray = self.counted & flagged
        drop = np.full(problem.groups, -1, dtype=np.int64)
        marked = np.flatnonzero(self.dropping)[::-1]
        drop[problem.group[marked]] = marked
        self.drop_column: IntArray = drop[split.owner]
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
        self.shared: BoolArray = np.zeros(split.items, dtype=np.bool_)
        self.shared[item[live & (serves[column] > 1)]] = True
        self.shared_edges: BoolArray = self.shared[item]
        self.component: IntArray = self._components(n)
        total = np.bincount(split.owner, weights=split.demand, minlength=problem.groups)
        part = np.divide(split.demand, total[split.owner], out=none, where=split.demand > 0)
        self.stage_weight: FloatArray = group_weights(problem)[split.owner] * part

    def _upper(self, problem: AllocationProblem) -> FloatArray:
        split = self.split
        stated = _or(split.upper, np.full(problem.columns, np.inf))
        load = np.bincount(split.edge_column, weights=self.edge_load, minlength=problem.columns)
        carrying = np.ceil(load * (1.0 + RATE_TOLERANCE))
        enough = np.maximum(np.where(carrying > 0, self.spares + carrying, 0), self.lower)
        if split.lower_total is not None:
            enough = np.maximum(enough, split.lower_total[problem.group])
        worth: FloatArray = np.where(problem.cost >= 0, np.minimum(stated, enough), stated)
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
        return np.where(self.drop_column >= 0, x[self.drop_column] > 0, False)

    def allows(self, problem: AllocationProblem, x: IntArray) -> bool:
        """Whether counts (n,), none above `upper`, keep the groups' rules and `lower`."""
        split, groups = self.split, problem.groups
        chosen = np.bincount(problem.group, weights=x, minlength=groups)
        units = self.counted & ~self.dropping
        total = np.bincount(problem.group[units], weights=x[units], minlength=groups)
        different = np.bincount(problem.group[units & (x > 0)], minlength=groups)
        drops = np.bincount(problem.group[self.dropping], weights=x[self.dropping],
                            minlength=groups) > 0  # fmt: skip
        least = np.zeros(groups) if split.lower_total is None else split.lower_total
        most = np.full(groups, np.inf) if split.upper_total is None else split.upper_total
        kinds = np.full(groups, np.inf) if split.most_different is None else split.most_different
        kept = (total <= most) & ((total >= least) | drops) & (different <= kinds)
        return bool(np.where(split.groups, kept, chosen == 1).all() and (x >= self.lower).all())

    def unservable(self) -> int | None:
        """Return an item that must be served and has no edge to a column that could; or None."""
        split = self.split
        useful = self.upper[split.edge_column] > self.spares[split.edge_column]
        possible = np.zeros(split.items, dtype=np.bool_)
        possible[split.edge_item[useful]] = True
        stays = self.may_stay | (self.drop_column >= 0)
        lost = np.flatnonzero(~possible & ~stays & (split.demand > 0))
        return int(lost[0]) if lost.size else None


def _or(array: NDArray[np.generic] | None, default: NDArray[np.generic]) -> NDArray[np.generic]:
    return default if array is None else array
