"""Choices by the worth of capacity: prices on the rows, each group's best column, then repair.

Where capacity is scarce, costs say little about who should have what: a column is dear when others
could use what it uses. Prices of the smoothed dual tell, for costs as well as for the groups that
can be served, once "unserved" costs more than all that can be saved by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from solvers.bounds import unservable_weight
from solvers.grouped_columns import GroupedColumns
from solvers.lexicographic import group_weights, priority_levels
from solvers.placement import Placement
from solvers.price_repair import PriceRepair
from solvers.problem import CAPACITY_TOLERANCE, AllocationProblem, FloatArray, IntArray
from solvers.regret import place_by_regret
from solvers.result import GAP_TOLERANCE
from solvers.row_limits import attainable_limits
from solvers.smoothed_dual import smoothed_prices

__all__ = ["PricedChoice", "priced_choices"]

# Columns beyond one per group that the repair may swap to, growing to at most so many entries of
# their dense usage.
_COLUMNS, _GROWTH, _ENTRIES = 5_000, 8, 4_000_000
# Usage entries that all repairs together may look at, under a second: a count, not a clock.
_WORK = 100_000_000
# Up to so many groups a choice is also built group by group, and the better one is taken.
_SEATED_UP_TO = 5_000
# A unit of weight of a more important priority counts for so many of the one that is served.
_IMPORTANCE = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class PricedChoice:
    """A feasible choice.

    Parameters
    ----------
    columns
        (G,), the column of each group.
    repaired
        Whether the best columns at the prices could be repaired. Else groups were only seated one
        after the other by the same prices, and more may be left to gain.
    """

    columns: IntArray
    repaired: bool


def priced_choices(
    problem: AllocationProblem, seed: int, stop: Callable[[], bool]
) -> Iterator[PricedChoice]:
    """Yield feasible choices; none where there is no room for some group.

    Under strict priorities one for each set of priorities that was tried: all of them first; where
    a more important one suffers, it is served first, and the others with what it needs kept.

    Parameters
    ----------
    seed
        Of the groups whose prices stand for all where there are many.
    stop
        Whether to leave off.
    """
    sorted_columns, order = GroupedColumns.of(problem)
    if not sorted_columns.size or _some_group_is_barred(sorted_columns):
        return
    rounding = _Rounding(problem, sorted_columns, order, seed, stop)
    if problem.priority is None:
        choice = rounding.choice(problem.cost)
        if choice is not None:
            yield choice
        return
    yield from _stage_by_stage(problem, rounding)


def _stage_by_stage(problem: AllocationProblem, rounding: _Rounding) -> Iterator[PricedChoice]:
    levels = priority_levels(problem)
    least = unservable_weight(problem)
    last = len(levels) - 1
    kept: IntArray | None = None
    frozen, target = 0, last
    while frozen <= last:
        found = rounding.choice(_stage_cost(problem, levels[target], kept, levels[:frozen]))
        if found is None:
            return
        yield found
        if not found.repaired:
            return
        left = [_left_at(problem, found.columns, level) for level in levels]
        suffering = (
            rank
            for rank in range(frozen, target)
            if left[rank] > least[levels[rank]] * (1 + GAP_TOLERANCE)
        )
        suffers = next(suffering, None)
        if suffers is None:
            kept, frozen, target = found.columns, target + 1, last
        else:
            target = suffers


def _stage_cost(
    problem: AllocationProblem, target: int, kept: IntArray | None, frozen: list[int]
) -> FloatArray:
    """Return costs (n,) at which the priority `target` is served before any cost is saved.

    Groups of more important priorities count more, most of all those that are served already; less
    important ones count for nothing.
    """
    assert problem.unserved is not None  # validated: priorities need it
    assert problem.priority is not None
    serving = ~problem.unserved
    serving_cost, group = problem.cost[serving], problem.group[serving]
    dearest, cheapest = np.full(problem.groups, -np.inf), np.full(problem.groups, np.inf)
    np.maximum.at(dearest, group, serving_cost)
    np.minimum.at(cheapest, group, serving_cost)
    active = (problem.priority <= target) & np.isfinite(dearest)
    weight = group_weights(problem)
    positive = weight[active & (weight > 0)]
    at_stake = float(np.maximum(dearest - np.minimum(cheapest, 0.0), 0.0)[active].max(initial=0.0))
    unit = max(float((dearest - cheapest)[active].sum()), at_stake, 1e-300)
    unit /= float(positive.min()) if positive.size else 1.0
    worth = np.where(problem.priority == target, unit, unit * _IMPORTANCE)
    if kept is not None:
        done = np.isin(problem.priority, frozen)
        served = ~problem.unserved[kept]
        worth[done] = np.where(served[done], unit * _IMPORTANCE**2, 0.0)
    worth[~active] = 0.0
    return np.where(problem.unserved, (worth * weight)[problem.group], 0.0) + problem.cost


def _left_at(problem: AllocationProblem, choice: IntArray, level: int) -> float:
    assert problem.unserved is not None
    assert problem.priority is not None
    left = problem.unserved[choice] & (problem.priority == level)
    return float(group_weights(problem)[left].sum())


class _Rounding:
    """From costs to a feasible choice by prices, on one set of columns."""

    def __init__(
        self,
        problem: AllocationProblem,
        columns: GroupedColumns,
        order: IntArray | None,
        seed: int,
        stop: Callable[[], bool],
    ) -> None:
        self._columns = columns
        self._capacity = problem.capacity
        self._order = order
        self._seed = seed
        self._stop = stop
        self._work = 0
        # Half the tolerance: sums in another order stay within the whole.
        most = problem.capacity * (1.0 + CAPACITY_TOLERANCE / 2)
        self._limit = np.minimum(attainable_limits(columns.usage, problem.capacity), most)

    def choice(self, cost: FloatArray) -> PricedChoice | None:
        """Return the choice in the problem's numbers; None when there is no room."""
        sorted_cost = cost if self._order is None else cost[self._order]
        old = self._columns
        columns = GroupedColumns(sorted_cost, old.usage, old.starts, old.barred)
        prices = smoothed_prices(columns, self._limit, self._seed, self._stop)
        found = self._repaired(columns, prices, columns.minimum(prices).choice)
        repaired = found is not None
        chosen = [] if found is None else [found]
        if (not repaired or columns.groups <= _SEATED_UP_TO) and not self._stop():
            seated = self._seated(columns, prices)
            better = None if seated is None else self._repaired(columns, prices, seated)
            chosen += [choice for choice in (seated, better) if choice is not None]
        if not chosen:
            return None
        best = min(chosen, key=lambda choice: float(columns.cost[choice].sum()))
        return PricedChoice(best if self._order is None else self._order[best], repaired)

    def _repaired(
        self, columns: GroupedColumns, prices: FloatArray, choice: IntArray
    ) -> IntArray | None:
        """Unload with ever more columns; then fill what is left over, and exchange."""
        positions, slack = columns.below(prices, np.inf)
        finite = np.isfinite(slack)
        positions, slack = positions[finite], slack[finite]
        most = max(_ENTRIES // max(len(prices), 1), 1)
        count = min(_COLUMNS, most)

        def stop() -> bool:
            self._work += count * len(prices)
            return self._work > _WORK or self._stop()

        while not stop():
            near = _nearest(positions, slack, columns.groups + count)
            others = near[near != choice[columns.group_of(near)]]
            repair = PriceRepair(columns, self._limit, prices, choice, others)
            feasible = repair.unload(stop)
            choice = repair.choice
            if feasible:
                repair.fill(stop)
                repair.exchange(self._stop)
                return repair.choice
            if len(near) == len(positions) or count >= most:
                break
            count = min(count * _GROWTH, most)
        return None

    def _seated(self, columns: GroupedColumns, prices: FloatArray) -> IntArray | None:
        """Give every group the column of least reduced cost that fits, by regret.

        Unlike a repair this never leaves out a large group because nobody else makes room.
        """
        reduced = columns.reduced_cost(prices, 0, columns.groups)
        reduced[columns.barred] = 0.0  # no candidates
        group = columns.group_of(np.arange(columns.size))
        capacity = np.minimum(self._limit, self._capacity)
        placement = Placement(AllocationProblem(reduced, columns.usage, capacity, group))
        everyone = list(range(columns.groups))
        if place_by_regret(placement, everyone, everyone):
            return None
        return np.array(placement.choice)


def _nearest(positions: IntArray, slack: FloatArray, wanted: int) -> IntArray:
    if len(positions) <= wanted:
        return positions
    furthest = float(np.partition(slack, wanted)[wanted])
    return positions[slack < furthest]


def _some_group_is_barred(columns: GroupedColumns) -> bool:
    barred = columns.group_of(columns.barred)
    widths = np.diff(columns.starts)
    return bool((np.bincount(barred, minlength=columns.groups) == widths).any())
