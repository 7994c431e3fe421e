"""The course of a Lagrangian solve: prices, repair, growing cores, and what they prove together."""

from __future__ import annotations

import dataclasses
import math
import time
from functools import cached_property

import numpy as np

from solvers.base import SolveParams, Start
from solvers.dense_search import compilable_in, has_many_priced_rows, is_dense, run_rounds
from solvers.dual_ascent import DualAscent
from solvers.errors import SolverOptionError
from solvers.exact import cost_step, rounded_bound
from solvers.grouped_columns import GroupedColumns
from solvers.price_bound import price_bound
from solvers.priced_columns import PricedColumns
from solvers.priced_rounding import round_at_prices
from solvers.problem import CAPACITY_TOLERANCE, AllocationProblem, FloatArray, IntArray
from solvers.progress import Progress, ProgressSeries
from solvers.reduced_cost_core import (
    Core,
    nearest_columns,
    rows_changed,
    solve_core,
    suits_swaps,
)
from solvers.result import (
    GAP_TOLERANCE,
    Limit,
    PriceMeaning,
    Reason,
    RowPrices,
    SolveResult,
    SolveStatistics,
    Termination,
    relative_gap,
)
from solvers.row_columns import RowColumns
from solvers.row_limits import attainable_limits

__all__ = ["LagrangianSearch"]

# Gap of the dual, relative to what is asked, that is not worth another evaluation; and the least
# and largest such gap, relative to the value.
_DUAL_SHARE, _FINEST_DUAL, _COARSEST_DUAL = 0.02, 1e-8, 1e-6
# What is left over of a row may be worth this share of the allowed gap.
_FILLED_SHARE = 0.25
# A group keeps its column of the start while that loses no more than the gap asked for, or than
# this share of the value.
_KEPT_SHARE = 1e-5
# Sums of whole numbers are exact below this.
_EXACT = 2.0**53
# A core grows by this, or by more when it is the last one.
_CORE_GROWTH, _LAST_GROWTH = 4, 10
# What a core that is not the last may take: share of the time left, and nodes.
_EARLY_CORE_SHARE, _EARLY_CORE_NODES = 0.35, 20_000
# The same of the core that shows whether dense rows are easy after all; and the share of the time
# left that goes into the search for better choices before the next core.
_PROBE_SHARE, _PROBE_NODES, _LISTS_SHARE = 0.04, 500, 0.7
# With many priced rows: shares for branch and cut without a start, and for better choices after.
_FRESH_SHARE, _POLISH_SHARE = 0.75, 0.9
# Share of the allowed gap that the core may leave open, and that columns outside it may.
_CORE_SHARE, _BOUND_SHARE = 0.5, 0.9


class LagrangianSearch:
    """One solve of a plain problem: its incumbent, its bound, its clock.

    Parameters
    ----------
    problem
        `priority`, `unserved`, `weight` and `parts` are not looked at.
    first_core
        Columns beyond one per group in the first core, >= 1.
    """

    def __init__(self, problem: AllocationProblem, params: SolveParams, first_core: int) -> None:
        self.began = time.perf_counter()
        self.problem, self.params, self.first_core = problem, params, first_core
        self.columns, self.order = GroupedColumns.of(problem)
        self.limit = attainable_limits(self.columns.usage, problem.capacity)
        self.choice: IntArray | None = None
        self.value = math.inf
        self.bound = -math.inf
        self.notes: list[str] = []
        self.nodes = 0
        self.boxes = 0
        self.prices: FloatArray | None = None
        self.log_tail = ""
        self.series = ProgressSeries(params.progress, began=self.began)
        self.limit_reached: Limit | None = None

    def run(self, start: Start | None) -> SolveResult:
        """Solve a plain problem."""
        held = self._take_start(start)
        lost = self._group_without_columns()
        if lost is not None:
            return self._infeasible(f"group {lost}: every column exceeds a row by itself")
        ascent = DualAscent(self.columns, self.limit, self.params, self._time_left)
        known = None if start is None or start.prices is None else ascent.near(start.prices)
        if known is None or not known.any():
            zero = np.zeros(self.problem.rows)
            at_zero = self.columns.minimum(zero)
            self._raise_bound(price_bound(self.columns, self.limit, at_zero, zero))
            if self._adopt(at_zero.choice):
                self.bound = self.value  # the cheapest columns of all
                self.prices = zero
                return self._result()
        tolerance = min(max(_DUAL_SHARE * self.params.relative_gap, _FINEST_DUAL), _COARSEST_DUAL)
        self.prices = ascent.cold(tolerance) if known is None else ascent.warm(known, tolerance)
        self.boxes = ascent.boxes
        priced = PricedColumns(self.columns, self.prices)
        dual = price_bound(self.columns, self.limit, priced.least, self.prices)
        self._raise_bound(dual)
        if not self._adopt(priced.least.choice):
            self._repair(priced, priced.least.choice)
            if self.choice is None and held is not None:
                self._repair(priced, self._still_good(priced, held))
        if self.choice is None and dual > self._dearest():
            return self._infeasible("the price bound passes the cost of every choice")
        if not self._closed():
            self._round_bound()
        if is_dense(self.problem.usage) and not self._closed() and self._search_dense(priced, dual):
            return self._infeasible("proven by branch and cut over all columns")
        return self._solve_cores(priced, dual)

    def _solve_cores(self, priced: PricedColumns, dual: float) -> SolveResult:
        """Solve growing cores until the gap is closed, all columns are in, or the time is up."""
        extra = self.first_core
        while not self._closed():
            if self._out_of_time():
                self.limit_reached = Limit.INTERRUPTED if self.params.cancelled else Limit.TIME
                break
            core = self._core(priced, extra, self._distance(dual))
            last = core.rest >= self._distance(dual)  # nothing outside can close the gap
            share, nodes = (1.0, None) if last else (_EARLY_CORE_SHARE, _EARLY_CORE_NODES)
            if self._solve_core(core, dual, share, nodes, self.choice):
                return self._infeasible("proven by branch and cut over all columns")
            self._round_bound()
            if last:
                break
            extra = self._next_size(extra, priced, dual)
        return self._result()

    def _core(self, priced: PricedColumns, extra: int, distance: float) -> Core:
        """Return the nearest columns, and more for rows they hardly change or leave unused."""
        core = nearest_columns(priced, extra, distance)
        if self.choice is None or core.rest >= distance:
            return core
        left = np.where(priced.prices > 0, self.limit - self.columns.used(self.choice), 0.0)
        open_rows = left * priced.prices > _FILLED_SHARE * self._allowed_gap()
        share = max(extra // self.problem.rows, 1)
        rare_rows = (priced.prices > 0) & (rows_changed(priced, core) < share)
        rows = np.flatnonzero(open_rows | rare_rows)
        if not rows.size:
            return core
        near = RowColumns(priced, self.choice, distance)
        for row in rows.tolist():
            core = near.added_to(
                core,
                row,
                left=float(left[row]) if open_rows[row] else 0.0,
                count=extra if open_rows[row] else share,
            )
        return core

    def _distance(self, dual: float) -> float:
        """Return how far from its group's least a column may be to matter for the gap asked."""
        if self.choice is None:
            return math.inf
        return max(self.value - dual - _BOUND_SHARE * self._allowed_gap(), 0.0)

    def _next_size(self, extra: int, priced: PricedColumns, dual: float) -> int:
        """Return how many more columns the next core has: all that matter when they are few."""
        extra = max(extra, self.first_core)
        if self.choice is not None:
            matter, _ = priced.below(self._distance(dual))
            needed = len(matter) - self.columns.groups
            if needed <= _LAST_GROWTH * extra:
                return needed
        return _CORE_GROWTH * extra

    def _solve_core(
        self, core: Core, dual: float, share: float, nodes: int | None, start: IntArray | None
    ) -> bool:
        """Improve incumbent and bound by one core; whether it proves infeasibility."""
        left = self._time_left()
        if left is not None:
            left = max(left * share, 0.01)
        answer = solve_core(
            self.columns,
            self.problem.capacity,
            core,
            start,
            dual,
            0.0 if start is None else _CORE_SHARE * self._allowed_gap(),
            dataclasses.replace(
                self.params,
                time_limit_s=left,
                relative_gap=0.0,
                options={},
                progress=self._follow if self.params.progress is not None else None,
            ),
            nodes,
        )
        self.notes.append(f"core of {len(core.positions) - self.columns.groups} more columns")
        if answer.result is not None:
            self.nodes += answer.result.statistics.nodes or 0
            self.limit_reached = answer.result.termination.limit
            self.log_tail = answer.result.statistics.log_tail
        if answer.choice is not None:
            self._adopt(answer.choice)
        elif math.isinf(answer.bound) and answer.bound > 0:
            return True
        self._raise_bound(answer.bound)
        return False

    def _search_dense(self, priced: PricedColumns, dual: float) -> bool:
        """Look for good choices where reduced costs alone do not lead to them.

        Returns whether it proves infeasibility. A core comes first, in case that it is easy.
        """
        many = has_many_priced_rows(priced.prices) or self.choice is None
        timed = self.params.time_limit_s is not None
        if many:
            core = nearest_columns(priced, self.columns.size, math.inf)
            most = None if timed else _EARLY_CORE_NODES
            infeasible = self._solve_core(core, dual, _FRESH_SHARE, most, None)
        else:
            core = nearest_columns(priced, self.first_core, self._distance(dual))
            infeasible = self._solve_core(core, dual, _PROBE_SHARE, _PROBE_NODES, self.choice)
        if infeasible:
            return True
        self._round_bound()
        if self.choice is not None and not self._closed():
            self._search_lists(priced, dual, _POLISH_SHARE if many else _LISTS_SHARE)
        return False

    def _search_lists(self, priced: PricedColumns, dual: float, share: float) -> None:
        """Improve the choice by lists of partial choices, for a share of the time left."""
        left = self._time_left()
        if self.choice is None or not compilable_in(left):
            self.notes.append("no lists of partial choices: numba is missing, or time to compile")
            return
        until = math.inf if left is None else time.perf_counter() + share * left

        def stops() -> bool:
            return self._out_of_time() or time.perf_counter() >= until or self._closed()

        rounds = run_rounds(
            self.columns,
            self.limit,
            priced.prices,
            dual,
            self.choice,
            seed=self.params.seed,
            adopt=self._adopt,
            stops=stops,
            timed=left is not None,
        )
        self.notes.append(f"{rounds} rounds of lists of partial choices")

    def _raise_bound(self, bound: float) -> None:
        self.bound = max(self.bound, min(bound, self.value))
        self.series.update(incumbent=self.value, bound=self.bound)

    def _follow(self, progress: Progress) -> None:
        self.series.follow(progress)

    def _repair(self, priced: PricedColumns, choice: IntArray) -> None:
        """Make a choice feasible and fill what is left over."""
        round_at_prices(
            priced,
            self.problem.capacity,
            self.limit,
            choice,
            adopt=lambda found: self._adopt(found) and self._closed(),
            allowed_gap=self._allowed_gap,
            out_of_time=self._out_of_time,
            then_cores=suits_swaps(self.columns.usage),
        )

    def _still_good(self, priced: PricedColumns, held: IntArray) -> IntArray:
        """Return the columns held from before where they lose little, else the least."""
        least = priced.least.choice
        kept = np.where(held >= 0, held, least)
        worth = max(self.params.relative_gap, _KEPT_SHARE) * abs(priced.least.total)
        return np.where(priced.slack(kept) <= worth, kept, least)

    def _take_start(self, start: Start | None) -> IntArray | None:
        """Adopt a feasible start; return the column of each group in it, -1 where it has none."""
        if start is None or start.x is None:
            return None
        x = _checked_start(self.problem, start.x)
        positions = np.flatnonzero(x if self.order is None else x[self.order])
        held = np.full(self.columns.groups, -1)
        held[self.columns.group_of(positions)] = positions
        complete = len(positions) == len(held) and bool((held >= 0).all())
        if not (complete and self._adopt(held)):
            self.notes.append("the start is not feasible: its choices are only a hint")
        return held

    def _adopt(self, choice: IntArray) -> bool:
        """Keep a choice if it is feasible and better; whether it is feasible."""
        if not self._keeps_rows(choice):
            return False
        value = math.fsum(self.columns.cost[choice].tolist())
        if value < self.value:
            self.choice, self.value = choice, value
            self.series.update(incumbent=value)
        return True

    def _keeps_rows(self, choice: IntArray) -> bool:
        matrix = self.columns.usage.take(choice)
        used = np.bincount(matrix.rows, weights=matrix.values, minlength=self.problem.rows)
        if used.max(initial=0.0) < _EXACT and bool(
            (matrix.values == np.floor(matrix.values)).all()
        ):
            return bool((used <= self.limit).all())
        # Only rows near or over the limit need the exact sum.
        for row in np.flatnonzero(used > self.limit * (1.0 - CAPACITY_TOLERANCE)):
            if math.fsum(matrix.values[matrix.rows == row].tolist()) > self.limit[row]:
                return False
        return True

    def _group_without_columns(self) -> int | None:
        if not self.columns.barred.size:
            return None
        widths = np.diff(self.columns.starts)
        barred = np.bincount(
            self.columns.group_of(self.columns.barred), minlength=self.columns.groups
        )
        lost = np.flatnonzero(barred == widths)
        return int(lost[0]) if lost.size else None

    def _dearest(self) -> float:
        """Return a little more than what the dearest columns of all groups cost together."""
        dearest = np.maximum.reduceat(self.columns.cost, self.columns.starts[:-1])
        return float(dearest.sum()) + GAP_TOLERANCE * float(np.abs(dearest).sum())

    def _allowed_gap(self) -> float:
        return max(self.params.relative_gap, GAP_TOLERANCE) * abs(self.value)

    def _closed(self) -> bool:
        allowed = max(self.params.relative_gap, GAP_TOLERANCE)
        return relative_gap(self.value, self.bound) <= allowed

    def _round_bound(self) -> None:
        """Round the bound up to the next cost that exists."""
        if self.choice is not None:
            scale = float(np.abs(self.columns.cost[self.choice]).sum())
            self.bound = rounded_bound(self._cost_step, self.bound, self.value, scale)

    @cached_property
    def _cost_step(self) -> float | None:
        return cost_step(self.problem)

    def _time_left(self) -> float | None:
        if self.params.time_limit_s is None:
            return None
        return self.params.time_limit_s - (time.perf_counter() - self.began)

    def _out_of_time(self) -> bool:
        left = self._time_left()
        return self.params.cancelled or (left is not None and left <= 0)

    def _statistics(self) -> SolveStatistics:
        elapsed = time.perf_counter() - self.began
        return SolveStatistics(
            solve_s=elapsed,
            total_s=elapsed,
            iterations=self.boxes,
            nodes=self.nodes,
            notes=tuple(self.notes),
            log_tail=self.log_tail,
        )

    def _infeasible(self, detail: str) -> SolveResult:
        return SolveResult(
            termination=Termination(Reason.INFEASIBLE, detail=detail),
            dual_bound=math.inf,
            statistics=self._statistics(),
        )

    def _result(self) -> SolveResult:
        limit = self.limit_reached or Limit.GAP
        if self.choice is None:
            return SolveResult(
                termination=Termination(Reason.NO_SOLUTION_FOUND, limit),
                dual_bound=self.bound,
                prices=self._row_prices(),
                tolerance=self.params.relative_gap,
                statistics=self._statistics(),
            )
        x = np.zeros(self.problem.columns, dtype=np.int64)
        x[self.choice if self.order is None else self.order[self.choice]] = 1
        return SolveResult(
            termination=(
                Termination(Reason.OPTIMAL)
                if self._closed()
                else Termination(Reason.FEASIBLE, limit)
            ),
            primal_bound=self.value,
            dual_bound=min(self.bound, self.value),
            x=x,
            prices=self._row_prices(),
            tolerance=self.params.relative_gap,
            statistics=self._statistics(),
        )

    def _row_prices(self) -> RowPrices | None:
        if self.prices is None:
            return None
        return RowPrices(self.prices, PriceMeaning.MULTIPLIER)


def _checked_start(problem: AllocationProblem, given: object) -> IntArray:
    x = np.asarray(given)
    if x.shape != (problem.columns,):
        raise SolverOptionError(f"start: shape {x.shape}, ({problem.columns},) is wanted")
    return x
