"""Whether a solution keeps what it must, and what it costs, in the caller's numbers."""

from __future__ import annotations

import math

import numpy as np

from solvers.problem import CAPACITY_TOLERANCE, AllocationProblem, IntArray

__all__ = ["exact_cost", "exceeded_row", "is_feasible"]


def exact_cost(problem: AllocationProblem, x: IntArray) -> float:
    """Return the cost of a solution in the caller's numbers, correctly rounded."""
    return math.fsum(problem.cost[x > 0])


def is_feasible(problem: AllocationProblem, x: IntArray) -> bool:
    """Whether `x` chooses one column of each group and keeps every row."""
    counts = np.bincount(problem.group[x > 0], minlength=problem.groups)
    return bool((counts == 1).all()) and exceeded_row(problem, x) is None


def exceeded_row(problem: AllocationProblem, x: IntArray) -> int | None:
    """Return the first row whose usage, summed exactly, passes its capacity; None without one."""
    matrix = problem.usage
    mine = x[matrix.columns] > 0
    rows, values = matrix.rows[mine], matrix.values[mine]
    used = np.bincount(rows, weights=values, minlength=problem.rows)
    # Only rows near or over the limit need the exact sum.
    for row in np.flatnonzero(used > problem.capacity * (1.0 - CAPACITY_TOLERANCE)):
        if math.fsum(values[rows == row]) > problem.capacity[row] * (1.0 + CAPACITY_TOLERANCE):
            return int(row)
    return None
