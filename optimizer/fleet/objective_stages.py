"""A lexicographic objective: one problem after another, each with the earlier answers kept."""

from __future__ import annotations

import dataclasses

import numpy as np

from optimizer.fleet.plan import ObjectiveStage
from optimizer.fleet.problem import FleetProblem, column_costs
from optimizer.spec.objective import ObjectiveStageSpec
from solvers import Reason, SolveResult, SparseColumns

__all__ = ["as_a_whole", "stage_outcome", "with_stage"]

# What an earlier stage reached is kept up to this beyond its tolerance, in the measure's unit: its
# value is a sum in floating point.
_ROUNDING = 1e-9


def with_stage(
    problem: FleetProblem, result: SolveResult, done: ObjectiveStageSpec, stage: ObjectiveStageSpec
) -> FleetProblem:
    """Return the problem of the next stage: what the last one reached is a row of it.

    Parameters
    ----------
    problem, result
        Of the last stage, with a solution.
    done, stage
        The last stage and the next.
    """
    arrays = problem.arrays
    assert arrays is not None
    kept = result.primal_bound * (1.0 + done.tolerance) + _ROUNDING
    cost = column_costs(problem.columns, stage.minimise, problem.linked)
    if problem.linked is not None:
        of_z = dict(enumerate(problem.linked.costs(problem.measure).tolist()))
        name = f"stage: {done.minimise.value}"
        linked = problem.linked.with_row(name, arrays.cost, of_z, upper=kept)
        return dataclasses.replace(
            problem,
            measure=stage.minimise,
            linked=linked,
            arrays=dataclasses.replace(arrays, cost=cost, links=linked.links(stage.minimise)),
        )
    entries = np.flatnonzero(arrays.cost)
    row = SparseColumns.from_triplets(
        (1, arrays.columns), rows=np.zeros(len(entries), dtype=np.int64), columns=entries,
        values=arrays.cost[entries],
    )  # fmt: skip
    return dataclasses.replace(
        problem,
        measure=stage.minimise,
        arrays=dataclasses.replace(
            arrays,
            cost=cost,
            usage=SparseColumns.stack([arrays.usage, row]),
            capacity=np.append(arrays.capacity, kept),
        ),
    )


def as_a_whole(earlier: SolveResult, result: SolveResult) -> SolveResult:
    """Return a stage's result, optimal only if the stages before it are."""
    if result.termination.reason is not Reason.OPTIMAL:
        return result
    return dataclasses.replace(result, termination=earlier.termination)


def stage_outcome(stage: ObjectiveStageSpec, result: SolveResult) -> ObjectiveStage:
    """Return what a stage reached, in the plan's words."""
    bound = result.dual_bound
    return ObjectiveStage(
        minimise=stage.minimise.value,
        value=result.primal_bound,
        dual_bound=bound if np.isfinite(bound) else None,
        tolerance=stage.tolerance,
        proven=result.termination.reason is Reason.OPTIMAL,
    )
