"""The independent checker: recomputes everything from the problem's arrays, in plain numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from solvers.chance import Chance
from solvers.link_checker import cheapest_z, check_links
from solvers.links import Links
from solvers.problem import CAPACITY_TOLERANCE, AllocationProblem
from solvers.split_checker import check_split

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
        (m,), used of each row; of one that is kept with a probability, with the room it needs.
    violations
        Each broken rule in words; empty when feasible.
    unserved
        Weight left unserved by priority, most important first; groups that take a part of a column
        are served, and a group that splits counts for its weight times the unserved share of its
        demand. One entry, priority 1, without priorities; empty when nothing can be unserved.
    unserved_rate
        (items,), rate of each item of the split part that is not served; None without one.
    """

    feasible: bool
    cost: float
    usage: NDArray[np.float64]
    violations: tuple[str, ...] = ()
    unserved: Mapping[int, float] = field(default_factory=dict)
    unserved_rate: NDArray[np.float64] | None = None


def check(
    problem: AllocationProblem,
    x: ArrayLike,
    parts: ArrayLike | None = None,
    rates: ArrayLike | None = None,
    z: ArrayLike | None = None,
) -> CheckReport:
    """Recompute feasibility, cost and usage of a solution; shares no code with any solver.

    Parameters
    ----------
    problem
        The problem that was to be solved.
    x
        (n,), 1 where a column is chosen, else 0; where groups split, how often it is taken.
    parts
        (n,), optional: parts taken of each chosen column, between 1 and the problem's `parts`.
    rates
        (edges,), rate along each edge of the split part; needed where there is one.
    z
        (k,), further columns of the linked part; without them the cheapest that go with x and rates
        are looked for, by scipy.

    Notes
    -----
    A row is kept when its usage is at most capacity * (1 + 1e-9), loads and rates of a split part
    are kept to 1e-7 of a column's units and an item's demand, rows of links to 1e-7 of their
    largest term; everything else is exact.
    """
    n, split = problem.columns, problem.split
    faults: list[str] = []
    chosen = _vector("x", x, n, faults)
    taken = _vector("parts", parts, n, faults) if parts is not None else None
    flow = None if split is None else _vector("rates", _given(rates), split.edges, faults)
    further = _vector("z", z, _further(problem), faults) if z is not None else None
    counted = np.zeros(n, dtype=bool) if split is None else split.groups[problem.group]
    if chosen is not None and not np.isin(chosen[~counted], (0, 1)).all():
        faults.append("x: every entry must be 0 or 1")
    if taken is not None and split is not None:
        faults.append("parts: a problem with a split part knows none")
    if taken is not None and problem.links is not None:
        faults.append("parts: a problem with a linked part knows none")
    if taken is not None and problem.chance is not None:
        faults.append("parts: a problem with an uncertain part knows none")
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
    cost = float((problem.cost * share).sum())
    left = None
    if split is not None and flow is not None:
        checked = check_split(problem, split, chosen, flow, faults)
        cost, left = cost + checked.unserved_cost, checked.unserved_rate
    if problem.links is not None:
        cost += _check_linked(problem.links, chosen, flow, further, faults)
    return CheckReport(
        feasible=not faults,
        cost=cost,
        usage=usage,
        violations=tuple(faults),
        unserved=_unserved_weights(problem, chosen, left),
        unserved_rate=left,
    )


def _further(problem: AllocationProblem) -> int:
    return 0 if problem.links is None else problem.links.columns


def _check_linked(
    links: Links,
    chosen: NDArray[np.float64],
    flow: NDArray[np.float64] | None,
    further: NDArray[np.float64] | None,
    faults: list[str],
) -> float:
    """Check the linked part, finding z where it is not given; return what z costs."""
    rates = np.zeros(0) if flow is None else flow
    z = cheapest_z(links, chosen, rates) if further is None else further
    if z is None:
        faults.append("links: no z keeps their rows beside this x")
        return float("nan")
    return check_links(links, chosen, rates, z, faults)


def _given(rates: ArrayLike | None) -> ArrayLike:
    return [] if rates is None else rates


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
    chooses = np.ones(problem.groups, dtype=bool)
    if problem.split is not None:
        chooses = ~problem.split.groups
    for group in np.flatnonzero((count != 1) & chooses)[:_SHOWN]:
        faults.append(f"group {group}: {count[group]:g} columns chosen, exactly 1 is wanted")


def _check_rows(
    problem: AllocationProblem, share: NDArray[np.float64], faults: list[str]
) -> NDArray[np.float64]:
    matrix = problem.usage
    column = np.repeat(np.arange(problem.columns), np.diff(matrix.indptr))
    usage = np.zeros(problem.rows)
    np.add.at(usage, matrix.rows, matrix.values * share[column])
    if problem.chance is not None:
        usage += _room_for_deviations(problem.chance, share, problem.rows)
    over = usage > problem.capacity * (1.0 + CAPACITY_TOLERANCE)
    for row in np.flatnonzero(over)[:_SHOWN]:
        faults.append(
            f"row {row}: usage {usage[row]:.12g} exceeds the capacity {problem.capacity[row]:.12g}"
        )
    return usage


def _room_for_deviations(
    chance: Chance, share: NDArray[np.float64], rows: int
) -> NDArray[np.float64]:
    """Return (rows,), the root of the summed squares of the factors that move each row."""
    spread = chance.spread
    column = np.repeat(np.arange(spread.shape[1]), np.diff(spread.indptr))
    moved, squares = np.zeros(chance.factors), np.zeros(rows)
    np.add.at(moved, spread.rows, spread.values * share[column])
    np.add.at(squares, chance.row, moved**2)
    found: NDArray[np.float64] = np.sqrt(squares)
    return found


def _unserved_weights(
    problem: AllocationProblem,
    chosen: NDArray[np.float64],
    left: NDArray[np.float64] | None,
) -> dict[int, float]:
    if problem.unserved is None and left is None:
        return {}
    groups = problem.groups
    weight = np.ones(groups) if problem.weight is None else problem.weight
    priority = np.ones(groups, dtype=int) if problem.priority is None else problem.priority
    share = np.zeros(groups)
    if problem.unserved is not None:
        share[problem.group[(chosen == 1) & problem.unserved]] = 1.0
    if problem.split is not None and left is not None:
        owner, demand = problem.split.owner, problem.split.demand
        total = np.bincount(owner, weights=demand, minlength=groups)
        missing = np.bincount(owner, weights=left, minlength=groups)
        np.divide(missing, total, out=share, where=total > 0)
    return {
        int(level): float((weight * share)[priority == level].sum())
        for level in np.unique(priority)
    }
