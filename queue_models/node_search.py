"""Where an increasing function of the load crosses 0, in few evaluations, many at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from queue_models.arrays import BoolArray, FloatArray, IntArray

__all__ = ["crossing"]

# Which pairs, at which points (as many) -> values, increasing in the point but for wavering.
VectorFunction = Callable[[IntArray, FloatArray], FloatArray]

# Points that an interpolation goes through.
_KNOWN = 4
# Values are cut at this size, so that products of theirs exist.
_LARGEST = 1e90
# Evaluations between two nodes, at most; halving alone would need some 40.
_MOST_STEPS = 80
# Interpolation that leaves more than this share of the least value known gives way to halving.
_PROGRESS = 0.25


def crossing(
    function: VectorFunction, nodes: FloatArray, pairs: int, precision: float
) -> FloatArray:
    """Return, per pair, where a function that is not positive at first becomes positive.

    Parameters
    ----------
    function
        Called with indices of pairs and a point for each.
    nodes
        Points between which the crossing is sought, increasing; the same for all pairs.
    pairs
        Number of pairs.
    precision
        A pair is done when the function lies between minus this and 0, or when its bracket is this
        narrow, relative to its upper end.

    Returns
    -------
    FloatArray
        A point at which it is not positive, as exactly as it is computed; 0 where it is positive at
        every node asked, the last node where it is so at none.

    Notes
    -----
    The nodes are halved first: which are asked depends on earlier signs alone, so that of two
    functions of which one nowhere exceeds the other, it is never given the earlier interval,
    whatever their form. Inside an interval follows inverse interpolation through up to four known
    points, of third order where the function is smooth, and halving where that fails.
    """
    search = _Search(function, nodes, pairs)
    search.halve_nodes()
    search.interpolate(precision)
    return search.answer


class _Search:
    """Brackets and known points of all pairs."""

    def __init__(self, function: VectorFunction, nodes: FloatArray, pairs: int) -> None:
        self.function, self.nodes = function, nodes
        self.answer = np.zeros(pairs)
        self.low, self.high = np.full(pairs, -1), np.full(pairs, len(nodes))
        self.at_nodes = np.full((pairs, len(nodes)), np.nan)

    def halve_nodes(self) -> None:
        """Find the nodes between which each function crosses 0."""
        while True:
            open_ = np.flatnonzero(self.high - self.low > 1)
            if not open_.size:
                break
            node = (self.low[open_] + self.high[open_] + 1) // 2
            value = self._value(open_, self.nodes[node])
            self.at_nodes[open_, node] = value
            above = value > 0
            self.high[open_[above]] = node[above]
            self.low[open_[~above]] = node[~above]
        self.answer = np.where(self.low < 0, 0.0, self.nodes[self.low])

    def _value(self, pairs: IntArray, points: FloatArray) -> FloatArray:
        return np.clip(self.function(pairs, points), -_LARGEST, _LARGEST)

    def interpolate(self, precision: float) -> None:
        """Close in on the crossings that lie between two nodes."""
        pairs = np.flatnonzero((self.low >= 0) & (self.high < len(self.nodes)))
        low, high = self.nodes[self.low[pairs]], self.nodes[self.high[pairs]]
        # What is sought lies in the middle of the values that end the search, below 0.
        aim = 0.5 * precision
        points = np.broadcast_to(self.nodes, (len(pairs), len(self.nodes)))
        points, values = _nearest(points, self.at_nodes[pairs] + aim)
        stuck = np.zeros(len(pairs), dtype=np.bool_)
        for _ in range(_MOST_STEPS):
            middle = 0.5 * (low + high)
            point = np.where(stuck, middle, _guess(points, values, middle, low, high))
            value = self._value(pairs, point) + aim
            above = value > aim
            low, high = np.where(above, low, point), np.where(above, point, high)
            self.answer[pairs] = low
            left = (np.abs(value) > aim) & (high - low > precision * high)
            if not left.any():
                return
            stuck = ~stuck & (np.abs(value) > _PROGRESS * np.abs(values[:, 0]))
            points, values = _nearest(
                np.column_stack([points, point]), np.column_stack([values, value])
            )
            pairs, low, high, stuck = pairs[left], low[left], high[left], stuck[left]
            points, values = points[left], values[left]


def _nearest(points: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the known points of smallest value on either side, at most four; NaN: unknown."""
    size = np.where(np.isnan(values), np.inf, np.abs(values))
    order = np.argsort(size, axis=1, kind="stable")[:, :_KNOWN]
    return np.take_along_axis(points, order, axis=1), np.take_along_axis(values, order, axis=1)


def _guess(
    points: FloatArray,
    values: FloatArray,
    middle: FloatArray,
    low: FloatArray,
    high: FloatArray,
) -> FloatArray:
    """Return where the curve through the known points crosses 0, inside the bracket."""
    known = np.isfinite(values)
    # Newton's divided differences of the point as a function of the value.
    coefficient = points.copy()
    count = values.shape[1]
    usable: BoolArray = known.copy()
    for order in range(1, count):
        span = values[:, order:] - values[:, : count - order]
        good = np.isfinite(span) & (span != 0)
        step = (coefficient[:, order:] - coefficient[:, order - 1 : -1]) / np.where(good, span, 1.0)
        coefficient[:, order:] = step
        usable[:, order] &= usable[:, order - 1] & good[:, 0]
    guess, product = coefficient[:, 0].copy(), np.ones(len(low))
    best = middle
    for order in range(1, count):
        product = product * -np.where(known[:, order - 1], values[:, order - 1], 0.0)
        guess = guess + np.where(usable[:, order], coefficient[:, order] * product, 0.0)
        # A curve of lower order stands in where a higher one leaves the bracket.
        inside = usable[:, order] & (guess > low) & (guess < high)
        best = np.where(inside, guess, best)
    return best
