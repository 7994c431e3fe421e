"""Links that say no more than that choices of two groups agree, and the same as capacities."""

from __future__ import annotations

import dataclasses

import numpy as np

from solvers.problem import AllocationProblem
from solvers.sparse_columns import SparseColumns

__all__ = ["are_agreements", "as_capacities"]


def are_agreements(problem: AllocationProblem) -> bool:
    """Whether every link ties columns of one group that chooses to columns of another such group.

    Such a row is sum of some columns of the one - sum of some of the other = 0.
    """
    links = problem.links
    if links is None or links.columns or links.of_rates is not None or problem.split is not None:
        return False
    if links.row_lower.any() or links.row_upper.any():
        return False
    values, rows = links.of_x.values, links.of_x.rows
    if not (np.abs(values) == 1.0).all():
        return False
    group = problem.group[links.of_x.columns]
    for sign in (1.0, -1.0):
        mine = values == sign
        first = np.full(links.rows, -1, dtype=np.int64)
        first[rows[mine]] = group[mine]
        if (first < 0).any() or (first[rows[mine]] != group[mine]).any():
            return False
        if sign > 0:
            plus = first
    return bool((plus != first).all())


def as_capacities(problem: AllocationProblem) -> AllocationProblem:
    """Return the same problem with two capacities in the place of every agreement.

    With one column taken of each group, A of the one and B of the other agree if and only if A and
    the rest of the other's columns sum to at most 1, and B and the rest of the one's.

    Parameters
    ----------
    problem
        Its links are agreements, see `are_agreements`.
    """
    links = problem.links
    assert links is not None
    of_x, group = links.of_x, problem.group
    members = [np.flatnonzero(group == g) for g in range(problem.groups)]
    rows, columns = [], []
    for row in range(links.rows):
        mine = of_x.rows == row
        signed = [of_x.columns[mine & (of_x.values == sign)] for sign in (1.0, -1.0)]
        for number, (one, other) in enumerate((signed, signed[::-1])):
            used = np.concatenate([one, np.setdiff1d(members[group[other[0]]], other)])
            rows.append(np.full(len(used), 2 * row + number))
            columns.append(used)
    more = SparseColumns.from_triplets(
        (2 * links.rows, problem.columns),
        rows=np.concatenate(rows),
        columns=np.concatenate(columns),
        values=np.ones(sum(map(len, columns))),
    )
    return dataclasses.replace(
        problem,
        usage=SparseColumns.stack([problem.usage, more]),
        capacity=np.concatenate([problem.capacity, np.ones(2 * links.rows)]),
        links=None,
    )
