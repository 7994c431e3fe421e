"""Components of a problem solved one after another, and what their answers prove together."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable

import numpy as np

from solvers.base import SolveParams, Start
from solvers.components import Component
from solvers.lexicographic import is_better, priority_levels
from solvers.problem import AllocationProblem
from solvers.progress import ProgressSeries
from solvers.result import (
    GAP_TOLERANCE,
    Limit,
    Reason,
    SolveResult,
    SolveStatistics,
    StageResult,
    Termination,
    relative_gap,
)

__all__ = ["solve_components"]

# With less than this share of the time left, what is still open stays so.
_LEAST_SHARE = 0.05

PartSolve = Callable[[AllocationProblem, SolveParams, Start | None], SolveResult]


def solve_components(
    problem: AllocationProblem,
    parts: list[Component],
    params: SolveParams,
    start: Start | None,
    solve_part: PartSolve,
) -> SolveResult:
    """Solve each component for its share of the time; what is left goes to those still open.

    Parameters
    ----------
    parts
        Of the problem.
    solve_part
        Solves one of them.

    Returns
    -------
    SolveResult
        Of the whole. Bounds of later stages and of the cost hold for what the stages before have
        reached in each component. Progress is reported when all have been solved.
    """
    began = time.perf_counter()
    results: list[SolveResult] = []
    weight = np.array([float(part.problem.columns) for part in parts])
    for number, part in enumerate(parts):
        left = _left(params, began)
        share = None if left is None else left * float(weight[number] / weight[number:].sum())
        known = None if start is None or start.x is None else Start(start.x[part.columns])
        results.append(solve_part(part.problem, _part_params(params, share), known))
        if _hopeless(results[-1]):
            break
    if not _hopeless(results[-1]):
        _go_on(parts, results, params, began, solve_part)
    return _together(problem, parts, results, params, began)


def _go_on(
    parts: list[Component],
    results: list[SolveResult],
    params: SolveParams,
    began: float,
    solve_part: PartSolve,
) -> None:
    """Share the time that is left among those still open, the widest open one first.

    Those without a solution come before all others: without theirs there is none of the whole.
    """
    if params.time_limit_s is None:
        return
    open_parts = [n for n, r in enumerate(results) if r.termination.reason is not Reason.OPTIMAL]
    open_parts.sort(key=lambda n: results[n].dual_bound - results[n].primal_bound)
    for place, number in enumerate(open_parts):
        left = _left(params, began)
        if params.cancelled or left is None or left < _LEAST_SHARE * params.time_limit_s:
            return
        known = results[number]
        again = solve_part(
            parts[number].problem,
            _part_params(params, left / (len(open_parts) - place)),
            None if known.x is None else Start(known.x.copy()),
        )
        results[number] = again if known.x is None else _better(known, again)
        if _hopeless(again):
            return


def _hopeless(result: SolveResult) -> bool:
    """Whether more time would give no solution, and so none of the whole."""
    return result.x is None and result.termination.limit is not Limit.TIME


def _better(known: SolveResult, again: SolveResult) -> SolveResult:
    """Return the better solution, with the higher of bounds that are about the same."""
    value, other = (
        (*(stage.value for stage in result.stages), result.primal_bound)
        for result in (again, known)
    )
    if again.x is None or is_better(other, value):
        return known
    bounds = [stage.dual_bound for stage in again.stages] + [again.dual_bound]
    theirs = [stage.dual_bound for stage in known.stages] + [known.dual_bound]
    for place, bound in enumerate(theirs):
        bounds[place] = min(max(bounds[place], bound), value[place])
        if value[place] != other[place]:
            break  # later bounds are about other stages before
    stages = tuple(
        dataclasses.replace(stage, dual_bound=bound)
        for stage, bound in zip(again.stages, bounds, strict=False)
    )
    return dataclasses.replace(again, stages=stages, dual_bound=bounds[-1])


def _left(params: SolveParams, began: float) -> float | None:
    if params.time_limit_s is None:
        return None
    return max(params.deadline(began) - time.perf_counter(), 1e-3)


def _part_params(params: SolveParams, time_limit_s: float | None) -> SolveParams:
    return dataclasses.replace(params, time_limit_s=time_limit_s, progress=None)


def _together(
    problem: AllocationProblem,
    parts: list[Component],
    results: list[SolveResult],
    params: SolveParams,
    began: float,
) -> SolveResult:
    """Join the answers; one that has no solution speaks for all."""
    statistics = _statistics(results, len(parts), time.perf_counter() - began)
    lost = [result for result in results if result.x is None]
    if lost:
        for result in lost:
            if result.termination.reason is Reason.INFEASIBLE:
                return dataclasses.replace(result, statistics=statistics)
        known = len(results) == len(parts) and not priority_levels(problem)
        bound = math.fsum(result.dual_bound for result in results) if known else -math.inf
        return dataclasses.replace(lost[0], dual_bound=bound, statistics=statistics)
    x = np.zeros(problem.columns, dtype=np.int64)
    rates = None if problem.split is None else np.zeros(problem.split.edges)
    z = None if problem.links is None else np.zeros(problem.links.columns)
    for part, result in zip(parts, results, strict=True):
        for whole, mine, own in ((x, part.columns, result.x), (rates, part.edges, result.rates),
                                 (z, part.z, result.z)):  # fmt: skip
            if whole is not None and own is not None:
                whole[mine] = own
    value = math.fsum(result.primal_bound for result in results)
    bound = min(math.fsum(result.dual_bound for result in results), value)
    stages = _stages(problem, results)
    gap = relative_gap(value, bound)
    closed = gap <= max(params.relative_gap, GAP_TOLERANCE)
    detail = results[-1].termination.detail
    proven = closed and all(stage.optimal for stage in stages)
    for stage in stages:
        series = ProgressSeries(params.progress, priority=stage.priority, began=began)
        series.update(incumbent=stage.value, bound=stage.dual_bound)
    ProgressSeries(params.progress, began=began).update(incumbent=value, bound=bound)
    return SolveResult(
        termination=Termination(Reason.OPTIMAL, detail=detail)
        if proven
        else Termination(Reason.FEASIBLE, _limit(results), detail),
        primal_bound=value,
        dual_bound=bound,
        x=x,
        rates=rates,
        z=z,
        stages=stages,
        tolerance=params.relative_gap,
        statistics=statistics,
    )


def _stages(problem: AllocationProblem, results: list[SolveResult]) -> tuple[StageResult, ...]:
    """Add up what is left unserved at each priority."""
    stages = []
    for level in priority_levels(problem):
        mine = [stage for r in results for stage in r.stages if stage.priority == level]
        value = math.fsum(stage.value for stage in mine)
        bound = math.fsum(stage.dual_bound for stage in mine)
        stages.append(StageResult(priority=level, value=value, dual_bound=min(bound, value)))
    return tuple(stages)


def _limit(results: list[SolveResult]) -> Limit:
    """Return what stopped the first component that was stopped."""
    limits = [r.termination.limit for r in results if r.termination.limit is not None]
    return limits[0] if limits else Limit.GAP


def _statistics(results: list[SolveResult], parts: int, total_s: float) -> SolveStatistics:
    each = [result.statistics for result in results]
    notes = tuple(dict.fromkeys(note for s in each for note in s.notes))
    return SolveStatistics(
        build_s=math.fsum(s.build_s or 0.0 for s in each),
        solve_s=math.fsum(s.solve_s or 0.0 for s in each),
        total_s=total_s,
        nodes=sum(s.nodes or 0 for s in each),
        notes=(f"{parts} components that share nothing, one after another", *notes),
        log_tail=each[-1].log_tail,
    )
