"""The array problem of a fleet as one objective, which any solver of integer programmes takes."""

from __future__ import annotations

from optimizer.errors import InfeasibleError
from optimizer.fleet.problem import FleetProblem, build_problem
from optimizer.spec.fleet_spec import FleetSpec
from solvers import AllocationProblem, solve, with_stages_frozen

__all__ = ["cost_stage", "cost_stage_of"]


def cost_stage(spec: FleetSpec) -> AllocationProblem:
    """Return the problem of the cost, with strict priorities as rows.

    The fleet is solved for them: no plan may leave more unserved of a priority than the best does.

    Parameters
    ----------
    spec
        A validated fleet.

    Raises
    ------
    InfeasibleError
        If something that must be served cannot be, or nothing was found within the limits.
    solvers.ProblemError
        If services split under strict priorities.
    """
    return cost_stage_of(build_problem(spec))


def cost_stage_of(problem: FleetProblem) -> AllocationProblem:
    """Return the cost stage of a fleet's problem; see `cost_stage`."""
    spec = problem.table.spec
    if problem.arrays is None:
        names = ", ".join(spec.services[service].name for service in problem.impossible)
        raise InfeasibleError(f"nothing can serve what must be served: {names}")
    if problem.arrays.priority is None:
        return problem.arrays
    options = spec.optimizer
    result = solve(
        problem.arrays, time_limit_s=options.time_limit_s, relative_gap=options.relative_gap
    )
    if result.x is None:
        raise InfeasibleError(f"{result.termination.reason}: {result.termination.detail}")
    return with_stages_frozen(
        problem.arrays, {stage.priority: stage.value for stage in result.stages}
    )
