"""Root of an increasing function, many at once: how every model inverts its metrics."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from queue_models.arrays import FloatArray, IntArray

__all__ = ["increasing_root", "largest_rate", "root_rate"]

# Which pairs, at which points (as many) -> values, increasing in the point.
VectorFunction = Callable[[IntArray, FloatArray], FloatArray]

_PRECISION = 1e-11
# An excess this small at an end of the range is rounding: the bound holds there.
_HOLDS = 1e-12
# Bisection alone would need 37 from one end to the other; jumps come close to that.
_MOST_STEPS = 200


def increasing_root(
    function: VectorFunction,
    low: FloatArray,
    high: FloatArray,
    value_low: FloatArray | None = None,
    value_high: FloatArray | None = None,
    precision: float = _PRECISION,
) -> FloatArray:
    """Return, per pair, the largest point at which an increasing function is not positive.

    Parameters
    ----------
    function
        Called with the indices of the pairs still open and a point for each.
    low, high
        Bracket, shape (P,). Jumps are allowed.
    value_low, value_high
        The function there, where the caller has it already.
    precision
        A pair is done when its bracket is this narrow, relative to its upper end, or the function
        this small.

    Returns
    -------
    FloatArray
        A point of the bracket, within `precision` of the root or of the function's 0; `high` where
        the function is <= 0 there, `low` where it is > 0 there.

    Notes
    -----
    Chandrupatla's method [1]_: inverse quadratic interpolation where it is safe, else bisection.
    Converged pairs leave the working set.

    References
    ----------
    .. [1] Chandrupatla, T. R. (1997). A new hybrid quadratic/bisection algorithm for finding the
       zero of a nonlinear function without using derivatives. Advances in Engineering Software 28.
    """
    everyone = np.arange(len(low))
    at_low = function(everyone, low) if value_low is None else value_low
    at_high = function(everyone, high) if value_high is None else value_high
    answer = np.where(at_high <= 0, high, low)
    pairs = np.flatnonzero((at_low <= 0) & (at_high > 0))
    # a: newest point; b: the other end of the bracket; c: the point before.
    a, b, c, fa, fb, fc = (v[pairs] for v in (high, low, low, at_high, at_low, at_low))
    step = np.full(pairs.size, 0.5)
    for _ in range(_MOST_STEPS):
        if not pairs.size:
            break
        point = a + step * (b - a)
        value = function(pairs, point)
        same = (value > 0) == (fa > 0)
        # The newest point replaces the end on its own side.
        c, fc = np.where(same, a, b), np.where(same, fa, fb)
        b, fb = np.where(same, b, a), np.where(same, fb, fa)
        a, fa = point, value
        below = np.where(fa > 0, b, a)
        closest = np.where(np.abs(fa) <= precision, a, below)
        width = precision * np.maximum(a, b)
        gap = np.abs(b - a)
        open_ = (gap > width) & (np.abs(fa) > precision)
        answer[pairs] = closest
        if not open_.all():
            pairs = pairs[open_]
            a, b, c, fa, fb, fc = (v[open_] for v in (a, b, c, fa, fb, fc))
            width, gap = width[open_], gap[open_]
        step = _next_step(a, b, c, fa, fb, fc)
        least = np.minimum(0.5, 0.5 * width / gap)
        step = np.clip(step, least, 1.0 - least)
    return answer


def largest_rate(
    excess: VectorFunction, lowest: FloatArray, highest: FloatArray, capacity: FloatArray
) -> FloatArray:
    """Return, per pair, the largest rate of a range at which an increasing excess is not positive.

    Parameters
    ----------
    excess
        Called with indices of pairs and a rate for each; for a metric and its bound, ln(metric /
        bound) converges fastest.
    lowest, highest
        Range of rates, 0 <= lowest < highest < capacity, shape (P,).
    capacity
        Rate at which metrics with a queue grow without limit, shape (P,). The search runs over
        -ln(1 - rate/capacity), in which the logarithm of such a metric is nearly linear.

    Returns
    -------
    FloatArray
        `highest` where the excess is not positive there; 0 where it is positive at `lowest`.
    """
    pairs = np.arange(len(lowest))
    at_high = excess(pairs, highest)
    beyond = np.flatnonzero(at_high > _HOLDS)
    rate = highest.copy()
    at_low = excess(beyond, lowest[beyond])
    rate[beyond[at_low > _HOLDS]] = 0.0
    inside = at_low <= _HOLDS
    search = beyond[inside]

    def excess_of_searched(which: IntArray, candidate: FloatArray) -> FloatArray:
        return excess(search[which], candidate)

    rate[search] = root_rate(
        excess_of_searched,
        lowest[search],
        highest[search],
        capacity[search],
        np.minimum(at_low[inside], 0.0),
        at_high[search],
    )
    return rate


def root_rate(
    excess: VectorFunction,
    lowest: FloatArray,
    highest: FloatArray,
    capacity: FloatArray,
    at_low: FloatArray,
    at_high: FloatArray,
    precision: float = _PRECISION,
) -> FloatArray:
    """Return what `largest_rate` does where the ends differ in sign; `at_*` is the excess there."""

    def stretched(which: IntArray, point: FloatArray) -> FloatArray:
        return excess(which, -np.expm1(-point) * capacity[which])

    low, high = -np.log1p(-lowest / capacity), -np.log1p(-highest / capacity)
    root = increasing_root(stretched, low, high, at_low, at_high, precision)
    return np.clip(-np.expm1(-root) * capacity, lowest, highest)


def _next_step(
    a: FloatArray, b: FloatArray, c: FloatArray, fa: FloatArray, fb: FloatArray, fc: FloatArray
) -> FloatArray:
    """Return the share of the way from a to b: interpolated where Chandrupatla's test allows."""
    xi = (a - b) / (c - b)
    phi = (fa - fb) / (fc - fb)
    safe = (phi**2 < xi) & ((1.0 - phi) ** 2 < 1.0 - xi)
    safe &= (fa != fc) & (fb != fc) & (fa != fb)
    ab = np.where(safe, fb - fa, 1.0)
    ac = np.where(safe, fc - fa, 1.0)
    bc = np.where(safe, fb - fc, 1.0)
    inner = (fa / ab) * (fc / bc) + (c - a) / (b - a) * (fa / ac) * (fb / (fc - fb))
    return np.where(safe, inner, 0.5)
