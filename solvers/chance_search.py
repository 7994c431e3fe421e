"""The course of a solve with uncertain rows: cones relaxed, then linear rows until none is passed.

The relaxation in fractions, with its second-order cones, gives prices, a bound and the first
half-spaces. The problem of these half-spaces in whole columns is a relaxation too, and a solution
of it that keeps every cone is optimal; one that does not adds the half-spaces that touch the cones
where it passes them, and cannot come back [1]_.

References
----------
.. [1] Duran, M. A., Grossmann, I. E. (1986). An outer-approximation algorithm for a class of
   mixed-integer nonlinear programs. *Mathematical Programming* 36, 307-339.
"""

from __future__ import annotations

import dataclasses
import math
import time

import numpy as np

from solvers.base import SolveParams, Solver, Start
from solvers.bounds import conditional_cost_bound, unservable_weight
from solvers.chance_cuts import ChanceCuts, fitting_columns, with_columns
from solvers.checker import check
from solvers.exact import Backend, BackendRequest, Relaxation
from solvers.grouped_columns import GroupedColumns
from solvers.lexicographic import (
    is_better,
    lexicographic_value,
    priority_levels,
    unserved_weight,
)
from solvers.price_bound import price_bound, valid_prices
from solvers.problem import CAPACITY_TOLERANCE, AllocationProblem, FloatArray, IntArray
from solvers.progress import ProgressSeries
from solvers.result import (
    GAP_TOLERANCE,
    Limit,
    PriceMeaning,
    Reason,
    RowPrices,
    SolveResult,
    SolveStatistics,
    StageResult,
    Termination,
    relative_gap,
)
from solvers.search_monitor import SearchMonitor

__all__ = ["solve_with_chance"]

# Share of the time that the relaxation may take: what comes after finds solutions without it.
_RELAXATION_SHARE = 0.5
# Linear rows are solved to this gap at first, and to a fourth of it each time that a solution keeps
# the cones: half-spaces are cheap, proofs are not.
_FIRST_GAP, _FINER = 0.02, 0.25
# Share of the time that is left for one solve with linear rows.
_LINEAR_SHARE = 0.3
# Share of the time that is left for narrowing chords at each better solution, and how often over.
_NARROWING_SHARE, _NARROWINGS = 0.2, 4
# What costs as much as the incumbent must not be lost to rounding: this, relative, is no dearer.
_NO_DEARER = 1e-9
# Solutions that keep the cones are looked for near the last one, at most so many in a row.
_TRIES = 4
# Prices are called duals of the relaxation when they prove its value to this, relative.
_DUAL_TOLERANCE = 1e-5


def solve_with_chance(
    problem: AllocationProblem,
    params: SolveParams,
    start: Start | None,
    relax: Backend,
    linear: Solver,
) -> SolveResult:
    """Solve a problem with uncertain rows.

    Parameters
    ----------
    problem
        With `chance`.
    relax
        Back end that solves the relaxation with its cones.
    linear
        Exact solver of the problems with linear rows.
    """
    fitting = fitting_columns(problem)
    lost = np.setdiff1d(np.arange(problem.groups), problem.group[fitting])
    if lost.size:
        detail = f"group {lost[0]}: every column exceeds a row by itself"
        return SolveResult(
            termination=Termination(Reason.INFEASIBLE, detail=detail), dual_bound=math.inf
        )
    if len(fitting) == problem.columns:
        return _ChanceSearch(problem, params, relax, linear).run(start)
    if start is not None and start.x is not None:
        start = Start(start.x[fitting], start.prices)
    search = _ChanceSearch(with_columns(problem, fitting), params, relax, linear)
    result = search.run(start)
    if result.x is None:
        return result
    x = np.zeros(problem.columns, dtype=np.int64)
    x[fitting] = result.x
    return dataclasses.replace(result, x=x)


class _ChanceSearch:
    """The state of one solve of a problem whose columns all fit alone."""

    def __init__(
        self, problem: AllocationProblem, params: SolveParams, relax: Backend, linear: Solver
    ) -> None:
        self.began = time.perf_counter()
        self.problem, self.params = problem, params
        self.relax, self.linear = relax, linear
        self.cuts = ChanceCuts(problem)
        self.x: IntArray | None = None
        self.bound = -math.inf
        self.prices: RowPrices | None = None
        self.last: SolveResult | None = None
        self.rounds = 0
        self.share = _LINEAR_SHARE
        self._narrowed = math.inf
        self.gap = max(params.relative_gap, _FIRST_GAP)
        self.notes: list[str] = []
        self.series = ProgressSeries(params.progress, began=self.began)

    def run(self, given: Start | None) -> SolveResult:
        """Solve."""
        if given is not None and given.x is not None and not self._adopt(given.x):
            self.notes.append("the start is not feasible and was not used")
        if self.problem.priority is None:
            self._solve_relaxation()
        while not self._closed():
            if self._out_of_time():
                return self._result(self._stopped_by())
            start = None if self.x is None else Start(self.x)
            self._narrow()
            found = self._solve_linear(self.cuts.problem(), start)
            self.last = found
            self.rounds += 1
            if found.termination.reason is Reason.INFEASIBLE:
                if self.x is None:
                    return self._infeasible()
                # Chords hold for whatever is no dearer than the incumbent: nothing else is.
                self._raise_bound(self.value)
                return self._result(None)
            if self.problem.priority is None:
                self._raise_bound(found.dual_bound)
            if found.x is None:
                continue
            if self._adopt(found.x):
                proven = found.termination.reason is Reason.OPTIMAL
                if proven and self.gap <= self.params.relative_gap:
                    return self._optimal(found)
                if proven:
                    self.gap = max(self.gap * _FINER, self.params.relative_gap)
                elif self._out_of_time() or self.share == 1.0:
                    return self._result(self._stopped_by())
                else:
                    self.share = 1.0  # the proof is all that is missing
                continue
            self.cuts.add(found.x, self.cuts.violated(found.x))
            if not self._closed():
                self._look_inside(found.x)
        return self._result(None)

    def _narrow(self) -> None:
        """Narrow the chords to solutions no dearer than the incumbent, while that takes little."""
        if self.x is None or self.problem.priority is not None or self._narrowed <= self.value:
            return
        self._narrowed = self.value
        chords, began = self.cuts.chords, time.perf_counter()
        left = self._time_left()
        chords.look_from(self.x)
        at_most = self.value + _NO_DEARER * max(abs(self.value), 1.0)
        for _ in range(_NARROWINGS):
            linear = self.cuts.problem()
            for row in chords.rows.tolist():
                spent = time.perf_counter() - began
                if left is not None and spent > left * _NARROWING_SHARE:
                    return
                chords.tighten(row, linear, at_most, left)

    def _solve_relaxation(self) -> None:
        """Take prices, their bound and the first half-spaces from the relaxation with cones."""
        if self._out_of_time() or not self.problem.columns:
            return
        silent = dataclasses.replace(self.params, progress=None)
        left = self._time_left()
        answer = self.relax(
            BackendRequest(
                problem=self.problem,
                time_limit_s=None if left is None else left * _RELAXATION_SHARE,
                relative_gap=0.0,
                absolute_gap=0.0,
                start=None,
                monitor=SearchMonitor(self.problem, silent, bound=-math.inf, began=self.began),
            )
        )
        if answer.detail:
            self.notes.append(answer.detail)
        if answer.relaxation is None:
            return
        fractions = np.maximum(np.nan_to_num(answer.relaxation.x), 0.0)
        self.cuts.add(fractions, self.cuts.rows)
        self._price(answer.relaxation, fractions)

    def _price(self, relaxation: Relaxation, fractions: FloatArray) -> None:
        """Prove a bound by prices on the half-spaces that touch the cones at the fractions."""
        usage = self.cuts.linear_usage(fractions)
        touching = dataclasses.replace(self.problem, usage=usage, chance=None)
        columns, _ = GroupedColumns.of(touching)
        limit = self.problem.capacity * (1.0 + CAPACITY_TOLERANCE)
        prices = valid_prices(relaxation.prices, limit)
        bound = price_bound(columns, limit, columns.minimum(prices), prices)
        if not math.isfinite(bound):
            return
        self._raise_bound(bound)
        value = float(self.problem.cost @ fractions)
        near = abs(value - bound) <= _DUAL_TOLERANCE * max(abs(value), 1.0)
        meaning = PriceMeaning.RELAXATION_DUAL if near else PriceMeaning.MULTIPLIER
        self.prices = RowPrices(prices, meaning)

    def _look_inside(self, passing: IntArray) -> None:
        """Look for solutions that keep the cones near one that passes them."""
        x = passing
        for _ in range(_TRIES):
            if self._out_of_time():
                return
            before = self.x
            found = self._solve_linear(self.cuts.inside(x), None)
            if found.x is None or (self._adopt(found.x) and self.x is before):
                return
            x = found.x

    def _solve_linear(self, problem: AllocationProblem, start: Start | None) -> SolveResult:
        left = self._time_left()
        params = dataclasses.replace(
            self.params,
            time_limit_s=None if left is None else left * self.share,
            relative_gap=self.gap,
            progress=None,
            options={},
        )
        return self.linear.solve(problem, params, start)

    def _adopt(self, x: IntArray) -> bool:
        """Keep a solution if it is feasible and better; whether it is feasible."""
        if not check(self.problem, x).feasible:
            return False
        if self.x is None or is_better(
            lexicographic_value(self.problem, x), lexicographic_value(self.problem, self.x)
        ):
            self.x = np.array(x, dtype=np.int64)
            if self.problem.priority is None:
                self.series.update(incumbent=self.value, bound=self.bound)
        return True

    def _raise_bound(self, bound: float) -> None:
        self.bound = max(self.bound, min(bound, self.value))
        self.series.update(incumbent=self.value, bound=self.bound)

    @property
    def value(self) -> float:
        """Cost of the incumbent."""
        return math.inf if self.x is None else math.fsum(self.problem.cost[self.x > 0])

    def _closed(self) -> bool:
        if self.problem.priority is not None:
            return False
        allowed = max(self.params.relative_gap, GAP_TOLERANCE)
        return self.x is not None and relative_gap(self.value, self.bound) <= allowed

    def _time_left(self) -> float | None:
        left = self.params.deadline(self.began) - time.perf_counter()
        return None if math.isinf(left) else max(left, 0.01)

    def _out_of_time(self) -> bool:
        return self.params.cancelled or time.perf_counter() >= self.params.deadline(self.began)

    def _stopped_by(self) -> Limit:
        return Limit.INTERRUPTED if self.params.cancelled else Limit.TIME

    def _statistics(self) -> SolveStatistics:
        elapsed = time.perf_counter() - self.began
        return SolveStatistics(
            solve_s=elapsed, total_s=elapsed, iterations=self.rounds, notes=tuple(self.notes)
        )

    def _infeasible(self) -> SolveResult:
        return SolveResult(
            termination=Termination(
                Reason.INFEASIBLE, detail="not even linear rows in place of the cones can be kept"
            ),
            dual_bound=math.inf,
            statistics=self._statistics(),
        )

    def _optimal(self, found: SolveResult) -> SolveResult:
        """Return the answer of a relaxation that keeps every cone: what it proves holds here."""
        return dataclasses.replace(
            found,
            dual_bound=min(max(found.dual_bound, self.bound), found.primal_bound),
            prices=self.prices,
            statistics=self._statistics(),
        )

    def _result(self, limit: Limit | None) -> SolveResult:
        if self.x is None:
            detail = "nothing that keeps the uncertain rows was found"
            ended = Termination(Reason.NO_SOLUTION_FOUND, limit or Limit.COMPLETED, detail)
            return SolveResult(
                termination=ended, dual_bound=self.bound, statistics=self._statistics()
            )
        closed, stages = self._closed(), self._stages()
        bound = self.bound
        if stages:
            reached = {stage.priority: stage.value for stage in stages}
            bound = conditional_cost_bound(self.problem, reached)
        return SolveResult(
            termination=Termination(Reason.OPTIMAL)
            if closed
            else Termination(Reason.FEASIBLE, limit or Limit.COMPLETED),
            primal_bound=self.value,
            dual_bound=min(bound, self.value),
            x=self.x,
            prices=self.prices,
            stages=stages,
            tolerance=self.params.relative_gap,
            statistics=self._statistics(),
        )

    def _stages(self) -> tuple[StageResult, ...]:
        """Return what the incumbent leaves unserved, and what is known to be unavoidable."""
        if self.x is None:
            return ()
        least = unservable_weight(self.problem)
        levels = priority_levels(self.problem)
        known = {} if self.last is None else {s.priority: s.dual_bound for s in self.last.stages}
        stages = []
        for place, level in enumerate(levels):
            value = unserved_weight(self.problem, self.x, level)
            # Bounds of later stages are conditional on what others reached in the earlier ones.
            proven = max(least.get(level, 0.0), known.get(level, 0.0) if place == 0 else 0.0)
            bound = min(proven, value)
            stages.append(StageResult(priority=level, value=value, dual_bound=bound))
        return tuple(stages)
