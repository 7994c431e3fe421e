"""The partial choices nearest to a base: which columns some groups take instead, in a list.

Imports numba: import when needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from solvers.compiled import compiled
from solvers.problem import FloatArray, IntArray

__all__ = ["PartialChoices", "nearest_partial_choices"]

# Trials to find the distance that fills the list, and the share of it that is full enough.
_TRIALS, _FULL = 16, 0.7


@dataclass(frozen=True, slots=True, eq=False)
class PartialChoices:
    """A list of choices of some groups, each one column away from an earlier one.

    Parameters
    ----------
    parent
        (N,), index of that earlier one; the first has none.
    taken
        (N,), the column that differs; -1 of the first.
    used
        (N, m), usage of these groups.
    loss
        (N,), sum of their columns' losses.
    within
        The list holds all choices up to this distance.
    """

    parent: IntArray
    taken: IntArray
    used: FloatArray
    loss: FloatArray
    within: float

    def differing(self, which: int) -> list[int]:
        """Return the columns in which a choice differs from the base, one per group."""
        found = []
        while which > 0:
            found.append(int(self.taken[which]))
            which = int(self.parent[which])
        return found


def nearest_partial_choices(
    distance: FloatArray,
    loss: FloatArray,
    usage: FloatArray,
    group: IntArray,
    base: IntArray,
    most: int,
    hint: float,
) -> PartialChoices:
    """List the choices of some groups by the sum of their columns' distances, nearest first.

    Parameters
    ----------
    distance
        (n,), >= 0; `inf` for columns that are not wanted; 0 for those of the base.
    loss
        (n,), what each column adds to a choice's loss; of any sign.
    usage
        (n, m).
    group
        (n,), 0 to G - 1.
    base
        (G,), the columns that groups hold unless they take others.
    most
        Length of the list, >= 1.
    hint
        A guess of the distance that fills the list, > 0.
    """
    others = np.flatnonzero(np.isfinite(distance))
    others = others[base[group[others]] != others]
    others = others[np.argsort(distance[others], kind="stable")]
    held = base[group[others]]
    near, member = distance[others], group[others]
    moved, lost = usage[others] - usage[held], loss[others] - loss[held]
    none, empty, flat = np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros((0, usage.shape[1]))
    groups = len(base)

    def count(within: float) -> int:
        args = (near, lost, moved, member, groups, within, most, none, none, flat, empty)
        return int(_enumerate(*args))

    within = _filling(count, most, hint, float(near.sum()) + 1.0)
    size = count(within)
    parent, taken = np.zeros(size, dtype=np.int64), np.full(size, -1)
    used, losses = np.zeros((size, usage.shape[1])), np.zeros(size)
    used[0], losses[0] = usage[base].sum(axis=0), loss[base].sum()
    _enumerate(near, lost, moved, member, groups, within, most, parent, taken, used, losses)
    taken[1:] = others[taken[1:]]
    return PartialChoices(parent, taken, used, losses, within)


def _filling(count: Callable[[float], int], most: int, hint: float, everything: float) -> float:
    """Return a distance within which there are at most so many choices, and not far fewer."""
    if count(0.0) > most:
        return -1.0
    low, high, trial = 0.0, everything, min(hint, everything)
    for _ in range(_TRIALS):
        found = count(trial)
        if found > most:
            high = trial
        else:
            low = trial
            if found > _FULL * most or low >= high:
                break
        # Double until something is too far, then halve.
        trial = min(2.0 * low, high) if high >= everything and low > 0 else 0.5 * (low + high)
    return low


@compiled
def _enumerate(
    near: FloatArray,
    lost: FloatArray,
    moved: FloatArray,
    member: IntArray,
    groups: int,
    within: float,
    most: int,
    parent: IntArray,
    taken: IntArray,
    used: FloatArray,
    losses: FloatArray,
) -> int:
    """Count the choices within a distance, up to one more than `most`; write them where asked.

    Columns come in order of distance: each choice is extended by later ones until they are too far.
    Only the base, first of all, where `within` is negative.
    """
    taking = np.zeros(groups, np.bool_)
    column = np.zeros(groups + 2, np.int64)
    entry = np.zeros(groups + 2, np.int64)
    reach = np.zeros(groups + 2)
    count, depth = 1, 0
    while depth >= 0:
        j = column[depth]
        if j >= len(near) or reach[depth] + near[j] > within:
            depth -= 1
            if depth >= 0:
                taking[member[column[depth]]] = False
                column[depth] += 1
            continue
        if taking[member[j]]:
            column[depth] += 1
            continue
        if count >= most:
            return most + 1
        if len(parent):
            above = entry[depth]
            parent[count], taken[count] = above, j
            losses[count] = losses[above] + lost[j]
            for i in range(used.shape[1]):
                used[count, i] = used[above, i] + moved[j, i]
        taking[member[j]] = True
        entry[depth + 1] = count
        reach[depth + 1] = reach[depth] + near[j]
        column[depth + 1] = j + 1
        count, depth = count + 1, depth + 1
    return count
