"""From the choice at some prices to a feasible one: swaps to columns of small reduced cost."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from solvers.grouped_columns import GroupedColumns
from solvers.problem import FloatArray, IntArray

__all__ = ["PriceRepair"]

# A swap must free this share of the overload, or rounding would count as progress.
_LEAST_FREED = 1e-9
# Of equal losses the swap that frees more goes first: this share of the mean cost breaks the tie.
_TIE = 1e-12
# Usage entries that all exchanges together look at: a tenth of a second; and times that each may
# be looked at.
_EXCHANGE_WORK, _EXCHANGE_SHARE = 20_000_000, 50


class PriceRepair:
    """A choice, and the columns near some prices that its groups may swap to.

    Parameters
    ----------
    limit
        (m,), `inf` allowed.
    prices
        (m,).
    choice
        (G,), positions.
    near
        Positions, ascending, that may be swapped to.

    Notes
    -----
    Each step looks at all these columns at once, in dense form.
    """

    def __init__(
        self,
        columns: GroupedColumns,
        limit: FloatArray,
        prices: FloatArray,
        choice: IntArray,
        near: IntArray,
    ) -> None:
        self._all = choice
        self._groups = np.unique(columns.group_of(near))
        held = choice[self._groups]
        self._positions = np.union1d(near, held)
        self._member = np.searchsorted(self._groups, columns.group_of(self._positions))
        self._held = np.searchsorted(self._positions, held)
        self._cost = columns.cost[self._positions]
        self._usage = np.ascontiguousarray(columns.usage.take(self._positions).to_dense().T)
        self._reduced = self._cost + self._usage @ prices
        self._limit = limit
        self._prices, self._worth = prices, _worth(prices, limit)
        self._used = columns.used(choice)

    @property
    def choice(self) -> IntArray:
        """The choice of all groups, (G,)."""
        result = self._all.copy()
        result[self._groups] = self._positions[self._held]
        return result

    @property
    def left(self) -> FloatArray:
        """What is left of each row, (m,)."""
        return self._limit - self._used

    def unload(self, out_of_time: Callable[[], bool]) -> bool:
        """Swap until no row is overloaded, by the least loss of reduced cost per freed unit.

        Overloads of several rows are added by the rows' prices. False when nothing lowers them, or
        out of time.
        """
        while (self._used > self._limit).any():
            over = float(np.maximum(self._used - self._limit, 0.0) @ self._worth)
            able = self._relieving()
            moved = self._moved(able)
            after = np.maximum(self._used + moved - self._limit, 0.0) @ self._worth
            helps = np.flatnonzero(over - after > _LEAST_FREED * over)
            if not helps.size or out_of_time():
                return False
            swaps = able[helps]
            loss = self._reduced[swaps] - self._reduced[self._held[self._member[swaps]]]
            tie = _TIE * float(np.abs(self._cost).mean())
            freed = (over - after[helps]) / over  # as a share: tiny prices overflow below
            best = int(((np.maximum(loss, 0.0) + tie) / freed).argmin())
            self._swap(int(swaps[best]), moved[helps[best]])
        return True

    def fill(self, out_of_time: Callable[[], bool]) -> None:
        """Swap to what fits into what is left over, largest saving first, until nothing saves."""
        while not out_of_time():
            change = self._cost - self._cost[self._held[self._member]]
            cheaper = np.flatnonzero(change < 0)
            moved = self._moved(cheaper)
            fits = np.flatnonzero((self._used + moved <= self._limit).all(axis=1))
            if not fits.size:
                return
            best = int(fits[change[cheaper[fits]].argmin()])
            self._swap(int(cheaper[best]), moved[best])

    def exchange(self, out_of_time: Callable[[], bool]) -> None:
        """Swap two groups at once while that saves: one to less reduced cost, one to make room.

        What a pair can save is at most the reduced cost it regains plus the worth of what is left
        over, which tells the few swaps that can be the second.
        """
        entries = self._usage.size
        most, work, improved = min(_EXCHANGE_WORK, _EXCHANGE_SHARE * entries), 0, True
        while improved and work < most:
            improved = False
            loss = self._reduced - self._reduced[self._held[self._member]]
            unused = float(np.where(np.isfinite(self._limit), self.left, 0.0) @ self._prices)
            first = np.flatnonzero(loss < 0)
            for to in first[np.argsort(loss[first], kind="stable")].tolist():
                second = self._partners(to, loss, unused)
                work += len(loss) + len(second) * len(self._limit)
                improved = self._exchange(to, second)
                if improved or work >= most or out_of_time():
                    break

    def _partners(self, first: int, loss: FloatArray, unused: float) -> IntArray:
        """Return the swaps of other groups that lose less than the first one can regain."""
        other = self._member != self._member[first]
        return np.flatnonzero((loss < unused - loss[first]) & other)

    def _exchange(self, first: int, second: IntArray) -> bool:
        """Make the first swap and the best of the second ones, if that saves."""
        moved = self._moved(np.append(second, first))
        used = self._used + moved[-1]
        fits = np.flatnonzero((used + moved[:-1] <= self._limit).all(axis=1))
        second = second[fits]
        if not second.size:
            return False
        change = self._cost[second] - self._cost[self._held[self._member[second]]]
        best = int(change.argmin())
        own = self._cost[first] - self._cost[self._held[self._member[first]]]
        if change[best] + own >= -_TIE * abs(self._cost[first]):
            return False
        self._swap(first, moved[-1])
        self._swap(int(second[best]), moved[fits[best]])
        return True

    def _relieving(self) -> IntArray:
        """Return the swaps that use less of an overloaded row."""
        relieving = np.zeros(len(self._cost), dtype=bool)
        for row in np.flatnonzero(self._used > self._limit):
            usage = self._usage[:, row]
            relieving |= usage < usage[self._held][self._member]
        return np.flatnonzero(relieving)

    def _moved(self, which: IntArray) -> FloatArray:
        """Return by how much the usage changes with each swap."""
        moved: FloatArray = self._usage[which] - self._usage[self._held[self._member[which]]]
        return moved

    def _swap(self, to: int, moved: FloatArray) -> None:
        self._used = self._used + moved
        self._held[self._member[to]] = to


def _worth(prices: FloatArray, limit: FloatArray) -> FloatArray:
    """Return what a unit of each row counts for: its price, or a little where that is 0."""
    capacity = np.where(np.isfinite(limit) & (limit > 0), limit, 1.0)
    paid = prices * capacity
    floor = 1e-2 * float(paid.mean()) if paid.any() else 1.0
    return np.maximum(paid, floor) / capacity
