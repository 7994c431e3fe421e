"""The Go core's sizing rule: bisection in single precision, followed from an exact root.

The core bisects the arrival rate in 24-bit numbers until a mean is within 1e-6 of its target. Where
the mean changes little with the rate, or rounds coarsely, it stops up to 1e-4 away from the root,
and always at the same rate. Here the root is found first, in few steps; then the midpoints are
followed by their known side of it, and only those near it are evaluated as the core does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from queue_models.arrays import BoolArray, FloatArray, IntArray
from queue_models.base import Metric
from queue_models.birth_death import BirthDeathChain
from queue_models.inferno_servers import (
    Averages,
    InfernoServers,
    Numbers,
    averages,
    averages_in_single_precision,
)
from queue_models.rate_search import root_rate

__all__ = ["largest_throughput"]

# Rates are sought between these shares of mu(1) and of mu(N).
_LOWEST_SHARE, _HIGHEST_SHARE = 0.001, 0.999

# A class with a promised throughput keeps this share of the highest rate.
_THROUGHPUT_SHARE = 0.9

# Share by which a mean may miss its target.
_TOLERANCE = 1e-6

# Precision of the root and step for the slope there, relative.
_ROOT_PRECISION, _SLOPE_STEP = 1e-7, 1e-4

# Midpoints are evaluated within so many tolerances and roundings of the root.
_MARGIN = 2.0
_ROUNDING = 2.0**-23

# Where numbers of 24 bits end, and a stand-in for a mean of 0 inside a logarithm.
_LARGEST, _NOTHING = 3e38, 1e-300


def largest_throughput(
    servers: InfernoServers,
    places: FloatArray,
    metrics: Sequence[Metric],
    bounds: Sequence[FloatArray],
    promised: BoolArray,
    *,
    drops_falling: bool,
) -> FloatArray:
    """Return the throughput [requests/ms] at the smallest of the rates that the targets allow.

    Parameters
    ----------
    servers, places
        Replicas and their waiting places, shape (P,).
    metrics, bounds
        Targets; each bound of shape (P,), 1e300 where there is none.
    promised
        Where a throughput is promised, shape (P,).
    drops_falling
        Whether a target on a metric that does not rise with the rate allows no rate; otherwise the
        metric is taken as decreasing.
    """
    sizing = _Sizing(servers, places, metrics, bounds)
    rate = sizing.rate(drops_falling=drops_falling)
    margin = np.where(promised, np.float32(_THROUGHPUT_SHARE), np.float32(1)) * sizing.highest
    rate = np.minimum(rate, margin)
    allowed = rate > 0
    return np.where(allowed, sizing.throughput(np.where(allowed, rate, sizing.lowest)), 0.0)


class _Ends(NamedTuple):
    """Worst signed excesses at the lowest and the highest rate."""

    low: FloatArray
    high: FloatArray


class _Sizing:
    """One sizing of replicas of similar slots."""

    def __init__(
        self,
        servers: InfernoServers,
        places: FloatArray,
        metrics: Sequence[Metric],
        bounds: Sequence[FloatArray],
    ) -> None:
        self.single = servers.rounded_to(np.float32)
        self.double = self.single.rounded_to(np.float64)
        self.chain: BirthDeathChain = self.single.chain(places, np.float32)
        alone = self.single.service_times(np.ones(1, np.float32))[:, 0]
        self.lowest = np.float32(_LOWEST_SHARE) * (1 / alone)
        self.highest = np.float32(_HIGHEST_SHARE) * self.chain.full_rate.astype(np.float32)
        self.metrics = metrics
        self.bounds = np.reshape(bounds, (len(metrics), len(places)))
        self.targets = np.minimum(self.bounds, _LARGEST).astype(np.float32)

    def throughput(self, rate: Numbers) -> FloatArray:
        """Return the throughput at a rate, rounded as the core does."""
        steady = self.chain.steady_state(rate.astype(np.float64))
        return averages_in_single_precision(steady, rate).throughput.astype(np.float64)

    def values(self, rate: Numbers, pairs: IntArray) -> Numbers:
        """Return the bounded means as the core computes them, shape (targets, pairs)."""
        steady = self.chain.steady_state(rate.astype(np.float64), pairs)
        means = averages_in_single_precision(steady, rate)
        latency = self.single.take(pairs).all_latencies(means)
        return np.array([latency[metric] for metric in self.metrics])

    def log_ratios(self, means: Averages, pairs: IntArray) -> FloatArray:
        """Return ln(mean/bound) without rounding, shape (targets, pairs)."""
        latency = self.double.take(pairs).all_latencies(means)
        ratios = [latency[m] / b[pairs] for m, b in zip(self.metrics, self.bounds, strict=True)]
        return np.log(np.maximum(ratios, _NOTHING))

    def rate(self, *, drops_falling: bool) -> Numbers:
        """Return the smallest of the rates that the targets allow, 0 where one allows none."""
        if not self.metrics:
            return self.highest
        everyone = np.arange(self.lowest.size)
        both = self.values(np.concatenate([self.lowest, self.highest]), np.tile(everyone, 2))
        at_low, at_high = np.split(both, 2, axis=1)
        targets, limited = self.targets, self.targets < _LARGEST
        rising = at_low < at_high
        met_low = limited & (np.abs(at_low - targets) <= _TOLERANCE * targets)
        met_high = limited & (np.abs(at_high - targets) <= _TOLERANCE * targets)
        below = np.where(rising, targets < at_low, targets > at_low)
        beyond = np.where(rising, targets > at_high, targets < at_high)
        refused = limited & ~met_low & ~met_high & below
        if drops_falling:
            refused |= limited & ~rising
        inside = limited & ~met_low & ~met_high & ~below & ~beyond

        rate = np.where(met_low.any(axis=0), self.lowest, self.highest)
        search = np.flatnonzero(inside.any(axis=0) & ~refused.any(axis=0))
        sign = np.where(inside, np.where(rising, 1.0, -1.0), 0.0)
        if search.size:
            ends = _Ends(self._end(at_low, sign, search), self._end(at_high, sign, search))
            found = self.bisected(search, sign[:, search], ends)
            rate[search] = np.minimum(rate[search], found)
        return np.where(refused.any(axis=0), np.float32(0), rate)

    def _end(self, values: Numbers, sign: FloatArray, pairs: IntArray) -> FloatArray:
        """Return the worst signed excess at an end of the range, from the means there."""
        ratios = values[:, pairs].astype(np.float64) / self.targets[:, pairs]
        worst: FloatArray = _sought(sign[:, pairs], np.log(np.maximum(ratios, _NOTHING))).max(
            axis=0
        )
        return worst

    def bisected(self, pairs: IntArray, sign: FloatArray, ends: _Ends) -> Numbers:
        """Return where the core's bisection ends, for pairs with a target inside the range.

        `sign` is 1 for a rising mean, -1 for a falling one, 0 for a target not to search for; shape
        (targets, pairs).
        """
        root = self._root(pairs, sign, ends)
        before = (1.0 - _SLOPE_STEP) * root
        means = averages(self.chain.steady_state(before, pairs))
        ratios = _sought(sign, self.log_ratios(means, pairs))
        binding, column = ratios.argmax(axis=0), np.arange(pairs.size)
        slope = np.maximum(-ratios[binding, column], _NOTHING) / _SLOPE_STEP
        target, rises = self.targets[binding, pairs], sign[binding, column] > 0
        # Rounding shows in the wait, a difference of numbers as large as the whole stay.
        stay = means.wait + means.time_in_service
        noise = _TOLERANCE + _ROUNDING * (1.0 + stay / target)
        reach = np.minimum(_MARGIN * noise / slope, 1.0) * root

        bracket = _Bracket(self.lowest[pairs], self.highest[pairs])
        going = column
        while going.size:
            going = bracket.close_in(going, root, reach)
            values = self.values(bracket.middle[going], pairs[going])
            values = values[binding[going], np.arange(going.size)]
            missed = np.abs((values - target[going]) / target[going]) > _TOLERANCE
            going, values = going[missed], values[missed]
            going = bracket.halve(going, (values > target[going]) == rises[going])
        return bracket.middle

    def _root(self, pairs: IntArray, sign: FloatArray, ends: _Ends) -> FloatArray:
        """Return the rate at which the first of the targets is reached, in double precision."""

        def excess(which: IntArray, rate: FloatArray) -> FloatArray:
            means = averages(self.chain.steady_state(rate, pairs[which]))
            ratios = self.log_ratios(means, pairs[which])
            worst: FloatArray = _sought(sign[:, which], ratios).max(axis=0)
            return worst

        full = self.chain.full_rate[pairs]
        low, high = (end[pairs].astype(np.float64) for end in (self.lowest, self.highest))
        return root_rate(excess, low, high, full, ends.low, ends.high, _ROOT_PRECISION)


def _sought(sign: FloatArray, ratios: FloatArray) -> FloatArray:
    """Return the signed excess of every target, -inf where it is not sought."""
    return np.where(sign == 0, -np.inf, sign * ratios)


class _Bracket:
    """Brackets of a bisection and their midpoints, in single precision."""

    def __init__(self, low: Numbers, high: Numbers) -> None:
        self.low, self.high = low.copy(), high.copy()
        self.middle = np.float32(0.5) * (low + high)

    def halve(self, which: IntArray, above: BoolArray) -> IntArray:
        """Replace an end by the midpoint; return those whose midpoint still moves."""
        self.high[which[above]] = self.middle[which[above]]
        self.low[which[~above]] = self.middle[which[~above]]
        middle = np.float32(0.5) * (self.low[which] + self.high[which])
        moves = middle != self.middle[which]
        self.middle[which] = middle
        moving: IntArray = which[moves]
        return moving

    def close_in(self, which: IntArray, root: FloatArray, reach: FloatArray) -> IntArray:
        """Halve until the midpoints are within reach of the root; return those that are."""
        near = []
        while which.size:
            distance = self.middle[which] - root[which]
            far = np.abs(distance) > reach[which]
            near.append(which[~far])
            which = self.halve(which[far], distance[far] > 0)
        return np.concatenate(near)
