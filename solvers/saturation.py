"""Best effort: what is left over goes in parts to groups that got nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from enum import StrEnum

import numpy as np

from solvers.errors import ProblemError
from solvers.placement import NOTHING, Placement
from solvers.problem import AllocationProblem, IntArray

__all__ = ["SaturationPolicy", "saturate", "saturate_placement"]


class SaturationPolicy(StrEnum):
    """How leftovers are shared among the groups that got nothing."""

    NONE = "none"  # not at all
    PRIORITY_EXHAUSTIVE = "priority-exhaustive"  # group by group, as many parts as fit
    PRIORITY_ROUND_ROBIN = "priority-round-robin"  # a part each in turn, priority by priority
    ROUND_ROBIN = "round-robin"  # a part each in turn, all priorities together


def saturate(
    problem: AllocationProblem, x: IntArray, policy: SaturationPolicy | str
) -> tuple[IntArray, IntArray | None]:
    """Give what a solution leaves free to its unserved groups, in parts.

    Parameters
    ----------
    problem
        With `parts` and `unserved`.
    x
        (n,), a feasible solution of any solver.
    policy
        Every policy takes, for each group, the cheapest column of which at least one part fits.
        Groups go by priority, then weight (largest first), then number.

    Returns
    -------
    tuple
        The new x (n,), and the parts taken (n,), None when every column is whole.

    Raises
    ------
    ProblemError
        If the problem has no `parts` or no `unserved`.
    """
    policy = SaturationPolicy(policy)
    if policy is SaturationPolicy.NONE:
        return x, None
    if problem.parts is None or problem.unserved is None:
        raise ProblemError(
            "saturation needs `parts` (into how many equal parts a column divides) and `unserved` "
            "(which columns mean unserved)"
        )
    placement = Placement(problem)
    unserved = problem.unserved
    for column in np.flatnonzero(x).tolist():
        if not unserved[column]:
            placement.place(int(problem.group[column]), column)
    waiting = [group for group, column in enumerate(placement.choice) if column == NOTHING]
    weight = np.ones(problem.groups) if problem.weight is None else problem.weight
    waiting.sort(key=lambda group: (priority_of(problem)[group], -weight[group], group))
    saturate_placement(placement, waiting, policy)
    if not placement.complete():
        return x, None
    return placement.solution(), placement.parts()


def priority_of(problem: AllocationProblem) -> IntArray:
    """Return the priority of each group (G,); 1 without priorities."""
    if problem.priority is None:
        return np.ones(problem.groups, dtype=np.int64)
    return problem.priority


def saturate_placement(
    placement: Placement, waiting: Sequence[int], policy: SaturationPolicy
) -> None:
    """Give parts of columns to the waiting groups, in their order, which is by priority."""
    candidates = placement.part_candidates()
    levels = priority_of(placement.problem)
    if policy is SaturationPolicy.PRIORITY_EXHAUSTIVE:
        for group in waiting:
            column = _first_with_a_part(placement, candidates[group])
            if column is not None:
                placement.place(group, column, placement.parts_that_fit(column))
    elif policy is SaturationPolicy.PRIORITY_ROUND_ROBIN:
        for level in sorted({int(levels[group]) for group in waiting}):
            _take_turns(placement, (g for g in waiting if levels[g] == level), candidates)
    elif policy is SaturationPolicy.ROUND_ROBIN:
        _take_turns(placement, waiting, candidates)


def _first_with_a_part(placement: Placement, columns: Iterable[int]) -> int | None:
    return next((column for column in columns if placement.parts_that_fit(column)), None)


def _take_turns(placement: Placement, waiting: Iterable[int], candidates: list[list[int]]) -> None:
    """One part a turn; a group keeps the column of its first part and leaves when none fits."""
    queue: deque[tuple[int, int, int]] = deque((group, NOTHING, 0) for group in waiting)
    while queue:
        group, column, parts = queue.popleft()
        if column == NOTHING:
            first = _first_with_a_part(placement, candidates[group])
            if first is None:
                continue
            column = first
        if parts < placement.whole(column) and _one_more_fits(placement, group, column, parts):
            placement.place(group, column, parts + 1)
            queue.append((group, column, parts + 1))


def _one_more_fits(placement: Placement, group: int, column: int, parts: int) -> bool:
    if parts:
        placement.remove(group)
    fits = placement.parts_that_fit(column) > parts
    if parts:
        placement.place(group, column, parts)
    return fits
