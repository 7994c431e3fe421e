"""An allocation problem as a PuLP model, scaled for floating-point back ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from solvers.integer_scaling import ScaledObjective, scale_objective, scale_row
from solvers.problem import CAPACITY_TOLERANCE, AllocationProblem

__all__ = ["PulpModel", "build_pulp_model"]

# Back ends work to 1e-6 absolute: coefficients beyond this drown in that, below it they are whole
# numbers that the back end's presolve can use.
_LARGEST_COEFFICIENT = 1e6
# Where there are no whole numbers the largest cost coefficient becomes about this, the middle of
# the range in which the back ends' absolute tolerances were chosen.
_USUAL_COST = 1e3


@dataclass(frozen=True, slots=True, eq=False)
class PulpModel:
    """A PuLP problem, its variables in column order, and its objective's scale."""

    problem: Any
    variables: list[Any]
    objective: ScaledObjective


def build_pulp_model(problem: AllocationProblem) -> PulpModel:
    """Build the binary programme; names are numbered, never the user's.

    Parameters
    ----------
    problem
        A plain problem whose capacities are finite.
    """
    import pulp

    objective = scale_objective(problem, largest=_LARGEST_COEFFICIENT)
    if not objective.exact:
        objective = scale_objective(problem, largest=_USUAL_COST)
    model = pulp.LpProblem("allocation", pulp.LpMinimize)
    # PuLP 3.3 makes variables by a method of the problem and warns about the older constructor.
    new_variable = getattr(model, "add_variable", pulp.LpVariable)
    # PuLP sorts variables by name: with leading zeros that is the order of the columns.
    width = len(str(problem.columns))
    variables = [
        new_variable(f"x{column:0{width}d}", 0, 1, pulp.LpInteger)
        for column in range(problem.columns)
    ]
    model.setObjective(
        pulp.LpAffineExpression(zip(variables, objective.coefficients.tolist(), strict=True))
    )
    _add_groups(pulp, model, variables, problem)
    _add_rows(pulp, model, variables, problem)
    return PulpModel(model, variables, objective)


def _add_groups(pulp: Any, model: Any, variables: list[Any], problem: AllocationProblem) -> None:
    order = np.argsort(problem.group, kind="stable")
    bounds = np.searchsorted(problem.group[order], np.arange(problem.groups + 1)).tolist()
    columns = order.tolist()
    for group in range(problem.groups):
        members = columns[bounds[group] : bounds[group + 1]]
        expression = pulp.LpAffineExpression([(variables[column], 1) for column in members])
        model.addConstraint(pulp.LpConstraint(expression, pulp.LpConstraintEQ, f"g{group}", 1))


def _add_rows(pulp: Any, model: Any, variables: list[Any], problem: AllocationProblem) -> None:
    matrix = problem.usage
    order = np.argsort(matrix.rows, kind="stable")
    bounds = np.searchsorted(matrix.rows[order], np.arange(problem.rows + 1))
    columns = matrix.columns[order]
    values = matrix.values[order]
    for row in range(problem.rows):
        entries = slice(bounds[row], bounds[row + 1])
        usage, capacity = _scaled_row(values[entries], float(problem.capacity[row]))
        expression = pulp.LpAffineExpression(
            [
                (variables[column], value)
                for column, value in zip(columns[entries].tolist(), usage, strict=True)
            ]
        )
        model.addConstraint(pulp.LpConstraint(expression, pulp.LpConstraintLE, f"r{row}", capacity))


def _scaled_row(values: np.ndarray[Any, np.dtype[np.float64]], capacity: float) -> Any:
    """Whole numbers where they are exact, else the largest entry scaled to about 1."""
    row = scale_row(values, capacity, largest=_LARGEST_COEFFICIENT)
    if row.exact:
        return row.usage.tolist(), row.capacity
    factor = 2.0 ** -np.floor(np.log2(values.max()))
    return (values * factor).tolist(), capacity * (1.0 + CAPACITY_TOLERANCE) * factor
