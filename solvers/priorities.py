"""Strict priorities for solvers with bounds: one plain problem per stage, each bound conditional.

Stage p minimises the weight left unserved at priority p while the weights of more important
priorities stay at most what the incumbent reached; the last stage minimises the cost. Nothing is
weighed against anything else, so no penalty constant has to be large enough.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable

import numpy as np

from solvers.base import SolveParams, Start
from solvers.bounds import conditional_cost_bound, fits_alone, unservable_weight
from solvers.construction import construct
from solvers.exact import start_vector
from solvers.frozen_stages import frozen_rows
from solvers.lexicographic import (
    group_weights,
    is_better,
    lexicographic_value,
    priority_levels,
    unserved_weight,
)
from solvers.problem import AllocationProblem, BoolArray, FloatArray, IntArray
from solvers.progress import Progress, ProgressCallback, ProgressSeries
from solvers.result import (
    GAP_TOLERANCE,
    Limit,
    Reason,
    RowPrices,
    SolveResult,
    SolveStatistics,
    StageResult,
    Termination,
)
from solvers.sparse_columns import SparseColumns

__all__ = ["PlainSolve", "solve_in_stages"]

PlainSolve = Callable[[AllocationProblem, SolveParams, Start | None], SolveResult]

# Share of the remaining time that the optimistic problem may take: its failure proves nothing.
_OPTIMISTIC_SHARE = 0.5


def solve_in_stages(
    problem: AllocationProblem, params: SolveParams, start: Start | None, solve_plain: PlainSolve
) -> SolveResult:
    """Solve lexicographically when the problem has priorities, else in one go.

    Parameters
    ----------
    solve_plain
        Solves a problem without priorities; exact when it has the time, or a heuristic, which
        leaves open what it does not prove.

    Returns
    -------
    SolveResult
        With one `StageResult` per priority. OPTIMAL only if every stage is; the dual bound on the
        cost is conditional on the stages' values. The time limit is shared by all stages. Progress
        is reported stage by stage, each a series of its own.
    """
    if problem.priority is None:
        return solve_plain(problem, params, start)
    return _StagedSolve(problem, params, start, solve_plain).run()


class _StagedSolve:
    """The state of one lexicographic solve: incumbent, frozen stages, time left."""

    def __init__(
        self,
        problem: AllocationProblem,
        params: SolveParams,
        start: Start | None,
        solve_plain: PlainSolve,
    ) -> None:
        self.problem = problem
        self.params = params
        self.solve_plain = solve_plain
        self.began = time.perf_counter()
        self.weights = group_weights(problem)
        self.least = unservable_weight(problem)
        self.stages: list[StageResult] = []
        self.runs: list[SolveResult] = []
        self.notes: list[str] = []
        self.series: dict[int | None, ProgressSeries] = {}
        self.prices = None if start is None else start.prices
        given = start_vector(problem, start)
        if start is not None and start.x is not None and given is None:
            self.notes.append("the start is not feasible and was not used")
        own = construct(problem, stop=self._out_of_time, deadline=params.deadline(self.began)).x
        self.incumbent = _better(problem, given, own)

    def run(self) -> SolveResult:
        """Solve stage by stage."""
        optimistic = None if self._met_everywhere() else self._solve_optimistic()
        if optimistic is not None and optimistic.termination.reason is Reason.OPTIMAL:
            return self._finished(optimistic)
        for level in priority_levels(self.problem):
            failure = self._solve_stage(level)
            if failure is not None:
                return failure
        return self._solve_cost(-math.inf if optimistic is None else optimistic.dual_bound)

    def _solve_optimistic(self) -> SolveResult | None:
        """Try to serve every group that can be served: success proves all stages at once."""
        serving = fits_alone(self.problem) & ~self._unserved
        can_be_served = np.zeros(self.problem.groups, dtype=bool)
        can_be_served[self.problem.group[serving]] = True
        columns = np.flatnonzero(~self._unserved | ~can_be_served[self.problem.group])
        plain = _columns_of(self.problem, columns, self.problem.cost[columns])
        hint = None if self.prices is None else Start(None, self.prices)
        result = self._call(plain, hint, share=_OPTIMISTIC_SHARE, progress=self._follow_optimistic)
        if result is not None and result.prices is not None:
            self.prices = result.prices.values
        if result is None or result.x is None:
            return None
        self._adopt(self._restored(columns, result))
        if result.termination.reason is Reason.OPTIMAL:
            for level in self.least:
                self._freeze(level, self._value(level))
        return result

    def _solve_stage(self, level: int) -> SolveResult | None:
        """Freeze one priority at the least unserved weight found; a result only on failure."""
        least = self.least[level]
        if self.incumbent is not None and self._value(level) <= least * (1 + GAP_TOLERANCE):
            self._freeze(level, least)
            return None
        columns = self._stage_columns(level)
        problem = self.problem
        mine = self._unserved & (self._priority_of_columns == level)
        stage_cost = np.where(mine, self.weights[problem.group], 0.0)
        plain = self._with_frozen_rows(_columns_of(problem, columns, stage_cost[columns]), columns)
        hint = None if self.incumbent is None else Start(self.incumbent[columns])
        # A stage is exact or open: the gap asked for is one of the cost. The stages that are left
        # and the cost share the time.
        problems_left = len(self.least) - len(self.stages) + 1
        follow = self._series(level).follow
        result = self._call(plain, hint, gap=0.0, share=1.0 / problems_left, progress=follow)
        bound = least
        if result is not None:
            if result.termination.reason is Reason.INFEASIBLE:
                return self._failure(result)
            bound = max(least, result.dual_bound)
            if result.x is not None:
                self._adopt(self._restored(columns, result))
        if self.incumbent is None:
            return self._failure(result)
        self._freeze(level, bound)
        return None

    def _solve_cost(self, known_bound: float) -> SolveResult:
        """Minimise the cost with every stage frozen; a bound may be known from before."""
        assert self.incumbent is not None  # a stage without a solution ends the solve
        columns = np.arange(self.problem.columns)
        plain = self._with_frozen_rows(
            _columns_of(self.problem, columns, self.problem.cost), columns
        )
        # Prices are in cost: a stage's, in weight, are of no use here. Frozen stages have none yet.
        prices = self.prices
        if prices is not None:
            prices = np.append(prices, np.zeros(plain.rows - len(prices)))
        hint = Start(self.incumbent, prices)
        result = self._call(plain, hint, progress=self._series(None).follow)
        if result is not None:
            if result.termination.reason is Reason.INFEASIBLE:
                return self._failure(result)
            if result.x is not None:
                self._adopt(self._restored(columns, result))
        return self._finished(result, known_bound)

    def _call(
        self,
        plain: AllocationProblem,
        hint: Start | None,
        *,
        progress: ProgressCallback,
        gap: float | None = None,
        share: float = 1.0,
    ) -> SolveResult | None:
        """Solve a stage in the time that is left; None when there is none, or to stop."""
        if self._out_of_time():
            return None
        left = None
        if self.params.time_limit_s is not None:
            left = (self.params.time_limit_s - (time.perf_counter() - self.began)) * share
        params = dataclasses.replace(
            self.params,
            time_limit_s=left,
            relative_gap=self.params.relative_gap if gap is None else gap,
            progress=None if self.params.progress is None else progress,
        )
        result = self.solve_plain(plain, params, hint)
        self.runs.append(result)
        return result

    def _follow_optimistic(self, progress: Progress) -> None:
        """Report on the optimistic problem once it has a solution.

        That proves every stage, and its cost is then the cost; without one its bound means nothing.
        """
        if math.isfinite(progress.incumbent):
            self._series(None).follow(progress)

    def _series(self, level: int | None) -> ProgressSeries:
        """Return the reports about one priority, or about the cost."""
        if level not in self.series:
            self.series[level] = ProgressSeries(
                self.params.progress, priority=level, began=self.began
            )
        return self.series[level]

    def _out_of_time(self) -> bool:
        return self.params.cancelled or time.perf_counter() >= self.params.deadline(self.began)

    def _stopped_by(self, result: SolveResult | None) -> Limit:
        """Return the limit that ended the solve, given its last result.

        When that is proven, what is open is a stage: its limit counts.
        """
        if self.params.cancelled:
            return Limit.INTERRUPTED
        if result is None:
            return Limit.TIME
        limits = [run.termination.limit for run in self.runs]
        return next((limit for limit in reversed(limits) if limit is not None), Limit.TIME)

    @property
    def _unserved(self) -> BoolArray:
        assert self.problem.unserved is not None  # validated: priorities need it
        return self.problem.unserved

    @property
    def _priority_of_columns(self) -> IntArray:
        assert self.problem.priority is not None
        return self.problem.priority[self.problem.group]

    def _value(self, level: int) -> float:
        assert self.incumbent is not None
        return unserved_weight(self.problem, self.incumbent, level)

    def _met_everywhere(self) -> bool:
        return self.incumbent is not None and all(
            self._value(level) <= weight * (1 + GAP_TOLERANCE)
            for level, weight in self.least.items()
        )

    def _freeze(self, level: int, bound: float) -> None:
        value = self._value(level)
        self._series(level).update(incumbent=value, bound=bound)
        self.stages.append(StageResult(priority=level, value=value, dual_bound=min(bound, value)))

    def _stage_columns(self, level: int) -> IntArray:
        """Return the columns of the groups that matter up to this stage.

        A less important group that can be left unserved at no usage never stands in the way.
        """
        problem = self.problem
        free = self._unserved & (np.diff(problem.usage.indptr) == 0)
        can_wait = np.zeros(problem.groups, dtype=bool)
        can_wait[problem.group[free]] = True
        assert problem.priority is not None
        matters = (problem.priority <= level) | ~can_wait
        return np.flatnonzero(matters[problem.group])

    def _with_frozen_rows(self, plain: AllocationProblem, columns: IntArray) -> AllocationProblem:
        """Add one row per frozen stage: its unserved weight may not pass the value reached."""
        if not self.stages:
            return plain
        reached = {stage.priority: stage.value for stage in self.stages}
        frozen = frozen_rows(self.problem, reached, columns)
        return AllocationProblem(
            plain.cost,
            SparseColumns.stack([plain.usage, frozen]),
            np.append(plain.capacity, list(reached.values())),
            plain.group,
        )

    def _restored(self, columns: IntArray, result: SolveResult) -> IntArray:
        """Return a stage's solution for all groups; those left out take their free column."""
        assert result.x is not None
        problem = self.problem
        x = np.zeros(problem.columns, dtype=np.int64)
        x[columns] = result.x
        placed = np.zeros(problem.groups, dtype=bool)
        placed[problem.group[x > 0]] = True
        free = self._unserved & (np.diff(problem.usage.indptr) == 0)
        waiting = np.flatnonzero(free & ~placed[problem.group])
        order = waiting[np.lexsort((waiting, problem.cost[waiting], problem.group[waiting]))]
        _, first = np.unique(problem.group[order], return_index=True)
        x[order[first]] = 1
        return x

    def _row_prices(self, prices: RowPrices | None) -> RowPrices | None:
        """Return the prices of the problem's own rows, which stand before those of the stages."""
        if prices is None:
            return None
        return RowPrices(prices.values[: self.problem.rows].copy(), prices.meaning)

    def _adopt(self, x: IntArray) -> None:
        """Keep a solution if it is lexicographically better than the incumbent."""
        self.incumbent = _better(self.problem, self.incumbent, x)

    def _statistics(self) -> SolveStatistics:
        notes = dict.fromkeys(
            self.notes + [note for run in self.runs for note in run.statistics.notes]
        )
        return SolveStatistics(
            build_s=math.fsum(run.statistics.build_s or 0.0 for run in self.runs),
            solve_s=math.fsum(run.statistics.solve_s or 0.0 for run in self.runs),
            total_s=time.perf_counter() - self.began,
            nodes=sum(run.statistics.nodes or 0 for run in self.runs),
            notes=(f"{len(self.runs)} stage problems solved", *notes),
            log_tail=self.runs[-1].statistics.log_tail if self.runs else "",
        )

    def _failure(self, result: SolveResult | None) -> SolveResult:
        termination = (
            Termination(Reason.NO_SOLUTION_FOUND, self._stopped_by(None))
            if result is None
            else result.termination
        )
        infeasible = termination.reason is Reason.INFEASIBLE
        return SolveResult(
            termination=termination,
            dual_bound=math.inf if infeasible else -math.inf,
            tolerance=self.params.relative_gap,
            statistics=self._statistics(),
        )

    def _finished(self, result: SolveResult | None, known_bound: float = -math.inf) -> SolveResult:
        """Compose the result from the incumbent, the stages and the cost stage's bound."""
        assert self.incumbent is not None
        cost = math.fsum(self.problem.cost[self.incumbent > 0])
        bound = conditional_cost_bound(
            self.problem, {stage.priority: stage.value for stage in self.stages}
        )
        bound = max(bound, known_bound, -math.inf if result is None else result.dual_bound)
        optimal = (
            result is not None
            and result.termination.reason is Reason.OPTIMAL
            and all(stage.optimal for stage in self.stages)
        )
        if optimal:
            termination = Termination(Reason.OPTIMAL)
        else:
            open_stages = [str(s.priority) for s in self.stages if not s.optimal]
            detail = f"priority {', '.join(open_stages)} not proven" if open_stages else ""
            termination = Termination(Reason.FEASIBLE, self._stopped_by(result), detail)
        return SolveResult(
            termination=termination,
            primal_bound=cost,
            dual_bound=min(bound, cost),
            x=self.incumbent,
            prices=None if result is None else self._row_prices(result.prices),
            stages=tuple(self.stages),
            tolerance=self.params.relative_gap,
            statistics=self._statistics(),
        )


def _better(
    problem: AllocationProblem, first: IntArray | None, second: IntArray | None
) -> IntArray | None:
    if first is None or second is None:
        return second if first is None else first
    values = [lexicographic_value(problem, x) for x in (first, second)]
    return second if is_better(values[1], values[0]) else first


def _columns_of(
    problem: AllocationProblem, columns: IntArray, cost: FloatArray
) -> AllocationProblem:
    """Return a plain problem of some columns with their cost, groups renumbered without holes."""
    _, group = np.unique(problem.group[columns], return_inverse=True)
    return AllocationProblem(
        cost,
        problem.usage.take(columns),
        problem.capacity,
        group,
    )
