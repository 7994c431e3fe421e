"""The main job: from a fleet's description to a proven plan."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizer.errors import PlanError
from optimizer.fleet.assembly import assemble
from optimizer.fleet.check import check_plan
from optimizer.fleet.objective_stages import as_a_whole, stage_outcome, with_stage
from optimizer.fleet.plan import FleetPlan, UnservedService
from optimizer.fleet.problem import FleetProblem, build_problem, problem_of
from optimizer.fleet.split_tightening import MOST_TIGHTENINGS, tightened
from optimizer.fleet.unserved import why_unserved
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.options import PriorityMode, SaturationPolicy, UnservedPolicy
from optimizer.spec.overriding import with_options
from solvers import (
    CancelFlag,
    Feature,
    Progress,
    Reason,
    SolveResult,
    SolverOptionError,
    SolveStatistics,
    Termination,
    check,
    solve,
)
from solvers import get as get_solver

__all__ = ["decided", "optimize", "plan_of"]

_COMMON_PARAMETERS = frozenset(inspect.signature(solve).parameters) - {"options"}

IntArray = NDArray[np.int64]


def optimize(
    spec: FleetSpec,
    *,
    progress: Callable[[Progress], None] | None = None,
    cancel: CancelFlag | None = None,
    **options: Any,
) -> FleetPlan:
    """Decide a whole fleet.

    Parameters
    ----------
    spec
        A validated fleet, as from `optimizer.load`.
    progress
        Called with a `solvers.Progress` whenever the solver's incumbent or bound improve.
    cancel
        Set from another thread, it makes the solver return what it has.
    **options
        Fields of `OptimizerSpec` that replace the fleet's own, such as `solver="milp"`,
        `queue_model="inferno-4p"`, `time_limit_s=30`, `relative_gap=1e-4`, `seed=1`.

    Returns
    -------
    FleetPlan
        Also when the fleet is infeasible or nothing was found in time: ask `plan.termination`,
        or call `plan.require()`.

    Raises
    ------
    SpecError
        If an option is unknown or out of range.
    solvers.SolverError, queue_models.QueueModelError
        If a plug-in is unknown, broken, refuses the problem or fails.
    PlanError
        If the solver's answer, or the plan made of it, fails the independent check.
    """
    if options:
        spec = with_options(spec, **options)
    return plan_of(build_problem(spec), progress=progress, cancel=cancel)


def plan_of(
    problem: FleetProblem,
    *,
    progress: Callable[[Progress], None] | None = None,
    cancel: CancelFlag | None = None,
) -> FleetPlan:
    """Solve a fleet's array problem and turn the answer into a plan; see `optimize`."""
    plan = decided(problem, progress=progress, cancel=cancel)
    if plan.found:
        check_plan(problem.table.spec, plan).require()
    return plan


def decided(
    problem: FleetProblem,
    *,
    progress: Callable[[Progress], None] | None = None,
    cancel: CancelFlag | None = None,
) -> FleetPlan:
    """Return the same before it is checked: what is decided for loads other than the table's."""
    problem, result = _solve_tightened(problem, progress, cancel)
    outcomes = []
    for done, stage in pairwise((*problem.table.spec.optimizer.stages, None)):
        if result.x is None or done is None:
            break
        outcomes.append(stage_outcome(done, result))
        if stage is not None:
            earlier = result
            following = with_stage(problem, result, done, stage)
            problem, result = _solve_tightened(following, progress, cancel, start=result)
            result = as_a_whole(earlier, result)
    plan = assemble(problem, result, _blockers(problem, result), tuple(outcomes))
    plan._statistics = result.statistics
    plan._problem = problem
    return plan


def _solve_tightened(
    problem: FleetProblem,
    progress: Callable[[Progress], None] | None,
    cancel: CancelFlag | None,
    start: SolveResult | None = None,
) -> tuple[FleetProblem, SolveResult]:
    """Solve, and solve again while the answer's mixes break an objective; see `tightened`."""
    result = _solve(problem, progress, cancel, start)
    for _ in range(MOST_TIGHTENINGS):
        lowered = tightened(problem, result)
        if lowered is None or (cancel is not None and cancel.is_set()):
            break
        problem = lowered
        result = _solve(problem, progress, cancel)
    return problem, result


def _solve(
    problem: FleetProblem,
    progress: Callable[[Progress], None] | None,
    cancel: CancelFlag | None,
    start: SolveResult | None = None,
) -> SolveResult:
    options = problem.table.spec.optimizer
    if problem.arrays is None:
        return SolveResult(
            termination=Termination(
                Reason.INFEASIBLE,
                detail="nothing can serve what must be served",
            ),
            statistics=SolveStatistics(solver="candidates"),
        )
    takes_parts = (
        options.solver != "auto" and Feature.PARTIAL in get_solver(options.solver).features
    )
    own: dict[str, Any] = dict(options.solver_options)
    common = own.keys() & _COMMON_PARAMETERS
    if common:
        raise SolverOptionError(
            f"solver_options: {', '.join(sorted(common))}: an option of every solver: set it as "
            f"optimizer.{min(common)}"
        )
    if takes_parts and options.saturation_policy is not SaturationPolicy.NONE:
        own.setdefault("saturation_policy", options.saturation_policy.value)
        own.setdefault("delayed_best_effort", options.delayed_best_effort)
    result = solve(
        problem.arrays,
        options.solver,
        time_limit_s=options.time_limit_s,
        relative_gap=options.relative_gap,
        seed=options.seed,
        threads=options.threads,
        start=None if start is None else start.x,
        progress=progress,
        cancel=cancel,
        **own,
    )
    if result.x is None:
        return result
    report = check(problem.arrays, result.x, result.parts, result.rates, result.z)
    tolerance = 1e-6 * max(1.0, abs(report.cost))
    if not report.feasible or abs(report.cost - result.primal_bound) > tolerance:
        raise PlanError(
            f"the answer of solver '{result.statistics.solver}' fails the independent check: "
            + "; ".join(report.violations or (f"cost {report.cost}, not {result.primal_bound}",))
        )
    return result


def _blockers(problem: FleetProblem, result: SolveResult) -> tuple[UnservedService, ...]:
    """Return the services that make an infeasible fleet infeasible, with what they lack.

    Those that nothing can serve; without any, those that are left out once services may be.
    """
    options = problem.table.spec.optimizer
    if result.termination.reason is not Reason.INFEASIBLE:
        return ()
    if problem.impossible:
        return tuple(why_unserved(problem, service, {}) for service in problem.impossible)
    if options.unserved is UnservedPolicy.ALLOWED:
        return ()  # no service is to blame: nothing need be served
    relaxed = with_options(
        problem.table.spec,
        unserved=UnservedPolicy.ALLOWED,
        priorities=PriorityMode.STRICT,
        saturation_policy=SaturationPolicy.NONE,
    )
    # None of these options changes a candidate.
    return plan_of(problem_of(dataclasses.replace(problem.table, spec=relaxed))).unserved
