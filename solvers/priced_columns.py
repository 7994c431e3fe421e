"""Columns at prices that stay: the least of each group, and how far from it every other is."""

from __future__ import annotations

import numpy as np

from solvers.grouped_columns import GroupedColumns
from solvers.problem import FloatArray, IntArray

__all__ = ["PricedColumns"]

# Up to so many columns the distances are kept (16 MB), so that there is one pass over all columns;
# beyond, every question is a pass.
_KEPT = 1 << 21
# Distances, or pieces of a pass, that are looked at to guess how many columns lie within one.
_SAMPLED, _RUN = 1 << 15, 1 << 8
_SAMPLED_PIECES = 8


class PricedColumns:
    """Columns at some prices.

    Parameters
    ----------
    prices
        (m,), >= 0.
    """

    def __init__(self, columns: GroupedColumns, prices: FloatArray) -> None:
        self.columns, self.prices = columns, prices
        self._slack = np.empty(columns.size) if columns.size <= _KEPT else None
        self.least = columns.minimum(prices, self._slack)

    def below(self, distance: float) -> tuple[IntArray, FloatArray]:
        """Return the columns within a distance of their group's least, see `GroupedColumns`."""
        if self._slack is None:
            return self.columns.below(self.prices, distance)
        near = np.flatnonzero(self._slack <= distance)
        return near, self._slack[near]

    def slack(self, choice: IntArray) -> FloatArray:
        """Return how far a choice (G,) is from each group's least; inf where barred."""
        if self._slack is not None:
            return self._slack[choice]
        return self.columns.reduced_cost_of(self.prices, choice) - self.columns.reduced_cost_of(
            self.prices, self.least.choice
        )

    def guessed_distance(self, wanted: int) -> float:
        """Return a distance within which a little more than so many columns probably lie."""
        if self._slack is None:
            stride = max(1, sum(1 for _ in self.columns.pieces()) // _SAMPLED_PIECES)
            _, slack = self.columns.below(self.prices, np.inf, stride=stride)
        else:
            # Runs of neighbours: equal steps would meet the same column of every group.
            slack = self._slack
            if len(slack) > _SAMPLED:
                runs = slack[: len(slack) // _RUN * _RUN].reshape(-1, _RUN)
                slack = runs[:: len(slack) // _SAMPLED].ravel()
        rank = min(int(1.2 * wanted * len(slack) / self.columns.size) + 1, len(slack) - 1)
        return float(np.partition(slack, rank)[rank])
