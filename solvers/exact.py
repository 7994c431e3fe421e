"""From a back end's answer to a proven result: presolve, cover cuts, verification, bounds.

Back ends work in floating point within tolerances of their own. What they return is taken as a
claim: the solution is rounded and checked against every row, a row that it exceeds is cut off by a
cover inequality and the back end asked again, and the cost is computed in the caller's numbers.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from solvers.base import SolveParams, Start
from solvers.bounds import capacity_free_bound
from solvers.errors import SolverBackendError, SolverOptionError
from solvers.evidence import evidence_kept
from solvers.integer_scaling import exact_scaling
from solvers.mixed_programme import MixedProgramme
from solvers.presolve import reduce_problem
from solvers.problem import CAPACITY_TOLERANCE, AllocationProblem, FloatArray, IntArray
from solvers.result import (
    GAP_TOLERANCE,
    Limit,
    Reason,
    SolveResult,
    SolveStatistics,
    Termination,
    relative_gap,
)
from solvers.search_monitor import Monitor, SearchMonitor, SilentMonitor
from solvers.sparse_columns import SparseColumns
from solvers.split_programme import SplitProgramme
from solvers.verification import exact_cost, exceeded_row, is_feasible

__all__ = [
    "Backend",
    "BackendAnswer",
    "BackendRequest",
    "ProgrammeStage",
    "Relaxation",
    "cost_step",
    "exact_cost",
    "is_feasible",
    "rounded_bound",
    "solve_exactly",
    "start_vector",
    "tightened_bound",
]

# A problem whose solutions the back end keeps misjudging is given up after so many cover cuts.
_MOST_CUTS = 100
# Back ends prove bounds to about this, relative to the magnitudes summed; a bound that passes the
# value by more contradicts it.
_BOUND_NOISE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class ProgrammeStage:
    """One stage of a problem with a split or a linked part.

    Parameters
    ----------
    builder
        Knows what the variables are.
    objective
        (variables,), minimised.
    frozen
        Objectives of earlier stages and what each must stay at or below.
    later
        (variables,) each, the objectives of the stages that follow, the cost last: of solutions
        that are equal for this stage, later ones want that which is good for them.
    """

    builder: SplitProgramme
    objective: FloatArray
    frozen: Sequence[tuple[FloatArray, float]]
    later: Sequence[FloatArray] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BackendRequest:
    """What a back end is asked.

    Parameters
    ----------
    problem
        A plain problem: no priorities, every row finite, every column fits alone.
    time_limit_s
        Seconds left, > 0; None: no limit.
    solved_limit_s
        Seconds that a back end may take once it has a solution, where these are more; it need not.
    relative_gap
        See `SolveParams`.
    absolute_gap
        Gap in cost that is always good enough, >= 0.
    start
        (n,), 0/1: a feasible solution, or None.
    programme
        Of a problem with a split part: what is asked in its stead. The answer's x then has one
        entry per variable, the problem's columns first; the others may be rounded.
    stage
        What the programme was made of, for back ends that see more in it than its rows.
    point
        (variables,), a feasible solution of the programme, or None.
    monitor
        Is told of solutions and bounds, and says when to stop. Solutions need not keep the rows:
        they are verified.
    """

    problem: AllocationProblem
    time_limit_s: float | None
    relative_gap: float
    absolute_gap: float
    start: IntArray | None
    programme: MixedProgramme | None = None
    stage: ProgrammeStage | None = None
    point: FloatArray | None = None
    solved_limit_s: float | None = None
    monitor: Monitor = field(default_factory=SilentMonitor)


@dataclass(frozen=True, slots=True, eq=False)
class Relaxation:
    """What a back end claims about the continuous relaxation, within tolerances of its own.

    Parameters
    ----------
    x
        (n,), about 0 to 1.
    prices
        (m,), cost per unit of each row, about >= 0.
    """

    x: FloatArray
    prices: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BackendAnswer:
    """What a back end claims.

    Parameters
    ----------
    x
        (n,), 0/1, rounded; None: no solution.
    dual_bound
        Proven lower bound; -inf: nothing proved.
    infeasible
        Whether it claims that no solution exists.
    limit
        The limit that stopped it; None when it ran to its end.
    relaxation
        Of a back end that solves the continuous relaxation; `solve_exactly` does not look at it.
    """

    x: IntArray | None = None
    dual_bound: float = -math.inf
    infeasible: bool = False
    limit: Limit | None = None
    detail: str = ""
    build_s: float = 0.0
    solve_s: float = 0.0
    nodes: int = 0
    notes: tuple[str, ...] = ()
    log_tail: str = ""
    relaxation: Relaxation | None = None


Backend = Callable[[BackendRequest], BackendAnswer]


def start_vector(problem: AllocationProblem, start: Start | None) -> IntArray | None:
    """Return the start as (n,) of 0 and 1 when it is feasible, else None.

    Raises
    ------
    SolverOptionError
        If it has another shape.
    """
    if start is None or start.x is None:
        return None
    x = np.asarray(start.x)
    if x.shape != (problem.columns,):
        raise SolverOptionError(f"start: shape {x.shape}, ({problem.columns},) is wanted")
    chosen = (x > 0).astype(np.int64)
    return chosen if is_feasible(problem, chosen) else None


def tightened_bound(problem: AllocationProblem, bound: float, value: float, scale: float) -> float:
    """Round a proven bound up to the next cost that exists, and onto the value within noise.

    Parameters
    ----------
    bound
        Proven, in cost units; -inf stays.
    value
        Cost of the incumbent, +inf without one.
    scale
        Sum of the magnitudes behind the value, >= 0: floating-point noise is relative to it.

    Notes
    -----
    When every cost is a whole multiple of one step, so is every solution's cost.
    """
    return rounded_bound(cost_step(problem), bound, value, scale)


def cost_step(problem: AllocationProblem) -> float | None:
    """Return the step of which every cost is a whole multiple; None where there is none."""
    scaling = exact_scaling(problem.cost)
    return None if scaling is None else scaling.step


def rounded_bound(step: float | None, bound: float, value: float, scale: float) -> float:
    """Do what `tightened_bound` does, for a known `cost_step`."""
    if not math.isfinite(bound):
        return bound
    if step is not None and abs(bound) / step < 1.0 / (10 * GAP_TOLERANCE):
        bound = math.ceil(bound / step - _BOUND_NOISE) * step
    if bound >= value - GAP_TOLERANCE * max(scale, abs(value)):
        return value
    return bound


def solve_exactly(
    problem: AllocationProblem, params: SolveParams, start: Start | None, backend: Backend
) -> SolveResult:
    """Solve a plain problem with a back end, trusting only what can be verified.

    Parameters
    ----------
    problem
        `priority`, `unserved`, `weight` and `parts` are not looked at.

    Raises
    ------
    SolverBackendError
        If the back end's claims contradict one another or the arithmetic.
    """
    began = time.perf_counter()
    incumbent = start_vector(problem, start)
    notes: tuple[str, ...] = ()
    if start is not None and start.x is not None and incumbent is None:
        notes = ("the start is not feasible and was not used",)
    reduction = reduce_problem(problem)
    if reduction.problem is None:
        if incumbent is not None:
            raise SolverBackendError("presolve found a feasible problem infeasible")
        return _infeasible(
            f"group {reduction.empty_group}: every column exceeds a row by itself", notes
        )
    hint = None if incumbent is None else reduction.reduce(incumbent)
    monitor = SearchMonitor(
        reduction.problem, params, bound=capacity_free_bound(reduction.problem), began=began
    )
    if hint is not None:
        monitor.incumbent(hint)
    answer = _ask_until_kept(reduction.problem, params, hint, backend, monitor, began)
    if answer.x is not None:
        monitor.incumbent(answer.x)
    if not answer.infeasible:
        monitor.bound(answer.dual_bound)
    found = None if monitor.best is None else reduction.restore(monitor.best)
    result = _proven_result(problem, params, answer, found, incumbent, notes, began)
    if result.x is not None:
        monitor.bound(result.dual_bound)
    return result


def _ask_until_kept(
    problem: AllocationProblem,
    params: SolveParams,
    hint: IntArray | None,
    backend: Backend,
    monitor: SearchMonitor,
    began: float,
) -> BackendAnswer:
    """Ask the back end, cutting off what exceeds a row, until its answer keeps all of them."""
    if not problem.columns:
        return BackendAnswer(x=np.zeros(0, dtype=np.int64), dual_bound=0.0)
    floor = proven = monitor.best_bound
    with_cuts = problem
    for cuts in range(_MOST_CUTS + 1):
        left = None if params.time_limit_s is None else params.time_limit_s - _since(began)
        if monitor.cancelled():
            return BackendAnswer(dual_bound=proven, limit=Limit.INTERRUPTED)
        if left is not None and left <= 0:
            break
        answer = backend(
            BackendRequest(
                problem=with_cuts,
                time_limit_s=left,
                relative_gap=params.relative_gap,
                absolute_gap=params.relative_gap * max(floor, 0.0),
                start=hint,
                monitor=monitor,
            )
        )
        # What is told on the way counts only where no answer comes. A search that starts anew on a
        # smaller model is between two models for a while, each with a constant of its own, and a
        # bound told there would never be taken back; the one in its answer is of the whole run.
        told = answer.dual_bound if math.isfinite(answer.dual_bound) else monitor.best_bound
        proven = max(proven, told)
        notes = answer.notes + ((f"{cuts} cover cuts added",) if cuts else ())
        answer = dataclasses.replace(answer, dual_bound=proven, notes=notes)
        if answer.x is None:
            return answer
        counts = np.bincount(problem.group[answer.x > 0], minlength=problem.groups)
        if not (counts == 1).all():
            raise SolverBackendError(
                f"the back end chose {counts.min()} to {counts.max()} columns of a group; "
                f"log: {answer.log_tail or 'none'}"
            )
        row = exceeded_row(problem, answer.x)
        if row is None:
            return answer
        with_cuts = _with_cover_cut(with_cuts, problem, answer.x, row)
    else:
        return BackendAnswer(
            dual_bound=proven,
            limit=Limit.ITERATIONS,
            detail=f"{_MOST_CUTS} cover cuts were not enough: the back end's tolerance is too wide "
            f"for the size of the usage coefficients",
        )
    return BackendAnswer(dual_bound=proven, limit=Limit.TIME)


def _with_cover_cut(
    with_cuts: AllocationProblem, problem: AllocationProblem, x: IntArray, row: int
) -> AllocationProblem:
    """Forbid the smallest set of chosen columns that together exceeds the row.

    For a cover C (usage of C > capacity), at most |C| - 1 of its columns can be chosen: valid for
    every feasible solution, so the optimum stays.
    """
    matrix = problem.usage
    mine = (matrix.rows == row) & (x[matrix.columns] > 0)
    columns, values = matrix.columns[mine], matrix.values[mine]
    order = np.argsort(-values, kind="stable")
    limit = problem.capacity[row] * (1.0 + CAPACITY_TOLERANCE)
    count = next(k for k in range(1, len(order) + 1) if math.fsum(values[order[:k]]) > limit)
    cover = columns[order[:count]]
    cut = SparseColumns.from_triplets(
        (1, problem.columns), rows=np.zeros(count), columns=cover, values=np.ones(count)
    )
    return AllocationProblem(
        problem.cost,
        SparseColumns.stack([with_cuts.usage, cut]),
        np.append(with_cuts.capacity, count - 1.0),
        problem.group,
    )


def _proven_result(
    problem: AllocationProblem,
    params: SolveParams,
    answer: BackendAnswer,
    found: IntArray | None,
    incumbent: IntArray | None,
    notes: tuple[str, ...],
    began: float,
) -> SolveResult:
    statistics = SolveStatistics(
        build_s=answer.build_s,
        solve_s=answer.solve_s,
        total_s=_since(began),
        nodes=answer.nodes,
        notes=notes + answer.notes,
        log_tail=answer.log_tail,
    )
    candidates = [x for x in (found, incumbent) if x is not None]
    if answer.infeasible:
        if candidates:
            raise SolverBackendError(
                f"the back end calls a problem infeasible to which a solution of cost "
                f"{exact_cost(problem, candidates[0]):.12g} is known; "
                f"log: {answer.log_tail or 'none'}"
            )
        return _infeasible(answer.detail or "proven by the back end", statistics.notes, statistics)
    if not candidates:
        limit = answer.limit or Limit.TIME
        return SolveResult(
            termination=Termination(Reason.NO_SOLUTION_FOUND, limit, answer.detail),
            dual_bound=answer.dual_bound,
            tolerance=params.relative_gap,
            statistics=statistics,
        )
    x = min(candidates, key=lambda candidate: exact_cost(problem, candidate))
    return _feasible_result(problem, params, answer, x, statistics)


def _feasible_result(
    problem: AllocationProblem,
    params: SolveParams,
    answer: BackendAnswer,
    x: NDArray[np.int64],
    statistics: SolveStatistics,
) -> SolveResult:
    value = exact_cost(problem, x)
    scale = math.fsum(np.abs(problem.cost[x > 0]))
    if answer.dual_bound > value + _BOUND_NOISE * max(scale, 1e-300):
        raise SolverBackendError(
            f"the back end's bound {answer.dual_bound:.12g} passes the value {value:.12g} of a "
            f"verified solution; {evidence_kept(problem, x)}; log: {answer.log_tail or 'none'}"
        )
    bound = tightened_bound(problem, answer.dual_bound, value, scale)
    closed = relative_gap(value, bound) <= max(params.relative_gap, GAP_TOLERANCE)
    termination = (
        Termination(Reason.OPTIMAL, detail=answer.detail)
        if closed
        else Termination(Reason.FEASIBLE, answer.limit or Limit.GAP, answer.detail)
    )
    return SolveResult(
        termination=termination,
        primal_bound=value,
        dual_bound=bound,
        x=x,
        tolerance=params.relative_gap,
        statistics=statistics,
    )


def _infeasible(
    detail: str, notes: tuple[str, ...], statistics: SolveStatistics | None = None
) -> SolveResult:
    return SolveResult(
        termination=Termination(Reason.INFEASIBLE, detail=detail),
        dual_bound=math.inf,
        statistics=statistics or SolveStatistics(notes=notes),
    )


def _since(began: float) -> float:
    return time.perf_counter() - began
