"""Better choices for dense rows: two halves of the groups, a list of choices each, the best pair.

Prices tell what a choice loses against the bound: its columns' reduced costs above their groups'
least, and the worth of what it leaves over. Choices of small reduced cost are plenty; one that also
fits into many rows at once, with little left over, is rare. Two lists of N choices of half the
groups hold N * N choices of all, and the pairs that fit are found without looking at most of them
(Horowitz and Sahni 1974, with boxes in place of sorting because there are many rows).

Imports numba: import when needed.
"""

from __future__ import annotations

import math

import numpy as np

from solvers.choice_relaxation import relaxation_prices
from solvers.grouped_columns import GroupedColumns
from solvers.pair_matching import BoxTree, best_pair
from solvers.partial_choices import PartialChoices, nearest_partial_choices
from solvers.problem import FloatArray, IntArray

__all__ = ["TwoListSearch"]

# Choices in a list at first and at most, and usage entries of a list; the list grows when so many
# rounds in a row found nothing.
_FIRST_LIST, _LONGEST_LIST, _LIST_ENTRIES = 20_000, 300_000, 2_000_000
_LIST_GROWTH, _FRUITLESS, _STALE = 1.5, 8, 40
# Pairs of boxes that a round looks at: half a second.
_MOST_PAIRS = 5_000_000
# Shares of the groups that are free in a round, the others stay as they are; and how much shorter
# the list is where some stay.
_FREE_SHARES = (1.0, 0.6, 0.4, 0.4, 0.3, 0.3, 0.2, 0.2, 0.2, 0.12, 0.12)
_SHORTER = 0.3
# Rounds with at most that share free are steps of a walk: to the best choice without one of the
# columns held, that loses at most this share more than the best known; back to that after so many
# steps. With this chance; else only what is better is looked for.
_WALK_SHARE, _WALK_CHANCE, _WALK_LOSS, _WALK_STEPS = 0.35, 0.9, 0.1, 50
# A round begins at a choice that loses up to this share of what the best one loses.
_MOST_BASE_LOSS = 0.3
# Rows without a price count for this share of the mean one.
_LEAST_WORTH = 0.02
_NOISE_TRIALS = 12


class TwoListSearch:
    """Rounds of a search for better choices than one that is known.

    Parameters
    ----------
    limit
        (m,), `inf` allowed.
    prices
        (m,), of the linear relaxation.
    dual
        Dual value at these prices.
    choice
        (G,), positions of a feasible choice.
    seed
        Equal seeds give equal rounds.

    Notes
    -----
    What is found keeps the limits up to the rounding of sums: check it.
    """

    def __init__(
        self,
        columns: GroupedColumns,
        limit: FloatArray,
        prices: FloatArray,
        dual: float,
        choice: IntArray,
        seed: int,
    ) -> None:
        self._bounded = np.flatnonzero(np.isfinite(limit))
        self._limit = limit[self._bounded]
        self._dual = dual
        value = float(columns.cost[choice].sum())
        near, slack = columns.below(prices, max(value - dual, 0.0))
        self._positions = np.union1d(near, choice)
        usage = columns.usage.take(self._positions).to_dense()[self._bounded]
        self._usage = np.ascontiguousarray(usage.T)
        self._cost = columns.cost[self._positions]
        self._group = columns.group_of(self._positions)
        self._groups = columns.groups
        self._slack = np.zeros(len(self._positions))
        self._slack[np.searchsorted(self._positions, near)] = slack
        self._prices = prices[self._bounded]
        self._best = np.searchsorted(self._positions, choice)
        self._choice = self._best
        self._value = value
        self._random = np.random.default_rng(seed)
        self._most = max(min(_LONGEST_LIST, _LIST_ENTRIES // max(len(self._limit), 1)), 1)
        self._length = min(float(_FIRST_LIST), float(self._most))
        self._hints: dict[float, float] = {}
        self._fruitless = 0
        self._steps_since = 0

    @property
    def stale(self) -> bool:
        """Whether the longest lists found nothing several times in a row."""
        return self._length >= self._most and self._fruitless >= _STALE

    def round(self) -> IntArray | None:
        """Look once for a better choice; positions (G,), or None."""
        share = float(self._random.choice(_FREE_SHARES))
        number = max(math.ceil(share * self._groups), 2)
        free = np.sort(self._random.permutation(self._groups)[:number])
        walks = share <= _WALK_SHARE
        if not walks or self._steps_since >= _WALK_STEPS:
            self._choice, self._steps_since = self._best, 0
        loss = self._value - self._dual
        target = self._value - 1e-9 * abs(self._value)
        barred = -1
        if walks and self._random.random() < _WALK_CHANCE:
            target += _WALK_LOSS * self._random.random() * loss
            held = self._choice[free]
            barred = int(self._random.choice(held))
        found = _Neighbourhood(self, free, target, barred).search(share)
        if walks:
            self._steps_since += 1
            if found is not None:
                self._choice = found
                value = float(self._cost[found].sum())
                if value >= self._value - 1e-9 * abs(self._value):
                    return None
        if found is None:
            self._fruitless += share == 1.0
            if self._fruitless >= _FRUITLESS and self._length < self._most:
                self._length = min(self._length * _LIST_GROWTH, float(self._most))
                self._fruitless = 0
            return None
        self._fruitless = 0
        self._choice = self._best = found
        self._steps_since = 0
        self._value = float(self._cost[found].sum())
        return self._positions[found]


class _Neighbourhood:
    """The choices that differ from the best one in some groups only."""

    def __init__(self, search: TwoListSearch, free: IntArray, target: float, barred: int) -> None:
        self._search, self._free = search, free
        kept = np.ones(search._groups, dtype=bool)
        kept[free] = False
        fixed = search._choice[kept]
        self._columns = np.flatnonzero(
            ~kept[search._group] & (search._slack <= search._value - search._dual)
        )
        self._columns = np.union1d(self._columns, search._choice[free])
        if barred >= 0:
            others = self._columns[self._columns != barred]
            if np.isin(search._group[barred], search._group[others]):
                self._columns = others
        self._cost = search._cost[self._columns]
        self._usage = search._usage[self._columns]
        self._group = np.searchsorted(free, search._group[self._columns])
        self._starts = np.searchsorted(self._group, np.arange(len(free) + 1))
        self._limit = search._limit - search._usage[fixed].sum(axis=0)
        self._target = target - float(search._cost[fixed].sum())

    def search(self, share: float) -> IntArray | None:
        """Return a better choice, as indices (G,); None when the lists hold none."""
        search = self._search
        prices = search._prices
        if share < 1.0:
            own = relaxation_prices(
                self._cost, np.ascontiguousarray(self._usage.T), self._limit, self._starts
            )
            if own is None:
                return None
            prices = own
        slack = self._slack(self._cost, prices)
        reduced = self._cost + self._usage @ prices
        least = float((reduced - slack)[self._starts[:-1]].sum())
        allowed = self._target - (least - float(prices @ self._limit))
        if allowed <= 0:
            return None
        distance = self._blurred(slack, allowed)
        length = max(int(search._length * (1.0 if share == 1.0 else _SHORTER)), 2)
        distance[slack > allowed] = np.inf
        base = _least(distance, self._starts)
        distance -= distance[base][self._group]
        half = search._random.permutation(len(self._free)) % 2 == 0
        if not half.any() or half.all():
            return None
        weight = _worth(prices, search._limit)
        lists, trees = [], []
        for mine in (half, ~half):
            part = self._partial(mine, base, distance, slack, length, share)
            lists.append(part)
            trees.append(BoxTree.of(part.used, part.loss, prices, weight))
        pair = best_pair(trees[0], trees[1], self._limit, prices, allowed, _MOST_PAIRS)
        if pair is None:
            return None
        chosen = base.copy()
        for part, which in zip(lists, pair, strict=True):
            differing = part.differing(which)
            chosen[self._group[differing]] = differing
        result = search._choice.copy()
        result[self._free] = self._columns[chosen]
        return result

    def _partial(
        self,
        mine: IntArray,
        base: IntArray,
        distance: FloatArray,
        slack: FloatArray,
        length: int,
        share: float,
    ) -> PartialChoices:
        """List the nearest choices of some of the free groups."""
        inside = np.flatnonzero(mine[self._group])
        number = np.cumsum(mine) - 1
        place = np.searchsorted(inside, base[mine])
        part = nearest_partial_choices(
            distance[inside],
            slack[inside],
            self._usage[inside],
            number[self._group[inside]],
            place,
            length,
            self._search._hints.get(share, 1e-3 * float(slack[np.isfinite(slack)].mean() + 1e-9)),
        )
        self._search._hints[share] = max(part.within, 1e-12)
        part.taken[1:] = inside[part.taken[1:]]
        return part

    def _slack(self, cost: FloatArray, prices: FloatArray) -> FloatArray:
        reduced = cost + self._usage @ prices
        slack: FloatArray = reduced - np.minimum.reduceat(reduced, self._starts[:-1])[self._group]
        return slack

    def _blurred(self, slack: FloatArray, allowed: float) -> FloatArray:
        """Return the slack with noise: its least columns lose a share of what is allowed."""
        random = self._search._random
        share = _MOST_BASE_LOSS * random.random() * (random.random() < 0.75)
        if share == 0.0:
            return slack.copy()
        noise = random.standard_exponential(len(slack))
        low, high = 0.0, allowed
        for _ in range(_NOISE_TRIALS):
            middle = 0.5 * (low + high)
            lost = float(slack[_least(slack + middle * noise, self._starts)].sum())
            low, high = (middle, high) if lost < share * allowed else (low, middle)
        return slack + low * noise


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
