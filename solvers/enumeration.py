"""The optimum of small problems by enumeration: the truth that solvers are tested against."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from solvers.chance import Chance
from solvers.problem import CAPACITY_TOLERANCE, AllocationProblem
from solvers.split_enumeration import enumerate_counts

__all__ = ["brute_force"]

# Enumeration keeps at most this many partial choices at once.
_MOST_CHOICES = 2_000_000


def brute_force(problem: AllocationProblem) -> tuple[float, ...] | None:
    """Return the lexicographic optimum by enumeration; None when nothing is feasible.

    Raises
    ------
    ValueError
        If more than two million partial choices would have to be kept.
    """
    if problem.split is not None or problem.links is not None:
        return enumerate_counts(problem)
    levels = [] if problem.priority is None else np.unique(problem.priority).tolist()
    usage = problem.usage.to_dense().T
    spread = None if problem.chance is None else problem.chance.spread.to_dense().T
    weight = np.ones(problem.groups) if problem.weight is None else problem.weight
    used, value = np.zeros((1, problem.rows)), np.zeros((1, len(levels) + 1))
    moved = np.zeros((1, 0 if spread is None else spread.shape[1]))
    for group in range(problem.groups):
        columns = np.flatnonzero(problem.group == group)
        count = len(used) * len(columns)
        if count > _MOST_CHOICES:
            raise ValueError("too large for enumeration")
        mine = np.zeros((len(columns), len(levels) + 1))
        mine[:, -1] = problem.cost[columns]
        if problem.priority is not None and problem.unserved is not None:
            rank = levels.index(int(problem.priority[group]))
            mine[:, rank] = problem.unserved[columns] * weight[group]
        used = (used[:, None, :] + usage[columns]).reshape(count, problem.rows)
        value = (value[:, None, :] + mine).reshape(count, len(levels) + 1)
        needed = used
        if spread is not None and problem.chance is not None:
            moved = (moved[:, None, :] + spread[columns]).reshape(count, spread.shape[1])
            needed = used + _deviations(problem.chance, moved, problem.rows)
        # Usage only grows: a partial choice that exceeds a row can be dropped at once.
        kept = (needed <= problem.capacity * (1.0 + CAPACITY_TOLERANCE)).all(axis=1)
        used, value = used[kept], value[kept]
        moved = moved[kept] if spread is not None else np.zeros((len(used), 0))
    if not len(value):
        return None
    for rank in range(len(levels)):
        least = value[:, rank].min()
        value = value[value[:, rank] <= least * (1.0 + CAPACITY_TOLERANCE)]
    best = value[np.lexsort(value.T[::-1])[0]]
    return (*best[:-1].tolist(), float(value[:, -1].min()))


def _deviations(chance: Chance, moved: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """Return (choices, rows) from how far each factor moves each choice."""
    squares = np.zeros((len(moved), rows))
    for factor, row in enumerate(chance.row.tolist()):
        squares[:, row] += moved[:, factor] ** 2
    return np.sqrt(squares)
