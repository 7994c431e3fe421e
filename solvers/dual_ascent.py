"""Prices that maximise the Lagrangian dual: on samples first, then on all groups."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from solvers.base import SolveParams
from solvers.grouped_columns import GroupedColumns, GroupMinimum
from solvers.price_box import PriceBox, best_prices
from solvers.problem import FloatArray
from solvers.sampled_prices import draw_groups, relaxation_prices

__all__ = ["DualAscent"]

# Groups whose relaxation is solved for the first prices: all of them up to the first number, else a
# sample of the second.
_WHOLE_UP_TO = 400
_SAMPLE = 500
# More rows have more prices to tell apart.
_SAMPLE_PER_ROW = 25
# Larger samples on which the prices are improved before all groups are asked, as long as they are
# at most a quarter of all.
_LARGER_SAMPLES = (2_500, 25_000, 250_000)
_WORTHWHILE = 4
# Known prices are near when the slope there promises no more than this share of the value.
_NEAR = 0.05
# Half width of the box round known prices, relative to them; and of that round those of a sample:
# this over the root of its groups; at least the last.
_KNOWN_WIDTH, _SAMPLE_WIDTH = 0.02, 1.0
# A price of zero moves by this share of the mean price.
_ZERO_PRICE_SHARE = 0.01
_MOST_BOXES, _BOX_GROWTH = 20, 1.5


class DualAscent:
    """Looks for prices (m,), >= 0, whose dual value is nearly the largest.

    Parameters
    ----------
    limit
        (m,), >= 0, `inf` allowed: such rows keep price 0.
    time_left
        Seconds, or None without a limit.

    Notes
    -----
    `boxes` counts the boxes of prices that were searched.
    """

    def __init__(
        self,
        columns: GroupedColumns,
        limit: FloatArray,
        params: SolveParams,
        time_left: Callable[[], float | None],
    ) -> None:
        self.columns = columns
        self.priced = np.isfinite(limit) & (limit > 0)
        self.limit = np.where(self.priced, limit, 0.0)
        self.params = params
        self.time_left = time_left
        self.boxes = 0

    def near(self, known: FloatArray) -> FloatArray | None:
        """Return known prices (m,), >= 0, if they are near the best, else None.

        They are when the choice at these prices all but keeps the rows and fills those with a
        price: measured by the gain that the slope promises if prices move by all they are.
        """
        prices = np.where(self.priced, known, 0.0)
        least = self.columns.minimum(prices)
        slope = np.where(self.priced, least.usage - self.limit, 0.0)
        promise = float(np.abs(slope) @ self._scale(prices, self.columns))
        return prices if promise <= _NEAR * abs(least.total) else None

    def warm(self, known: FloatArray, tolerance: float) -> FloatArray:
        """Return prices, looked for round near ones.

        Parameters
        ----------
        tolerance
            Gain, relative to the value, below which prices need not be improved.
        """
        return self._boxed(self.columns, known, _KNOWN_WIDTH, tolerance)

    def cold(self, tolerance: float) -> FloatArray:
        """Return prices; how good they are is for the caller to evaluate."""
        at_zero = self.columns.minimum(np.zeros(len(self.limit)))
        return self._sampled(at_zero, tolerance)

    def _sampled(self, at_zero: GroupMinimum, tolerance: float) -> FloatArray:
        """Return prices that are right for ever larger samples of the groups, then for all."""
        columns, rows = self.columns, len(self.limit)
        random = np.random.default_rng(self.params.seed)
        size = _usage_share(columns, at_zero, self.limit)
        count = max(_SAMPLE, _SAMPLE_PER_ROW * rows)
        whole = columns.groups <= max(_WHOLE_UP_TO, count)
        sample = columns if whole else draw_groups(columns, size, count, random)
        limit = np.where(self.priced, self.limit, np.inf)
        prices = relaxation_prices(sample, limit, self.params, self.time_left())
        if prices is None:
            return np.zeros(rows)
        if whole:
            return prices
        for larger in _LARGER_SAMPLES:
            if count < larger and _WORTHWHILE * larger <= columns.groups:
                sample = draw_groups(columns, size, larger, random)
                prices = self._boxed(sample, prices, _SAMPLE_WIDTH / count**0.5, tolerance)
                count = larger
        return self._boxed(columns, prices, _SAMPLE_WIDTH / count**0.5, tolerance)

    def _boxed(
        self, columns: GroupedColumns, prices: FloatArray, width: float, tolerance: float
    ) -> FloatArray:
        """Improve the prices in boxes in which few groups have a choice, until one holds them."""
        value = -np.inf
        for _ in range(_MOST_BOXES):
            if self._out_of_time():
                break
            box = PriceBox.around(prices, width * self._scale(prices, columns))
            best = best_prices(columns, self.limit, box, self.params, self.time_left())
            self.boxes += 1
            if best is None:
                break
            prices, gain = best.prices, best.value - value
            if box.sides(prices) == 0 or gain <= tolerance * abs(best.value):
                break
            value, width = best.value, width * _BOX_GROWTH
        return prices

    def _out_of_time(self) -> bool:
        left = self.time_left()
        return self.params.cancelled or (left is not None and left <= 0)

    def _scale(self, prices: FloatArray, columns: GroupedColumns) -> FloatArray:
        """Return by how much each price may move; 0 for rows without a price."""
        rate = np.where(self.priced, prices * self.limit, 0.0)
        count = max(int(self.priced.sum()), 1)
        floor = _ZERO_PRICE_SHARE * float(rate.sum()) / count
        if floor == 0.0:
            floor = max(float(np.abs(columns.cost).sum()) / count, 1e-300) * _ZERO_PRICE_SHARE
        limit = np.where(self.priced, self.limit, 1.0)
        return np.where(self.priced, np.maximum(rate, floor) / limit, 0.0)


def _usage_share(columns: GroupedColumns, least: GroupMinimum, limit: FloatArray) -> FloatArray:
    """Return which share of the capacities each group's choice would take, summed over rows."""
    share = np.zeros(columns.groups)
    inverse = np.where(np.isfinite(limit) & (limit > 0), 1.0 / np.maximum(limit, 1e-300), 0.0)
    usage = columns.usage.take(least.choice)
    np.add.at(share, usage.columns, usage.values * inverse[usage.rows])
    return share
