"""The order of solutions under strict priorities: unserved weights level by level, then cost."""

from __future__ import annotations

import math

import numpy as np

from solvers.problem import AllocationProblem, FloatArray, IntArray
from solvers.result import GAP_TOLERANCE

__all__ = [
    "group_weights",
    "is_better",
    "lexicographic_value",
    "priority_levels",
    "unserved_weight",
]


def priority_levels(problem: AllocationProblem) -> list[int]:
    """Return the priorities in use, most important first; empty without priorities."""
    return [] if problem.priority is None else np.unique(problem.priority).tolist()


def group_weights(problem: AllocationProblem) -> FloatArray:
    """Return what leaving each group unserved counts for, as (G,)."""
    return np.ones(problem.groups) if problem.weight is None else problem.weight


def unserved_weight(problem: AllocationProblem, x: IntArray, priority: int) -> float:
    """Return the weight of the groups of one priority that `x` leaves unserved."""
    if problem.priority is None or problem.unserved is None:
        return 0.0
    groups = problem.group[(x > 0) & problem.unserved]
    groups = groups[problem.priority[groups] == priority]
    return math.fsum(group_weights(problem)[groups])


def is_better(value: tuple[float, ...], than: tuple[float, ...]) -> bool:
    """Whether a lexicographic value precedes another; entries within 1e-9 relative are equal.

    Sums of fractional weights over different groups may differ in their last bit only.
    """
    for mine, other in zip(value, than, strict=True):
        if not math.isclose(mine, other, rel_tol=GAP_TOLERANCE, abs_tol=GAP_TOLERANCE**2):
            return mine < other
    return False


def lexicographic_value(problem: AllocationProblem, x: IntArray) -> tuple[float, ...]:
    """Return the unserved weight of each priority, most important first, then the cost."""
    weights = [unserved_weight(problem, x, level) for level in priority_levels(problem)]
    return (*weights, math.fsum(problem.cost[x > 0]))
