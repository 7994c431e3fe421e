"""An allocation problem as a PuLP model, scaled for floating-point back ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from solvers.problem import AllocationProblem
from solvers.scaled_model import ScaledModel, scale_model

__all__ = ["PulpModel", "build_pulp_model"]


@dataclass(frozen=True, slots=True, eq=False)
class PulpModel:
    """A PuLP problem, its variables in column order, and what it was made of."""

    problem: Any
    variables: list[Any]
    scaled: ScaledModel


def build_pulp_model(problem: AllocationProblem) -> PulpModel:
    """Build the binary programme; names are numbered, never the user's.

    Parameters
    ----------
    problem
        A plain problem whose capacities are finite.
    """
    import pulp

    scaled = scale_model(problem)
    model = pulp.LpProblem("allocation", pulp.LpMinimize)
    # PuLP 3.3 makes variables by a method of the problem and warns about the older constructor.
    new_variable = getattr(model, "add_variable", pulp.LpVariable)
    # PuLP sorts variables by name: with leading zeros that is the order of the columns.
    width = len(str(problem.columns))
    variables = [
        new_variable(f"x{column:0{width}d}", 0, 1, pulp.LpInteger)
        for column in range(problem.columns)
    ]
    coefficients = scaled.objective.coefficients.tolist()
    model.setObjective(pulp.LpAffineExpression(zip(variables, coefficients, strict=True)))
    _add_groups(pulp, model, variables, problem)
    _add_rows(pulp, model, variables, scaled)
    return PulpModel(model, variables, scaled)


def _add_groups(pulp: Any, model: Any, variables: list[Any], problem: AllocationProblem) -> None:
    order = np.argsort(problem.group, kind="stable")
    bounds = np.searchsorted(problem.group[order], np.arange(problem.groups + 1)).tolist()
    columns = order.tolist()
    for group in range(problem.groups):
        members = columns[bounds[group] : bounds[group + 1]]
        expression = pulp.LpAffineExpression([(variables[column], 1) for column in members])
        model.addConstraint(pulp.LpConstraint(expression, pulp.LpConstraintEQ, f"g{group}", 1))


def _add_rows(pulp: Any, model: Any, variables: list[Any], scaled: ScaledModel) -> None:
    matrix = scaled.usage
    order = np.argsort(matrix.rows, kind="stable")
    bounds = np.searchsorted(matrix.rows[order], np.arange(matrix.shape[0] + 1)).tolist()
    columns = matrix.columns[order].tolist()
    values = matrix.values[order].tolist()
    for row, limit in enumerate(scaled.limit.tolist()):
        entries = slice(bounds[row], bounds[row + 1])
        expression = pulp.LpAffineExpression(
            [
                (variables[column], value)
                for column, value in zip(columns[entries], values[entries], strict=True)
            ]
        )
        model.addConstraint(pulp.LpConstraint(expression, pulp.LpConstraintLE, f"r{row}", limit))
