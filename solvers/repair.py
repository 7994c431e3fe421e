"""Repairing an overloaded choice: swap the column that frees most for its cost, until all fits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from solvers.bounds import fits_alone
from solvers.problem import CAPACITY_TOLERANCE, AllocationProblem, FloatArray, IntArray

__all__ = ["repaired_choices"]

# The repair looks at all columns in every step, in dense form, up to this many entries.
_DENSE_ENTRIES = 5_000_000
# Steps per group before a start is given up: each group moves a few times at most.
_STEPS_PER_GROUP = 4


def repaired_choices(problem: AllocationProblem) -> Iterator[IntArray]:
    """Yield feasible choices: one column of each group, (G,).

    Starts from the cheapest and from the smallest columns (by share of the rows' capacities); in
    each step one group swaps to the column with the least extra cost per freed share of overload.
    Yields nothing where no start can be repaired: that proves nothing.
    """
    if problem.rows * problem.columns > _DENSE_ENTRIES or not problem.columns:
        return
    fits = fits_alone(problem)
    capacity = problem.capacity * (1.0 + CAPACITY_TOLERANCE)
    # Rows of zero or infinite capacity cannot be overloaded by columns that fit alone.
    ratio = np.zeros(problem.rows)
    binding = (capacity > 0) & np.isfinite(capacity)
    ratio[binding] = 1.0 / capacity[binding]
    share = problem.usage.to_dense() * ratio[:, None]
    full = np.where(ratio > 0, 1.0, np.inf)
    for preference in (problem.cost, share.sum(axis=0), share.max(axis=0, initial=0.0)):
        choice = _least(problem, preference, fits)
        if choice is None:
            return
        if _repair(problem, share, full, choice, fits):
            yield choice


def _least(
    problem: AllocationProblem, preference: FloatArray, fits: NDArray[np.bool_]
) -> IntArray | None:
    columns = np.flatnonzero(fits)
    order = columns[np.lexsort((columns, preference[columns], problem.group[columns]))]
    groups, first = np.unique(problem.group[order], return_index=True)
    return order[first] if len(groups) == problem.groups else None


def _repair(
    problem: AllocationProblem,
    share: FloatArray,
    full: FloatArray,
    choice: IntArray,
    fits: NDArray[np.bool_],
) -> bool:
    """Swap in place until no row is overloaded; False when stuck."""
    used = share[:, choice].sum(axis=1)
    for _ in range(_STEPS_PER_GROUP * problem.groups):
        over = np.maximum(used - full, 0.0)
        if not over.any():
            return True
        held = choice[problem.group]
        after = np.maximum(used[:, None] + share - share[:, held] - full[:, None], 0.0)
        freed = over.sum() - after.sum(axis=0)
        freed[~fits] = 0.0
        if freed.max() <= CAPACITY_TOLERANCE * over.sum():
            return False
        extra = problem.cost - problem.cost[held]
        # Cheaper columns that also free come first, the most freeing of them; then least per unit.
        rate = np.full(len(freed), np.inf)
        helps = freed > 0
        rate[helps] = np.maximum(extra[helps], 0.0) / freed[helps]
        best = int(np.lexsort((-freed, rate))[0])
        choice[problem.group[best]] = best
        used = share[:, choice].sum(axis=1)  # afresh: no drift
    return False
