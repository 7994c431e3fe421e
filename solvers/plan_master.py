"""The rows that groups share, over plans, and the pool of all plans known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from solvers.linking_rows import LinkingRows
from solvers.plan_groups import PlanGroups
from solvers.plan_units import Plans
from solvers.problem import CAPACITY_TOLERANCE, BoolArray, FloatArray, IntArray
from solvers.sparse_columns import SparseColumns

__all__ = ["PlanPool", "SharedRows"]


class SharedRows(LinkingRows):
    """The rows of one stage that hold columns of several groups, and its objective.

    Attributes
    ----------
    cost
        (n,), the objective of columns; `extras` and `stay` that of counts beside it and of load
        that stays unserved, whole.
    of_x, of_stay
        (rows, n), (rows, G).
    z
        (shared z,), which further columns of links those of `LinkingRows` are.
    """

    def __init__(
        self,
        groups: PlanGroups,
        objective: tuple[FloatArray, FloatArray, FloatArray],
        frozen: list[tuple[FloatArray, FloatArray, float]],
    ) -> None:
        problem = groups.problem
        self.cost, self.stay, z_cost = objective
        self.extras = groups.option_extras(z_cost)
        self.begin_extras = groups.begin_extras(z_cost)
        self.z: IntArray = np.zeros(0, dtype=np.int64)
        finite = np.flatnonzero(np.isfinite(problem.capacity))
        usage = problem.usage.scaled_rows(finite, np.ones(len(finite)))
        blocks = [usage]
        lower = [np.full(len(finite), -np.inf)]
        upper = [problem.capacity[finite] * (1.0 + CAPACITY_TOLERANCE)]
        self.capacities = finite
        stay_rows, stay_groups, stay_values = [], [], []
        for number, (of_x, of_stay, limit) in enumerate(frozen):
            blocks.append(SparseColumns.from_any(of_x[None, :]))
            lower.append(np.array([-np.inf]))
            upper.append(np.array([limit]))
            mine = np.flatnonzero(of_stay)
            stay_rows.append(np.full(len(mine), len(finite) + number))
            stay_groups.append(mine)
            stay_values.append(of_stay[mine])
        self.usage_rows = len(finite) + len(frozen)
        links = problem.links
        none = np.zeros(0, dtype=np.int64)
        of_z = SparseColumns.from_triplets(
            (self.usage_rows, 0), rows=none, columns=none, values=none
        )
        self.z_cost = np.zeros(0)
        if links is not None:
            own = groups.own
            assert own is not None
            rows = np.flatnonzero(~own.row & ~groups.clusters.row)
            self.z = np.flatnonzero((own.column < 0) & (own.group < 0))
            one = np.ones(len(rows))
            blocks.append(links.of_x.scaled_rows(rows, one))
            lower.append(links.row_lower[rows])
            upper.append(links.row_upper[rows])
            shared = links.of_z.take(self.z).scaled_rows(rows, one)
            of_z = SparseColumns.from_triplets(
                (self.usage_rows + len(rows), len(self.z)),
                rows=shared.rows + self.usage_rows, columns=shared.columns, values=shared.values,
            )  # fmt: skip
            self.z_cost = z_cost[self.z]
        self.of_z = of_z
        self.of_x = SparseColumns.stack(blocks)
        self.lower, self.upper = np.concatenate(lower), np.concatenate(upper)
        self.of_stay = SparseColumns.from_triplets(
            (len(self.lower), problem.groups),
            rows=np.concatenate([*stay_rows, none]), columns=np.concatenate([*stay_groups, none]),
            values=np.concatenate([*stay_values, none]),
        )  # fmt: skip
        self._bound_z(groups)
        self.barred = self._barred()

    def _barred(self) -> BoolArray:
        """Return (n,), columns of which one unit already exceeds a row of usage."""
        usage = self.of_x.rows < self.usage_rows
        over = usage & (self.of_x.values > self.upper[self.of_x.rows])
        barred = np.zeros(self.of_x.shape[1], dtype=np.bool_)
        barred[self.of_x.columns[over]] = True
        return barred

    def _bound_z(self, groups: PlanGroups) -> None:
        """Bound shared z from above where their rows say how much they can be worth."""
        problem = groups.problem
        if problem.links is None:
            self.z_lower = self.z_upper = np.zeros(0)
            return
        self.z_lower = problem.links.lower[self.z].copy()
        self.z_upper = problem.links.upper[self.z].copy()
        most = np.where(groups.items.counted, groups.items.upper, 1.0)
        reach = np.bincount(
            self.of_x.rows, weights=np.abs(self.of_x.values) * most[self.of_x.columns],
            minlength=len(self.lower),
        )  # fmt: skip
        single = np.bincount(self.of_z.rows, minlength=len(self.lower)) == 1
        limit = np.zeros(len(self.lower))
        for side in (self.lower, self.upper):
            limit = np.maximum(limit, np.where(np.isfinite(side), np.abs(side), 0.0))
        worth = np.zeros(len(self.z))
        known = single[self.of_z.rows]
        entry = (limit + reach)[self.of_z.rows] / np.abs(self.of_z.values)
        np.maximum.at(worth, self.of_z.columns, np.where(known, entry, np.inf))
        pays = (self.z_cost >= 0) & np.isinf(self.z_upper)
        self.z_upper[pays] = np.maximum(np.ceil(worth[pays]), self.z_lower[pays])

    def largest(self) -> FloatArray:
        """Return (rows,), the largest coefficient of each row."""
        largest = np.zeros(len(self.lower))
        for matrix in (self.of_x, self.of_z, self.of_stay):
            np.maximum.at(largest, matrix.rows, np.abs(matrix.values))
        return largest

    def dearest_unit(self) -> float:
        """Return about what the dearest unit of anything costs."""
        dearest = np.abs(self.cost).max(initial=0.0) + np.abs(self.z_cost).max(initial=0.0)
        stay = np.where(np.isfinite(self.stay), self.stay, 0.0).max(initial=0.0)
        return float(dearest + stay)

    def dearest(self, groups: PlanGroups) -> float:
        """Return more than any solution costs."""
        first = groups.option_first[:-1]
        kind = groups.option_kind
        value = self.cost[groups.kind_column[kind]] * groups.option_count + self.extras
        value = np.where(np.isfinite(value), value, -np.inf)
        counted = np.maximum.reduceat(value, first) if len(first) else np.zeros(0)
        taken = groups.begin_column[groups.begin_column >= 0]
        begun = np.zeros(groups.problem.groups)
        dear = self.begin_extras[groups.begin_column >= 0]
        dear = self.cost[taken] + np.where(np.isfinite(dear), dear, 0.0)
        np.maximum.at(begun, groups.problem.group[taken], np.maximum(dear, 0.0))
        stay = np.where(np.isfinite(self.stay), np.maximum(self.stay, 0.0), 0.0)
        z = np.maximum(self.z_cost * self.z_lower, self.z_cost * self.z_upper)
        return float(np.maximum(counted, 0.0).sum() + begun.sum() + stay.sum() + z.sum()) + 1.0

    def reduced(self, duals: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return reduced costs of columns (n,) and of unserved load (G,) at duals of the rows."""
        reduced = self.cost - self.of_x.weighed(duals)
        reduced[self.barred] = np.inf
        return reduced, self.stay - self.of_stay.weighed(duals)


@dataclass(slots=True, eq=False)
class _Block:
    """Plans added together: columns of the master."""

    unit: IntArray
    cost: FloatArray
    x: SparseColumns  # (n, plans)
    rows: SparseColumns  # (shared rows, plans)
    left: SparseColumns  # (G, plans), shares left unserved


class PlanPool:
    """All plans known, each once."""

    def __init__(self, groups: PlanGroups, shared: SharedRows) -> None:
        self._groups, self._shared = groups, shared
        self._known: set[bytes] = set()
        self.unit: IntArray = np.zeros(0, dtype=np.int64)
        self.cost: FloatArray = np.zeros(0)
        self.blocks: list[_Block] = []

    def add(self, plans: Plans) -> _Block:
        """Add what is new and return it."""
        n = self._groups.problem.columns
        order = np.lexsort((plans.column, plans.plan))
        plan, column, count = plans.plan[order], plans.column[order], plans.count[order]
        bounds = np.searchsorted(plan, np.arange(len(plans.unit) + 1)).tolist()
        fresh = []
        pairs = np.stack([column, count], axis=1)
        for number, unit in enumerate(plans.unit.tolist()):
            key = unit.to_bytes(4, "little") + pairs[bounds[number] : bounds[number + 1]].tobytes()
            if key not in self._known:
                self._known.add(key)
                fresh.append(number)
        kept = np.array(fresh, dtype=np.int64)
        total = len(plans.unit)
        x = SparseColumns.from_triplets((n, total), rows=column, columns=plan, values=count)
        left = SparseColumns.from_triplets(
            (self._groups.problem.groups, total), rows=plans.stay_group, columns=plans.stay_plan,
            values=plans.stay_share,
        )  # fmt: skip
        block = self._block(plans.unit[kept], left.take(kept), x.take(kept))
        self.blocks.append(block)
        self.unit = np.concatenate([self.unit, block.unit])
        self.cost = np.concatenate([self.cost, block.cost])
        return block

    def _block(self, unit: IntArray, left: SparseColumns, x: SparseColumns) -> _Block:
        shared = self._shared
        stay = np.where(np.isfinite(shared.stay), shared.stay, 0.0)
        cost = x.weighed(shared.cost) + left.weighed(stay) + self._extras(x, unit)
        of_x = shared.of_x.to_scipy() @ x.to_scipy()
        of_stay = shared.of_stay.to_scipy() @ left.to_scipy()
        rows = SparseColumns.from_any((of_x + of_stay).tocsc())
        return _Block(unit, cost, x, rows, left)

    def _extras(self, x: SparseColumns, unit: IntArray) -> FloatArray:
        """Return what the own z of each plan's counts cost; kinds that are not taken count too."""
        groups, extras = self._groups, self._shared.extras
        first = groups.option_first[:-1]
        none = extras[first] if len(first) else np.zeros(0)
        clusters = groups.clusters
        base = np.bincount(clusters.unit[groups.kind_group], weights=none, minlength=clusters.units)
        kind_of = np.full(groups.problem.columns, -1)
        kind_of[groups.kind_column] = np.arange(len(groups.kind_column))
        kind = kind_of[x.rows]
        counted = kind >= 0
        option = groups.option_first[kind[counted]] + (
            x.values[counted].astype(np.int64) - groups.kind_lower[kind[counted]]
        )
        more = extras[option] - none[kind[counted]]
        taken = np.zeros(groups.problem.columns)
        begun = groups.begin_column >= 0
        taken[groups.begin_column[begun]] = self._shared.begin_extras[begun]
        return (
            base[unit]
            + x.weighed(taken)
            + np.bincount(x.columns[counted], weights=more, minlength=x.shape[1])
        )

    def x(self) -> SparseColumns:
        """Return (n, plans), the counts."""
        return _beside([block.x for block in self.blocks])

    def left(self) -> SparseColumns:
        """Return (G, plans), the shares of demand left unserved."""
        return _beside([block.left for block in self.blocks])

    def rows(self) -> SparseColumns:
        """Return (shared rows, plans)."""
        return _beside([block.rows for block in self.blocks])


def _beside(blocks: list[SparseColumns]) -> SparseColumns:
    offset = np.cumsum([0, *(block.shape[1] for block in blocks)])
    return SparseColumns.from_triplets(
        (blocks[0].shape[0], int(offset[-1])),
        rows=np.concatenate([block.rows for block in blocks]),
        columns=np.concatenate([b.columns + o for b, o in zip(blocks, offset, strict=False)]),
        values=np.concatenate([block.values for block in blocks]),
    )
