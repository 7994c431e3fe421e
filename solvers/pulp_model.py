"""An allocation problem as a PuLP model, scaled for floating-point back ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from solvers.mixed_programme import MixedProgramme
from solvers.problem import AllocationProblem
from solvers.scaled_model import ScaledModel, scale_model

__all__ = ["PulpModel", "build_pulp_model", "build_pulp_programme"]


@dataclass(frozen=True, slots=True, eq=False)
class PulpModel:
    """A PuLP problem, its variables in column order, and what it was made of."""

    problem: Any
    variables: list[Any]
    scaled: ScaledModel | MixedProgramme


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


def build_pulp_programme(programme: MixedProgramme) -> PulpModel:
    """Build a mixed-integer programme; names are numbered."""
    import pulp

    model = pulp.LpProblem("allocation", pulp.LpMinimize)
    new_variable = getattr(model, "add_variable", pulp.LpVariable)
    width = len(str(programme.variables))
    variables = [
        new_variable(
            f"v{number:0{width}d}", low if low > -np.inf else None, high if high < np.inf else None,
            pulp.LpInteger if whole else pulp.LpContinuous,
        )
        for number, (low, high, whole) in enumerate(
            zip(programme.lower.tolist(), programme.upper.tolist(), programme.integer.tolist(),
                strict=True)
        )
    ]  # fmt: skip
    coefficients = programme.objective.coefficients.tolist()
    model.setObjective(pulp.LpAffineExpression(zip(variables, coefficients, strict=True)))
    order = np.argsort(programme.rows, kind="stable")
    rows = len(programme.row_lower)
    bounds = np.searchsorted(programme.rows[order], np.arange(rows + 1)).tolist()
    columns, values = programme.columns[order].tolist(), programme.values[order].tolist()
    limits = zip(programme.row_lower.tolist(), programme.row_upper.tolist(), strict=True)
    for row, (low, high) in enumerate(limits):
        entries = slice(bounds[row], bounds[row + 1])
        terms = [
            (variables[column], value)
            for column, value in zip(columns[entries], values[entries], strict=True)
        ]
        limits_of_row = [(pulp.LpConstraintLE, high, ""), (pulp.LpConstraintGE, low, "low")]
        if low == high:
            limits_of_row = [(pulp.LpConstraintEQ, low, "")]
        for sense, limit, side in limits_of_row:
            if np.isfinite(limit):
                expression = pulp.LpAffineExpression(terms)
                model.addConstraint(pulp.LpConstraint(expression, sense, f"r{row}{side}", limit))
    return PulpModel(model, variables, programme)


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
