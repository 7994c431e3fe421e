"""The choices that agree with one in some groups: searched by two lists and their best pair.

Imports numba: import when needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from solvers.choice_relaxation import relaxation_prices
from solvers.dense_columns import DenseColumns
from solvers.pair_matching import BoxTree, best_pair
from solvers.partial_choices import PartialChoices, nearest_partial_choices
from solvers.problem import FloatArray, IntArray

__all__ = ["ListLength", "Neighbourhood"]

# Pairs of boxes that a search looks at: half a second.
_MOST_PAIRS = 5_000_000
# The base of the lists loses up to this share of what a choice may lose, with this chance.
_MOST_BASE_LOSS, _BLURRED = 0.15, 0.75
_NOISE_TRIALS = 12
# Rows without a price count for this share of the mean one.
_LEAST_WORTH = 0.02
# A first guess of the distance that fills a list: this share of the mean slack.
_FIRST_GUESS = 1e-3


@dataclass(slots=True)
class ListLength:
    """How long lists are to be, and the distance that last filled one.

    Parameters
    ----------
    most
        Choices in a list, >= 2.
    within
        None: not known yet.
    """

    most: int
    within: float | None = None


class Neighbourhood:
    """The choices that differ from one in some groups only.

    Parameters
    ----------
    choice
        (G,), indices into the columns.
    free
        The groups that may differ, ascending, at least two.
    within
        Columns further than this from their group's least are not taken.
    barred
        A column that is not taken either, -1 for none.
    """

    def __init__(
        self, columns: DenseColumns, choice: IntArray, free: IntArray, within: float, barred: int
    ) -> None:
        self._choice, self._free = choice, free
        self._all_free = len(free) == len(choice)
        kept = np.ones(len(choice), dtype=bool)
        kept[free] = False
        near = np.flatnonzero(~kept[columns.group] & (columns.slack <= within))
        self._columns = np.union1d(near, choice[free])
        others = self._columns[self._columns != barred]
        if barred >= 0 and np.isin(columns.group[barred], columns.group[others]):
            self._columns = others
        fixed = choice[kept]
        self._cost = columns.cost[self._columns]
        self._usage = columns.usage[self._columns]
        self._group = np.searchsorted(free, columns.group[self._columns])
        self._starts = np.searchsorted(self._group, np.arange(len(free) + 1))
        self._capacity = columns.limit
        self._limit = columns.limit - columns.usage[fixed].sum(axis=0)
        self._prices = columns.prices
        self._fixed_cost = float(columns.cost[fixed].sum())

    def cheapest(
        self, below: float, length: ListLength, random: np.random.Generator
    ) -> IntArray | None:
        """Return a choice that costs less, the cheapest in the lists; None when they hold none."""
        prices = self._own_prices()
        if prices is None:
            return None
        reduced = self._cost + self._usage @ prices
        least = np.minimum.reduceat(reduced, self._starts[:-1])
        slack = reduced - least[self._group]
        allowed = below - self._fixed_cost - float(least.sum()) + float(prices @ self._limit)
        if allowed <= 0:
            return None
        distance = self._blurred(slack, allowed, random)
        distance[slack > allowed] = np.inf
        base = _least(distance, self._starts)
        distance -= distance[base][self._group]
        half = random.permutation(len(self._free)) % 2 == 0
        weight = _worth(prices, self._capacity)
        lists, trees = [], []
        for mine in (half, ~half):
            part = self._listed(mine, base, distance, slack, length)
            lists.append(part)
            trees.append(BoxTree.of(part.used, part.loss, prices, weight))
        pair = best_pair(trees[0], trees[1], self._limit, prices, allowed, _MOST_PAIRS)
        if pair is None:
            return None
        for part, which in zip(lists, pair, strict=True):
            differing = part.differing(which)
            base[self._group[differing]] = differing
        result = self._choice.copy()
        result[self._free] = self._columns[base]
        return result

    def _own_prices(self) -> FloatArray | None:
        """Return the best prices for what the other groups leave; None when nothing fits."""
        if self._all_free:
            return self._prices
        usage = np.ascontiguousarray(self._usage.T)
        return relaxation_prices(self._cost, usage, self._limit, self._starts)

    def _blurred(
        self, slack: FloatArray, allowed: float, random: np.random.Generator
    ) -> FloatArray:
        """Return the slack with noise: its least columns lose a share of what is allowed.

        So that searches do not list the same choices again and again.
        """
        share = _MOST_BASE_LOSS * random.random() * (random.random() < _BLURRED)
        if share == 0.0:
            return slack.copy()
        noise = random.standard_exponential(len(slack))
        low, high = 0.0, allowed
        for _ in range(_NOISE_TRIALS):
            middle = 0.5 * (low + high)
            lost = float(slack[_least(slack + middle * noise, self._starts)].sum())
            low, high = (middle, high) if lost < share * allowed else (low, middle)
        return slack + low * noise

    def _listed(
        self,
        mine: IntArray,
        base: IntArray,
        distance: FloatArray,
        slack: FloatArray,
        length: ListLength,
    ) -> PartialChoices:
        """List the nearest choices of some of the free groups."""
        inside = np.flatnonzero(mine[self._group])
        number = np.cumsum(mine) - 1
        part = nearest_partial_choices(
            distance[inside],
            slack[inside],
            self._usage[inside],
            number[self._group[inside]],
            np.searchsorted(inside, base[mine]),
            length.most,
            length.within or _FIRST_GUESS * float(slack.mean() + 1e-9),
        )
        length.within = max(part.within, 1e-12)
        part.taken[1:] = inside[part.taken[1:]]
        return part


def _least(values: FloatArray, starts: IntArray) -> IntArray:
    """Return where the least value of each group stands; of equal ones the first."""
    group = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    attained = np.flatnonzero(values == np.minimum.reduceat(values, starts[:-1])[group])
    first: IntArray = attained[np.searchsorted(attained, starts[:-1])]
    return first


def _worth(prices: FloatArray, limit: FloatArray) -> FloatArray:
    """Return what a unit of each row counts for: its price, or a little where that is 0."""
    capacity = np.where(limit > 0, limit, 1.0)
    paid = prices * capacity
    floor = _LEAST_WORTH * float(paid.mean()) if paid.any() else 1.0
    return np.maximum(paid, floor) / capacity
