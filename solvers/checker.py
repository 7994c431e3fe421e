"""The independent checker: recomputes everything from the problem's arrays, in plain numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from solvers.problem import CAPACITY_TOLERANCE, AllocationProblem

__all__ = ["CheckReport", "check"]

# Violations of one kind are listed one by one up to this many.
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CheckReport:
    """What the checker found.

    Parameters
    ----------
    feasible
        Whether the solution keeps every rule of the problem.
    cost
        Cost of the solution in the caller's numbers; NaN when `x` is no vector of 0 and 1.
    usage
        (m,), used of each row.
    violations
        Each broken rule in words; empty when feasible.
    unserved
        Weight left unserved by priority, most important first; groups that take a part of a column
        are served. One entry, priority 1, without priorities; empty without `unserved` columns.
    """

    feasible: bool
    cost: float
    usage: NDArray[np.float64]
    violations: tuple[str, ...] = ()
    unserved: Mapping[int, float] = field(default_factory=dict)


def check(problem: AllocationProblem, x: ArrayLike, parts: ArrayLike | None = None) -> CheckReport:
    """Recompute feasibility, cost and usage of a solution; shares no code with any solver.

    Parameters
    ----------
    problem
        The problem that was to be solved.
    x
        (n,), 1 where a column is chosen, else 0.
    parts
        (n,), optional: parts taken of each chosen column, between 1 and the problem's `parts`.

    Notes
    -----
    A row is kept when its usage is at most capacity * (1 + 1e-9); everything else is exact.
    """
    n = problem.columns
    faults: list[str] = []
    chosen = _vector("x", x, n, faults)
    taken = _vector("parts", parts, n, faults) if parts is not None else None
    if chosen is not None and not np.isin(chosen, (0, 1)).all():
        faults.append("x: every entry must be 0 or 1")
    if faults or chosen is None:
        return CheckReport(
            feasible=False,
            cost=float("nan"),
            usage=np.zeros(problem.rows),
            violations=tuple(faults),
        )
    share = chosen.astype(np.float64)
    if taken is not None:
        share = _shares(problem, chosen, taken, faults)
    _check_groups(problem, chosen, faults)
    usage = _check_rows(problem, share, faults)
    return CheckReport(
        feasible=not faults,
        cost=float((problem.cost * share).sum()),
        usage=usage,
        violations=tuple(faults),
        unserved=_unserved_weights(problem, chosen),
    )


def _vector(
    name: str, value: ArrayLike, size: int, faults: list[str]
) -> NDArray[np.float64] | None:
    array = np.asarray(value)
    if array.shape != (size,):
        faults.append(f"{name}: shape {array.shape}, ({size},) is wanted")
        return None
    if array.size and array.dtype.kind not in "biuf":
        faults.append(f"{name}: numbers are wanted, not {array.dtype}")
        return None
    return array.astype(np.float64)


def _shares(
    problem: AllocationProblem,
    chosen: NDArray[np.float64],
    taken: NDArray[np.float64],
    faults: list[str],
) -> NDArray[np.float64]:
    """Return which fraction of each column is taken."""
    whole = np.ones(problem.columns) if problem.parts is None else problem.parts.astype(np.float64)
    bad = (taken != np.floor(taken)) | np.where(
        chosen == 1, (taken < 1) | (taken > whole), taken != 0
    )
    for column in np.flatnonzero(bad)[:_SHOWN]:
        faults.append(
            f"parts[{column}] = {taken[column]:g}: "
            + (
                f"a whole number from 1 to {whole[column]:g} is wanted"
                if chosen[column] == 1
                else "0 is wanted, the column is not chosen"
            )
        )
    return chosen * taken / whole


def _check_groups(
    problem: AllocationProblem, chosen: NDArray[np.float64], faults: list[str]
) -> None:
    count = np.zeros(problem.groups)
    np.add.at(count, problem.group, chosen)
    for group in np.flatnonzero(count != 1)[:_SHOWN]:
        faults.append(f"group {group}: {count[group]:g} columns chosen, exactly 1 is wanted")


def _check_rows(
    problem: AllocationProblem, share: NDArray[np.float64], faults: list[str]
) -> NDArray[np.float64]:
    matrix = problem.usage
    column = np.repeat(np.arange(problem.columns), np.diff(matrix.indptr))
    usage = np.zeros(problem.rows)
    np.add.at(usage, matrix.rows, matrix.values * share[column])
    over = usage > problem.capacity * (1.0 + CAPACITY_TOLERANCE)
    for row in np.flatnonzero(over)[:_SHOWN]:
        faults.append(
            f"row {row}: usage {usage[row]:.12g} exceeds the capacity {problem.capacity[row]:.12g}"
        )
    return usage


def _unserved_weights(problem: AllocationProblem, chosen: NDArray[np.float64]) -> dict[int, float]:
    if problem.unserved is None:
        return {}
    groups = problem.groups
    weight = np.ones(groups) if problem.weight is None else problem.weight
    priority = np.ones(groups, dtype=int) if problem.priority is None else problem.priority
    left = np.zeros(groups, dtype=bool)
    left[problem.group[(chosen == 1) & problem.unserved]] = True
    return {
        int(level): float(weight[left & (priority == level)].sum()) for level in np.unique(priority)
    }
