"""Prices that nearly maximise the Lagrangian dual: on samples first, then on all groups."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from solvers.base import SolveParams
from solvers.cutting_planes import DualFunction, PriceBox, maximise_dual
from solvers.grouped_columns import GroupedColumns, GroupMinimum
from solvers.problem import FloatArray
from solvers.sampled_prices import draw_groups, relaxation_prices

__all__ = ["ascend"]

# Groups whose relaxation is solved for the first prices: all of them up to the first number, else a
# sample of the second. On 10 rows and 13 columns a group that takes 0.04 s (whole, 1 000 groups)
# and 0.03 s; of 1 500 sampled groups, whose weights differ, 0.15 s, and cutting planes from there
# need hardly fewer evaluations.
_WHOLE_UP_TO = 1_500
_SAMPLE = 500
# More rows have more prices to tell apart.
_SAMPLE_PER_ROW = 25
# Larger samples on which the prices are improved before all groups are asked, and how well,
# relative to the value: as long as they are at most half of all.
_LARGER_SAMPLES = ((15_000, 1e-5), (150_000, 1e-6))
# Beyond this many groups only columns that matter within a box of prices are kept.
_BOXED_FROM = 30_000
# Half widths of boxes and trust regions, relative to the prices.
_WIDE, _NARROW = 0.1, 0.02
# A price of zero moves by this share of the mean price.
_ZERO_PRICE_SHARE = 0.01
_MOST_BOXES, _BOX_GROWTH = 20, 1.5
_MOST_EVALUATIONS = 300


def ascend(
    columns: GroupedColumns,
    limit: FloatArray,
    at_zero: GroupMinimum,
    params: SolveParams,
    tolerance: float,
    time_left: Callable[[], float | None],
) -> FloatArray:
    """Return prices (m,), >= 0; how good they are is for the caller to evaluate.

    Parameters
    ----------
    limit
        (m,), >= 0, `inf` allowed: such rows keep price 0.
    at_zero
        The columns' minimum at prices 0.
    tolerance
        Gain, relative to the value, below which prices need not be improved.
    time_left
        Seconds, or None without a limit.
    """
    rows = len(limit)
    random = np.random.default_rng(params.seed)
    size = _usage_share(columns, at_zero, limit)
    count = max(_SAMPLE, _SAMPLE_PER_ROW * rows)
    sample = columns
    if columns.groups > max(_WHOLE_UP_TO, count):
        sample = draw_groups(columns, size, count, random)
    prices = relaxation_prices(sample, limit, params, time_left())
    if prices is None:
        prices = np.zeros(rows)
    ascent = _Ascents(limit, params, time_left)
    if columns.groups > _BOXED_FROM:
        for count, coarse in _LARGER_SAMPLES:
            if 2 * count <= columns.groups:
                larger = draw_groups(columns, size, count, random)
                prices = ascent.free(DualFunction(larger, ascent.limit), prices, coarse)
        return ascent.boxed(columns, prices, tolerance)
    return ascent.free(DualFunction(columns, ascent.limit), prices, tolerance)


class _Ascents:
    """Ascents on several functions of the same prices."""

    def __init__(
        self, limit: FloatArray, params: SolveParams, time_left: Callable[[], float | None]
    ) -> None:
        self.priced = np.isfinite(limit) & (limit > 0)
        self.limit = np.where(self.priced, limit, 0.0)
        self.params = params
        self.time_left = time_left

    def out_of_time(self) -> bool:
        left = self.time_left()
        return self.params.cancelled or (left is not None and left <= 0)

    def free(self, function: DualFunction, prices: FloatArray, tolerance: float) -> FloatArray:
        """Improve the prices wherever they lead."""
        box = PriceBox(np.zeros(len(prices)), np.where(self.priced, np.inf, 0.0))
        return self._maximise(function, prices, box, _WIDE, tolerance)

    def boxed(self, columns: GroupedColumns, prices: FloatArray, tolerance: float) -> FloatArray:
        """Improve the prices in boxes in which few groups have a choice, until one holds them."""
        width = _NARROW
        for _ in range(_MOST_BOXES):
            moves = width * self._scale(prices, columns)
            box = PriceBox(np.maximum(prices - moves, 0.0), prices + moves)
            alone, several = columns.contenders(box.low, box.high)
            function = DualFunction(
                columns.take(several),
                self.limit - columns.used(alone),
                float(columns.cost[alone].sum()),
            )
            prices = self._maximise(function, prices, box, width / 3, tolerance)
            if box.holds_inside(prices) or self.out_of_time():
                break
            width *= _BOX_GROWTH
        return prices

    def _maximise(
        self,
        function: DualFunction,
        prices: FloatArray,
        box: PriceBox,
        radius: float,
        tolerance: float,
    ) -> FloatArray:
        if not function.columns.groups:
            return prices
        scale = self._scale(prices, function.columns)
        value, _ = function.evaluate(prices)
        unit = max(float(scale @ np.abs(self.limit)) * 1e-2, 1e-300)
        return maximise_dual(
            function.evaluate,
            prices,
            scale,
            unit,
            box=box,
            radius=radius,
            tolerance=tolerance * abs(value),
            most_evaluations=_MOST_EVALUATIONS,
            out_of_time=self.out_of_time,
            params=self.params,
        ).prices

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
