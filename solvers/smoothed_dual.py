"""Capacity prices without any back end: Newton's method on a smoothed Lagrangian dual.

The dual of an allocation problem in its capacity rows, L(λ) = sum over groups of
min_j (c_j + λ·A_j) - λ·b, is piecewise linear. With the softmin -t log sum_j exp(-v_j / t) in place
of the least it is smooth and concave, at most t log(columns of a group) lower for each group
(Nesterov 2005, "Smooth minimization of non-smooth functions"), and its curvature is cheap where
rows are few. The temperature t falls until the prices settle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from solvers.grouped_columns import GroupedColumns
from solvers.problem import FloatArray, IntArray
from solvers.sampled_prices import draw_groups

__all__ = ["smoothed_prices"]

# Entries of the curvature that are added up, and of groups x rows, before groups are sampled.
_CURVATURE_ENTRIES, _GROUP_ROWS = 1_000_000, 1_000_000
_FEWEST_SAMPLED = 200
# The temperature falls by this factor, with at most so many Newton steps at each, and ends once
# the smoothing is worth less than this share of the value, or the value stands still.
_COOLING, _STEPS, _SMOOTHING_SHARE = 0.25, 20, 2e-4
_MOST_COOLINGS = 40
# What a step has to gain of what the slope promises, and the share of it that ends a temperature.
_ARMIJO, _SETTLED = 1e-2, 1e-5
# Steps are damped by a share of the curvature's diagonal (Levenberg, Marquardt), eased after a step
# that gained and tightened after one that did not, for at most so many trials.
_LEAST_DAMPING, _MOST_DAMPING, _EASING, _TIGHTENING, _TRIALS = 1e-6, 1e6, 0.1, 10.0, 8
# The diagonal is taken to be at least this share of its largest entry.
_LEAST_CURVATURE = 1e-9
# A price falls to no less than this share of it in one step, unless it is that small already
# relative to the mean: beyond the reach of the curvature a step would end at 0.
_LEAST_LEFT, _NEGLIGIBLE = 0.2, 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class _Smoothed:
    """Value, slope (m,) and expected usage entries at some prices and temperature."""

    value: float
    slope: FloatArray
    weight: FloatArray


def smoothed_prices(
    columns: GroupedColumns,
    limit: FloatArray,
    seed: int = 0,
    out_of_time: Callable[[], bool] = lambda: False,
) -> FloatArray:
    """Return prices (m,), >= 0, near a maximum of the Lagrangian dual.

    Parameters
    ----------
    columns
        No group may have barred columns only.
    limit
        (m,), >= 0; rows of infinite or no capacity get price 0.
    seed
        Of the sample of groups that stands for all where there are many.
    """
    priced = np.flatnonzero(np.isfinite(limit) & (limit > 0))
    prices = np.zeros(len(limit))
    usable = columns
    if columns.barred.size:
        usable = columns.take(np.setdiff1d(np.arange(columns.size), columns.barred))
    if not priced.size:
        return prices
    usable = _sampled(usable, limit, seed)
    dual = _SmoothedDual(usable, limit, priced)
    prices[priced] = dual.maximise(out_of_time) / limit[priced]
    return prices


def _sampled(columns: GroupedColumns, limit: FloatArray, seed: int) -> GroupedColumns:
    counts = np.diff(columns.usage.indptr)
    effort = max(float((counts**2).sum()) / _CURVATURE_ENTRIES, 1.0)
    effort = max(effort, columns.groups * len(limit) / _GROUP_ROWS)
    count = max(int(columns.groups / effort), _FEWEST_SAMPLED)
    if 2 * count > columns.groups:
        return columns
    capacity = np.where(np.isfinite(limit) & (limit > 0), limit, np.inf)
    share = columns.usage.values / capacity[columns.usage.rows]
    of_column = np.bincount(columns.usage.columns, weights=share, minlength=columns.size)
    size = np.maximum.reduceat(of_column, columns.starts[:-1])
    return draw_groups(columns, size, count, np.random.default_rng(seed))


class _SmoothedDual:
    """The dual of rows scaled to a limit of 1."""

    def __init__(self, columns: GroupedColumns, limit: FloatArray, priced: IntArray) -> None:
        place = np.full(len(limit), -1)
        place[priced] = np.arange(len(priced))
        usage = columns.usage
        kept = place[usage.rows] >= 0
        self._rows = place[usage.rows[kept]]
        self._values = usage.values[kept] / limit[usage.rows[kept]]
        self._column = usage.columns[kept]
        self._size = len(priced)
        self._starts = columns.starts[:-1]
        self._widths = np.diff(columns.starts)
        self._group = np.repeat(np.arange(columns.groups), self._widths)
        self._cost = columns.cost - np.minimum.reduceat(columns.cost, self._starts)[self._group]
        self._first, self._second = _pairs_of_entries(self._column)

    def maximise(self, out_of_time: Callable[[], bool]) -> FloatArray:
        """Cool down from where all columns of a group look alike."""
        prices = np.zeros(self._size)
        temperature = float(self._cost.mean())
        damping = _LEAST_DAMPING
        log_width = float(np.log(self._widths).sum())
        for _ in range(_MOST_COOLINGS):
            if temperature <= 0 or out_of_time():
                break
            prices, value, damping = self._climb(prices, temperature, damping)
            if temperature * log_width <= _SMOOTHING_SHARE * abs(value):
                break
            temperature *= _COOLING
        return prices

    def _climb(
        self, prices: FloatArray, temperature: float, damping: float
    ) -> tuple[FloatArray, float, float]:
        """Take damped Newton steps at one temperature."""
        at = self._at(prices, temperature)
        for _ in range(_STEPS):
            free = np.flatnonzero((prices > 0) | (at.slope > 0))
            if not free.size:
                break
            curvature = self._curvature(at.weight, temperature)[np.ix_(free, free)]
            diagonal = np.diag(curvature)
            # Groups that have decided have no curvature: full damping moves a price by its size.
            reach = prices[free] + float(prices.mean()) + temperature
            diagonal = np.maximum(np.diag(curvature), np.abs(at.slope[free]) / reach)
            diagonal = np.maximum(diagonal, _LEAST_CURVATURE * float(diagonal.max()))
            if not diagonal.max() > 0:
                break
            root = np.sqrt(diagonal)
            curvature /= np.outer(root, root)
            before = at.value
            for _ in range(_TRIALS):
                damped = curvature + damping * np.eye(len(free))
                step = np.linalg.solve(damped, at.slope[free] / root) / root
                new = prices.copy()
                new[free] = np.maximum(prices[free] + step, _floor(prices)[free])
                there = self._at(new, temperature)
                if there.value >= before + _ARMIJO * float(at.slope @ (new - prices)):
                    prices, at, damping = new, there, max(damping * _EASING, _LEAST_DAMPING)
                    break
                damping = min(damping * _TIGHTENING, _MOST_DAMPING)
            if at.value - before <= _SETTLED * abs(before):
                break
        return prices, at.value, damping

    def _at(self, prices: FloatArray, temperature: float) -> _Smoothed:
        priced = self._values * prices[self._rows]
        reduced = self._cost + np.bincount(self._column, weights=priced, minlength=len(self._cost))
        least = np.minimum.reduceat(reduced, self._starts)
        likely = np.exp((least[self._group] - reduced) / temperature)
        total = np.add.reduceat(likely, self._starts)
        likely /= total[self._group]
        weight = likely[self._column]
        used = np.bincount(self._rows, weights=weight * self._values, minlength=self._size)
        value = float((least - temperature * np.log(total)).sum() - prices.sum())
        return _Smoothed(value, (used - 1.0).astype(np.float64, copy=False), weight)

    def _curvature(self, weight: FloatArray, temperature: float) -> FloatArray:
        """Return minus the second derivative (m, m): covariances of the groups' usages."""
        expected = weight * self._values
        rows, size = self._rows, self._size
        groups = len(self._starts)
        of_group = np.bincount(
            self._group[self._column] * size + rows, weights=expected, minlength=groups * size
        ).reshape(groups, size)
        squares = np.bincount(
            rows[self._first] * size + rows[self._second],
            weights=expected[self._first] * self._values[self._second],
            minlength=size * size,
        ).reshape(size, size)
        covariance: FloatArray = (squares - of_group.T @ of_group) / temperature
        return covariance


def _floor(prices: FloatArray) -> FloatArray:
    return np.where(prices > _NEGLIGIBLE * prices.mean(), _LEAST_LEFT * prices, 0.0)


def _pairs_of_entries(column: IntArray) -> tuple[IntArray, IntArray]:
    """Return all ordered pairs of entries that share a column; columns ascend."""
    _, begins, counts = np.unique(column, return_index=True, return_counts=True)
    width = np.repeat(counts, counts)
    first = np.repeat(np.arange(len(column)), width)
    offset = np.arange(len(first)) - np.repeat(np.cumsum(width) - width, width)
    return first, np.repeat(np.repeat(begins, counts), width) + offset
