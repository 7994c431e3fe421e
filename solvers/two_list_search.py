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

from solvers.dense_columns import DenseColumns
from solvers.dense_search import has_many_priced_rows
from solvers.grouped_columns import GroupedColumns
from solvers.neighbourhood import ListLength, Neighbourhood
from solvers.problem import FloatArray, IntArray

__all__ = ["TwoListSearch"]

# Choices in a list at most, and usage entries. Lists grow by this when so many rounds over all
# groups in a row found nothing; after so many with the longest it is enough.
_LONGEST_LIST, _LIST_ENTRIES = 300_000, 2_000_000
_LIST_GROWTH, _FRUITLESS, _STALE = 1.5, 8, 40
# Choices in the first list, and shares of the groups that are free in a round, the others stay as
# they are: with few priced rows, and with many, where only few groups can be searched well.
_FIRST_LIST, _FREE_SHARES = 50_000, (1.0, 1.0, 0.6, 0.4, 0.2)
_FIRST_LIST_MANY = 20_000
_FREE_SHARES_MANY = (1.0, 0.6, 0.4, 0.4, 0.3, 0.3, 0.2, 0.2, 0.2, 0.12, 0.12)
# How much shorter the lists are where some groups stay.
_SHORTER = 0.3
# Rounds with at most this share free are, with this chance, steps of a walk: to the cheapest choice
# without one of the columns held, that loses at most this share more than the best known; back to
# that after so many steps. Else only what is better is looked for.
_WALK_SHARE, _WALK_CHANCE, _WALK_LOSS, _WALK_STEPS = 0.35, 0.9, 0.1, 50
# A choice is better when it is so by this share of its cost.
_BETTER = 1e-9


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
        (G,), positions of a feasible choice, in the order of groups.
    seed
        Equal seeds give equal rounds.

    Notes
    -----
    The figures above are those with which the public instances I07, INST01, INST12, INST22, INST24
    and I13 came out best after 10 CPU seconds, November 2026.
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
        self._value, self._dual = float(columns.cost[choice].sum()), dual
        self._columns = DenseColumns.near(
            columns, limit, prices, choice, max(self._value - dual, 0.0)
        )
        self._best = self._current = np.searchsorted(self._columns.positions, choice)
        self._random = np.random.default_rng(seed)
        self._longest = max(min(_LONGEST_LIST, _LIST_ENTRIES // max(len(limit), 1)), 2)
        many = has_many_priced_rows(prices)
        self._shares = _FREE_SHARES_MANY if many else _FREE_SHARES
        first = _FIRST_LIST_MANY if many else _FIRST_LIST
        self._length = float(min(first, self._longest))
        self._within: dict[float, float | None] = {}
        self._fruitless = self._steps = 0

    @property
    def stale(self) -> bool:
        """Whether the longest lists found nothing many times in a row."""
        return self._length >= self._longest and self._fruitless >= _STALE

    def round(self) -> IntArray | None:
        """Look once for a better choice; positions (G,), or None."""
        share = float(self._random.choice(self._shares))
        groups = len(self._best)
        free = np.sort(self._random.permutation(groups)[: max(math.ceil(share * groups), 2)])
        walking = share <= _WALK_SHARE
        if not walking or self._steps >= _WALK_STEPS:
            self._current, self._steps = self._best, 0
        self._steps += walking
        below, barred = self._value - _BETTER * abs(self._value), -1
        if walking and self._random.random() < _WALK_CHANCE:
            below += _WALK_LOSS * self._random.random() * (self._value - self._dual)
            barred = int(self._random.choice(self._current[free]))
        found = self._search(free, below, barred, share)
        value = math.inf if found is None else float(self._columns.cost[found].sum())
        if found is not None and walking:
            self._current = found
        if found is None or value >= self._value - _BETTER * abs(self._value):
            self._note_fruitless(share)
            return None
        self._best = self._current = found
        self._value, self._fruitless, self._steps = value, 0, 0
        return self._columns.positions[found]

    def _search(self, free: IntArray, below: float, barred: int, share: float) -> IntArray | None:
        if len(self._best) < 2:
            return None
        most = max(int(self._length * (1.0 if share == 1.0 else _SHORTER)), 2)
        length = ListLength(most, self._within.get(share))
        around = Neighbourhood(self._columns, self._current, free, self._value - self._dual, barred)
        found = around.cheapest(below, length, self._random)
        self._within[share] = length.within
        return found

    def _note_fruitless(self, share: float) -> None:
        self._fruitless += share == 1.0
        if self._fruitless >= _FRUITLESS and self._length < self._longest:
            self._length = min(self._length * _LIST_GROWTH, float(self._longest))
            self._fruitless = 0
