"""The best rates for given counts: what must stay unserved least, then loads as even as can be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvers.errors import SolverBackendError
from solvers.integer_scaling import ScaledObjective
from solvers.mixed_programme import MixedProgramme
from solvers.problem import AllocationProblem, IntArray
from solvers.small_programme import FEASIBILITY, solve_closely
from solvers.split import RATE_TOLERANCE
from solvers.split_items import SplitItems
from solvers.split_programme import LoadCut

__all__ = ["RateAssignment", "Rates"]

FloatArray = NDArray[np.float64]

# Unserved shares this close to none or to all are rounding; less than the rates' own tolerance.
_NOTHING = 1e-8


@dataclass(frozen=True, slots=True, eq=False)
class Rates:
    """Rates that serve the items.

    Parameters
    ----------
    rates
        (edges,), >= 0.
    unserved
        (items,), share of each item's demand that is left.
    """

    rates: FloatArray
    unserved: FloatArray


class RateAssignment:
    """Finds the rates for given counts, or a cut that shows why there are none.

    Items that have their columns to themselves are served in proportion to what these can carry.
    For the others a linear programme makes the unserved weights small, priority by priority, then
    the unserved cost, then the largest load of each component, so that no column is fuller than it
    need be.
    """

    def __init__(self, problem: AllocationProblem, items: SplitItems) -> None:
        self._problem = problem
        self._items = items
        split = items.split
        self._single = ~items.shared & (split.demand > 0)
        self._edges = np.flatnonzero(items.shared_edges)
        self._shared = np.flatnonzero(items.shared)
        self._labels, self._component = np.unique(
            items.component[self._shared], return_inverse=True
        )
        self._row = np.full(split.items, -1, dtype=np.int64)
        self._row[self._shared] = np.arange(len(self._shared))
        self._columns, self._column = np.unique(split.edge_column[self._edges], return_inverse=True)

    @property
    def is_direct(self) -> bool:
        """Whether no linear programme is needed."""
        return not self._shared.size

    def best(self, x: IntArray) -> Rates | LoadCut:
        """Return the best rates for counts (n,), or a cut that these counts violate."""
        split, items = self._items.split, self._items
        dropped = items.dropped(x)
        demand = np.where(dropped, 0.0, split.demand)
        carrying = np.maximum(x - items.spares, 0).astype(np.float64)
        room = np.where(items.counted, carrying, 0.0)[split.edge_column] * split.edge_rate
        total = np.bincount(split.edge_item, weights=room, minlength=split.items)
        enough = total * (1.0 + RATE_TOLERANCE / 2) >= demand
        short = np.flatnonzero(self._single & ~enough & ~items.may_stay)
        if short.size:
            return self._single_cut(int(short[0]))
        share = np.divide(demand, total, out=np.zeros(split.items), where=total > 0)
        rates = room * np.where(enough, share, 1.0)[split.edge_item]
        rates[~self._single[split.edge_item]] = 0.0
        left = np.divide(demand - total, demand, out=np.zeros(split.items), where=demand > 0)
        unserved = np.where(self._single & ~enough, left, 0.0)
        if self.is_direct:
            return Rates(rates, unserved)
        return self._with_shared(carrying, dropped[self._shared], rates, unserved)

    def _single_cut(self, item: int) -> LoadCut:
        split = self._items.split
        mine = split.edge_item == item
        price, worth = np.zeros(self._problem.columns), np.zeros(split.items)
        price[split.edge_column[mine]] = np.minimum(split.edge_rate[mine] / split.demand[item], 1.0)
        worth[item] = 1.0
        return LoadCut(price, worth)

    # --- shared columns ---

    def _with_shared(
        self,
        carrying: FloatArray,
        dropped: NDArray[np.bool_],
        rates: FloatArray,
        unserved: FloatArray,
    ) -> Rates | LoadCut:
        """Add the rates of shared items, by linear programmes."""
        left = self._least_unserved(carrying, dropped)
        solved = None if left is None else self._run(carrying, left, left, balance=True)
        if left is None or solved is None:
            return self._cut(carrying, dropped)
        split, edges = self._items.split, self._edges
        shares = np.maximum(solved[0][: len(edges)], 0.0)
        row = self._row[split.edge_item[edges]]
        sums = np.bincount(row, weights=shares, minlength=len(self._shared))
        if not (sums[left < 1] > 0).all():
            return self._cut(carrying, dropped)
        shares *= np.divide(1.0 - left, sums, out=np.zeros_like(sums), where=sums > 0)[row]
        load = np.bincount(
            self._column,
            weights=shares * self._items.edge_load[edges],
            minlength=len(self._columns),
        )
        if (load > carrying[self._columns] * (1.0 + RATE_TOLERANCE)).any():
            return self._cut(carrying, dropped)
        rates[edges] = shares * split.demand[split.edge_item[edges]]
        unserved[self._shared] = np.where(dropped, 0.0, left)
        return Rates(rates, unserved)

    def _least_unserved(
        self, carrying: FloatArray, dropped: NDArray[np.bool_]
    ) -> FloatArray | None:
        """Return the unserved share of each shared item; None where what must be cannot be."""
        items, shared = self._items, self._shared
        least = np.where(dropped, 1.0, 0.0)
        most = np.where(items.may_stay[shared], 1.0, least)
        if (most == least).all():
            return least
        stages = [items.unserved_cost[shared] * items.split.demand[shared]]
        priority = self._problem.priority
        if priority is not None:
            level = priority[items.split.owner[shared]]
            weight = items.stage_weight[shared]
            stages = [np.where(level == p, weight, 0.0) for p in np.unique(level)] + stages
        if not any(stage.any() for stage in stages):
            stages = [items.may_stay[shared].astype(np.float64)]  # nothing says what is worse
        kept: list[tuple[FloatArray, float]] = []
        left = least
        for stage in stages:
            objective = np.where(dropped, 0.0, stage)
            if not objective.any():
                continue
            solved = self._run(carrying, least, most, unserved_cost=objective, kept=kept)
            if solved is None:
                return None
            first = len(self._edges)
            left = np.clip(solved[0][first : first + len(shared)], 0.0, 1.0)
            kept.append((objective, math.fsum(objective * left)))
        return np.where(left < _NOTHING, 0.0, np.where(left > 1.0 - _NOTHING, 1.0, left))

    def _cut(self, carrying: FloatArray, dropped: NDArray[np.bool_]) -> LoadCut:
        """Price units by the dual of "how many units are missing"; any prices make a valid cut."""
        least = np.where(dropped, 1.0, 0.0)
        most = np.where(self._items.may_stay[self._shared], 1.0, least)
        solved = self._run(carrying, least, most, missing=True)
        if solved is None:
            raise SolverBackendError("HiGHS finds no rates even with units to spare")
        price = np.zeros(self._problem.columns)
        price[self._columns] = np.maximum(
            -solved[1][len(self._shared) :][: len(self._columns)], 0.0
        )
        split, edges = self._items.split, self._edges
        worth = np.full(split.items, np.inf)
        np.minimum.at(
            worth,
            split.edge_item[edges],
            price[split.edge_column[edges]] * self._items.edge_load[edges],
        )
        return LoadCut(price, np.where(np.isinf(worth), 0.0, worth))

    def _run(
        self,
        carrying: FloatArray,
        least: FloatArray,
        most: FloatArray,
        *,
        unserved_cost: FloatArray | None = None,
        kept: list[tuple[FloatArray, float]] | None = None,
        balance: bool = False,
        missing: bool = False,
    ) -> tuple[FloatArray, FloatArray] | None:
        """Solve for shares, unserved shares, fullness per component and missing units per column.

        Parameters
        ----------
        carrying
            (n,), units that carry load.
        least, most
            (shared items,), bounds of the unserved shares.
        balance
            Minimise the components' fullness, else it is at most 1.
        missing
            Minimise the missing units, else there are none.

        Returns
        -------
        tuple[FloatArray, FloatArray] | None
            Primal variables and row duals; None when infeasible.
        """
        edges, shared, columns = len(self._edges), len(self._shared), len(self._columns)
        components = len(self._labels)
        of_column = np.zeros(columns, dtype=np.int64)
        of_column[self._column] = self._component[
            self._row[self._items.split.edge_item[self._edges]]
        ]
        cost = np.zeros(edges + shared + components + columns)
        u, full, gap = edges, edges + shared, edges + shared + components
        if unserved_cost is not None:
            cost[u:full] = unserved_cost / unserved_cost.max()
        cost[full:gap] = 1.0 if balance else 0.0
        cost[gap:] = 1.0 if missing else 0.0
        upper = np.concatenate([
            np.full(edges, np.inf), most,
            np.full(components, 1.0 + RATE_TOLERANCE / 2 if balance else 1.0),
            np.full(columns, np.inf if missing else 0.0),
        ])  # fmt: skip
        lower = np.zeros(len(cost))
        lower[u:full] = least
        item_rows, column_rows = np.arange(shared), shared + np.arange(columns)
        extra = kept or []
        rows = [self._row[self._items.split.edge_item[self._edges]], item_rows,
                shared + self._column, column_rows, column_rows]  # fmt: skip
        entries = [np.arange(edges), u + item_rows, np.arange(edges), full + of_column,
                   gap + np.arange(columns)]  # fmt: skip
        values = [np.ones(edges), np.ones(shared), self._items.edge_load[self._edges],
                  -carrying[self._columns], -np.ones(columns)]  # fmt: skip
        for number, (objective, _) in enumerate(extra):
            rows.append(np.full(shared, shared + columns + number))
            entries.append(u + item_rows)
            values.append(objective)
        limits = [limit * (1.0 + FEASIBILITY) + FEASIBILITY for _, limit in extra]
        return solve_closely(
            MixedProgramme(
                objective=ScaledObjective(cost, 1.0, 0.0, exact=False),
                lower=lower,
                upper=upper,
                integer=np.zeros(len(cost), dtype=np.bool_),
                rows=np.concatenate(rows),
                columns=np.concatenate(entries),
                values=np.concatenate(values),
                row_lower=np.concatenate([np.ones(shared), np.full(columns + len(extra), -np.inf)]),
                row_upper=np.concatenate([np.ones(shared), np.zeros(columns), np.array(limits)]),
            )
        )
