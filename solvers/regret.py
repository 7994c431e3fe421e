"""The regret heuristic: serve first whoever loses most by being served second best."""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Callable, Iterable

from solvers.placement import Placement

__all__ = ["RegretKey", "place_by_regret"]

# Order of a group by (placement, group, rank of its current candidate); the least goes first.
RegretKey = Callable[[Placement, int, int], tuple[float, ...]]

# The clock is looked at once in so many steps, some milliseconds.
_STEPS_PER_LOOK = 1024


def regret(placement: Placement, group: int, rank: int) -> tuple[float, ...]:
    """Order by regret, largest first, then by the cost of the current candidate, largest first.

    The regret of a candidate is what the next best one of its group costs more; infinite for the
    last.
    """
    costs, candidates = placement.cost, placement.candidates[group]
    mine = costs[candidates[rank]]
    last = rank + 1 == len(candidates)
    return (-math.inf if last else mine - costs[candidates[rank + 1]], -mine)


def place_by_regret(
    placement: Placement,
    groups: Iterable[int],
    ties: list[int],
    key: RegretKey = regret,
    deadline: float = math.inf,
) -> list[int]:
    """Place whole columns for groups of one priority, in the order of the key.

    The first group's current candidate is taken if it fits; if not, the group moves on to its next
    candidate and back into the order.

    Parameters
    ----------
    ties
        (G,), rank of each group among equals.
    deadline
        `time.perf_counter()` at which to leave the rest as they are.

    Returns
    -------
    list[int]
        Groups for which nothing fitted, in the order in which they gave up, and those whose turn
        did not come.

    References
    ----------
    .. [1] The limited mode of the inferno optimiser: greedy by (priority, difference to the next
       best allocation, value).
    """
    left: list[int] = []
    queue: list[tuple[tuple[float, ...], int, int, int]] = []
    for group in groups:
        if placement.candidates[group]:
            queue.append((key(placement, group, 0), ties[group], group, 0))
        else:
            left.append(group)
    heapq.heapify(queue)
    steps = 0
    while queue:
        steps += 1
        if steps % _STEPS_PER_LOOK == 0 and time.perf_counter() >= deadline:
            return left + sorted(entry[2] for entry in queue)
        _, tie, group, rank = heapq.heappop(queue)
        column = placement.candidates[group][rank]
        if placement.fits(column):
            placement.place(group, column)
        elif rank + 1 < len(placement.candidates[group]):
            heapq.heappush(queue, (key(placement, group, rank + 1), tie, group, rank + 1))
        else:
            left.append(group)
    return left
