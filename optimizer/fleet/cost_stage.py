"""The array problem of a fleet as one objective, which any solver of integer programmes takes."""

from __future__ import annotations

from pathlib import Path

from optimizer.errors import InfeasibleError
from optimizer.fleet.model_names import model_names
from optimizer.fleet.problem import FleetProblem, build_problem
from optimizer.spec.fleet_spec import FleetSpec
from solvers import AllocationProblem, solve, with_stages_frozen, write_model

__all__ = ["arrays_of", "cost_stage", "cost_stage_of", "write_cost_stage"]


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
    """
    return cost_stage_of(build_problem(spec))


def cost_stage_of(problem: FleetProblem) -> AllocationProblem:
    """Return the cost stage of a fleet's problem; see `cost_stage`."""
    arrays = arrays_of(problem)
    if arrays.priority is None:
        return arrays
    return with_stages_frozen(arrays, _reached(arrays, problem.table.spec))


def write_cost_stage(spec: FleetSpec, path: str | Path) -> None:
    """Write the problem of the cost as MPS or LP, by the path's suffix; services may split.

    Columns and rows have the names of services, accelerators and resources, see `model_names`.

    Parameters
    ----------
    spec
        A validated fleet. With strict priorities it is solved for them, see `cost_stage`.
    path
        Ends in ".mps" or ".lp"; an existing file is replaced.

    Raises
    ------
    InfeasibleError
        If something that must be served cannot be, or nothing was found within the limits.
    """
    problem = build_problem(spec)
    arrays = arrays_of(problem)
    reached = None if arrays.priority is None else _reached(arrays, spec)
    write_model(arrays, path, reached, model_names(problem))


def arrays_of(problem: FleetProblem) -> AllocationProblem:
    """Return a fleet's arrays.

    Raises
    ------
    InfeasibleError
        If something that must be served cannot be.
    """
    if problem.arrays is None:
        spec = problem.table.spec
        names = ", ".join(spec.services[service].name for service in problem.impossible)
        raise InfeasibleError(f"nothing can serve what must be served: {names}")
    return problem.arrays


def _reached(arrays: AllocationProblem, spec: FleetSpec) -> dict[int, float]:
    """Return what has to stay unserved of each priority."""
    options = spec.optimizer
    result = solve(arrays, time_limit_s=options.time_limit_s, relative_gap=options.relative_gap)
    if result.x is None:
        raise InfeasibleError(f"{result.termination.reason}: {result.termination.detail}")
    return {stage.priority: stage.value for stage in result.stages}
