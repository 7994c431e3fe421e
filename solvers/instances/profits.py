"""Public layouts maximise profit; an `AllocationProblem` minimises cost: one is minus the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from solvers.errors import ProblemError
from solvers.problem import AllocationProblem, FloatArray

__all__ = ["problem_from_items", "profits"]


def problem_from_items(
    items: Sequence[FloatArray], capacity: FloatArray, where: str
) -> AllocationProblem:
    """Return the problem of maximising the summed profit.

    Parameters
    ----------
    items
        Per group an array (items of the group, 1 + m): profit, then the m consumptions.
    capacity
        (m,).
    where
        Named in errors.

    Raises
    ------
    ProblemError
        If an entry is out of range.
    """
    table = np.concatenate(items) if items else np.empty((0, 1 + len(capacity)))
    try:
        return AllocationProblem(
            _negative(table[:, 0]),
            table[:, 1:].T,
            capacity,
            np.repeat(np.arange(len(items)), [len(rows) for rows in items]),
        )
    except ProblemError as error:
        raise ProblemError(f"{where}: {error}") from error


def profits(problem: AllocationProblem) -> FloatArray:
    """Return the profit of each column, (n,): minus its cost, exactly."""
    return _negative(problem.cost)


def _negative(values: FloatArray) -> FloatArray:
    """Change the sign without making -0.0 of 0.0."""
    return 0.0 - values
