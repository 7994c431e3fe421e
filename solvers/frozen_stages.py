"""Strict priorities as rows: the unserved weight of each priority may not pass what was reached."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from solvers.lexicographic import group_weights
from solvers.linear_sum import unserved_sum, with_limit
from solvers.problem import AllocationProblem, IntArray
from solvers.result import GAP_TOLERANCE
from solvers.sparse_columns import SparseColumns

__all__ = ["frozen_rows", "with_stages_frozen"]


def frozen_rows(
    problem: AllocationProblem, reached: Mapping[int, float], columns: IntArray
) -> SparseColumns:
    """Return one row per priority, over some columns: the weight that each leaves unserved.

    Parameters
    ----------
    problem
        With priorities.
    reached
        By priority, in the order of the rows.
    columns
        (k,), which columns.
    """
    assert problem.unserved is not None  # validated: priorities need it
    assert problem.priority is not None
    group = problem.group[columns]
    priority, unserved = problem.priority[group], problem.unserved[columns]
    weights = group_weights(problem)[group]
    members = [np.flatnonzero(unserved & (priority == level)) for level in reached]
    return SparseColumns.from_triplets(
        (len(reached), len(columns)),
        rows=np.repeat(np.arange(len(reached)), [len(mine) for mine in members]),
        columns=np.concatenate(members) if members else [],
        values=weights[np.concatenate(members)] if members else [],
    )


def with_stages_frozen(
    problem: AllocationProblem, reached: Mapping[int, float]
) -> AllocationProblem:
    """Return the problem of the cost alone, which leaves no more unserved than was reached.

    Parameters
    ----------
    problem
        With or without priorities; without, it is returned as it is.
    reached
        By priority, the unserved weight that may not be passed, as in `StageResult.value`.
    """
    if problem.priority is None:
        return problem
    if problem.split is not None:
        plain = dataclasses.replace(problem, priority=None)
        for level, most in reached.items():
            kept = most * (1.0 + GAP_TOLERANCE) + GAP_TOLERANCE
            plain = with_limit(plain, unserved_sum(problem, level), kept)
        return plain
    rows = frozen_rows(problem, reached, np.arange(problem.columns))
    return AllocationProblem(
        problem.cost,
        SparseColumns.stack([problem.usage, rows]),
        np.append(problem.capacity, list(reached.values())),
        problem.group,
        unserved=problem.unserved,
        links=problem.links,
        chance=problem.chance,
    )
