"""Blocks of a programme: variables that many rows tie together, and few rows between blocks.

A service over the periods of a horizon is a block: its periods hang together by what starts and
stays, services only by what they share.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvers.mixed_programme import MixedProgramme
from solvers.problem import IntArray

__all__ = ["Blocks", "find_blocks", "without_excluded"]

# A row of few parts, such as two periods and what starts between them, joins them up to this share
# of all variables, another one up to this; beyond, where the largest part grows by this at most.
_FEW, _FEW_SHARE, _MANY_SHARE, _GROWTH = 3, 1 / 3, 0.1, 1.5
# Blocks tell little where one holds more than this share of all variables, or where more than this
# share of all rows is between them.
_LARGEST_SHARE, _SHARED_SHARE = 0.7, 1 / 3
# Whole numbers of units are allowed up to rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Parts of a programme.

    Parameters
    ----------
    variables, rows
        Of each block; its rows hold nothing else.
    shared
        The rows that hold variables of several blocks, or free ones.
    free
        Variables of no block.
    """

    variables: tuple[IntArray, ...]
    rows: tuple[IntArray, ...]
    shared: IntArray
    free: IntArray

    @property
    def count(self) -> int:
        """Number of blocks."""
        return len(self.variables)


def without_excluded(programme: MixedProgramme) -> MixedProgramme:
    """Return the programme with units that a row alone excludes given no room.

    Rows such as "no more unserved than none" say nothing more once their variables are 0, and would
    tie everything together.
    """
    most = len(programme.row_lower)
    low = programme.lower[programme.columns]
    good = np.ones(most, dtype=np.bool_)
    good[programme.rows[(programme.values <= 0) | (low < 0)]] = False
    entry = good[programme.rows] & programme.integer[programme.columns]
    rows, columns = programme.rows[entry], programme.columns[entry]
    room = programme.row_upper[rows] / programme.values[entry]
    upper = programme.upper.copy()
    np.minimum.at(upper, columns, np.floor(np.maximum(room, 0.0) + _ROUNDING))
    upper = np.maximum(upper, programme.lower)
    idle = good & (programme.row_lower <= 0)
    entries = ~idle[programme.rows] | (upper > 0)[programme.columns]
    return dataclasses.replace(
        programme,
        upper=upper,
        rows=programme.rows[entries],
        columns=programme.columns[entries],
        values=programme.values[entries],
    )


def find_blocks(programme: MixedProgramme, group: IntArray) -> Blocks | None:
    """Find blocks, or None where there are not several that are mostly by themselves.

    Parameters
    ----------
    group
        (k,), groups of the first k variables, each of which stays together.
    """
    label = _joined(programme, group)
    size = np.bincount(label, minlength=programme.variables)
    if size.max(initial=0) > _LARGEST_SHARE * programme.variables:
        return None
    several = np.flatnonzero(size > 1)
    number = np.full(programme.variables, -1)
    number[several] = np.arange(len(several))
    block = number[label]
    rows = len(programme.row_lower)
    first = np.full(rows, programme.variables)
    last = np.full(rows, -1)
    np.minimum.at(first, programme.rows, block[programme.columns])
    np.maximum.at(last, programme.rows, block[programme.columns])
    own = (first == last) & (first >= 0)
    shared = np.flatnonzero(~own & (first < programme.variables))
    if len(several) < 2 or len(shared) > _SHARED_SHARE * rows:
        return None
    return Blocks(
        variables=_by_label(block, len(several)),
        rows=_by_label(np.where(own, first, -1), len(several)),
        shared=shared,
        free=np.flatnonzero(block < 0),
    )


def _by_label(label: IntArray, labels: int) -> tuple[IntArray, ...]:
    order = np.argsort(label, kind="stable")
    bounds = np.searchsorted(label[order], np.arange(labels + 1))
    return tuple(np.split(order[bounds[0] :], bounds[1:-1] - bounds[0]))


def _joined(programme: MixedProgramme, group: IntArray) -> IntArray:
    """Return (variables,), equal where rows join: those first that join the fewest parts."""
    forest = _Forest(programme.variables)
    first: dict[int, int] = {}
    for variable, mine in enumerate(group.tolist()):
        forest.join([first.setdefault(mine, variable), variable])
    order = np.lexsort((programme.columns, programme.rows))
    bounds = np.searchsorted(programme.rows[order], np.arange(len(programme.row_lower) + 1))
    columns = programme.columns[order].tolist()
    by_length = np.argsort(np.diff(bounds), kind="stable")
    todo = by_length[~_packing(programme)[by_length]].tolist()
    held = {row: columns[bounds[row] : bounds[row + 1]] for row in todo}
    few, many = _FEW_SHARE * programme.variables, _MANY_SHARE * programme.variables
    limit = 2
    while todo:
        left, more, joined = [], programme.variables, False
        for row in todo:
            parts = forest.parts(held[row])
            if len(parts) > limit:
                left.append(row)
                more = min(more, len(parts))
            elif len(parts) > 1:
                sizes = [forest.size[part] for part in parts]
                most = few if len(parts) <= _FEW else many
                if sum(sizes) <= max(most, _GROWTH * max(sizes)):
                    forest.join(parts)
                    joined = True
        todo = left
        limit = 2 if joined else more
    return np.array(forest.labels())


def _packing(programme: MixedProgramme) -> NDArray[np.bool_]:
    """Return (rows,), which limit a sum of terms of one sign: what is shared, not what agrees."""
    rows = len(programme.row_lower)
    positive = np.bincount(programme.rows, weights=programme.values > 0, minlength=rows)
    negative = np.bincount(programme.rows, weights=programme.values < 0, minlength=rows)
    above = (negative == 0) & np.isneginf(programme.row_lower)
    below = (positive == 0) & np.isposinf(programme.row_upper)
    packing: NDArray[np.bool_] = above | below
    return packing


class _Forest:
    """Disjoint sets."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))
        self.size = [1] * count

    def _root(self, place: int) -> int:
        parent = self._parent
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    def parts(self, places: list[int]) -> list[int]:
        """Return the sets of some places, each once, in a fixed order."""
        return list(dict.fromkeys(map(self._root, places)))

    def join(self, places: list[int]) -> None:
        """Make one set of those of some places."""
        parts = self.parts(places)
        for part in parts[1:]:
            self._parent[part] = parts[0]
            self.size[parts[0]] += self.size[part]

    def labels(self) -> list[int]:
        """Return the set of every place."""
        return [self._root(place) for place in range(len(self._parent))]
