"""Sums over the states below the slots of many chains: from tables in numpy, or compiled."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np

from queue_models.arrays import FloatArray, IntArray

__all__ = ["RateLaw", "RateTable", "Rates", "StateSums", "SweptSums", "TabledSums", "kernels"]

_LOGGER = logging.getLogger(__name__)

# Largest step between neighbouring weights that the compiled sums may meet.
_LARGEST_FACTOR = 1e6
# What importing a missing or broken numba raises: it may not fit numpy, or lack its libraries.
_BROKEN = (ImportError, AttributeError, OSError, RuntimeError, SystemError, TypeError)

# Stand-in for a weight of 0 inside a logarithm.
_NOTHING = 1e-320


@cache
def kernels() -> Any | None:
    """Return the module of compiled sums, or None where numba is missing or does not work."""
    try:
        from queue_models import state_kernels

        state_kernels.compile_all()
    except _BROKEN as error:
        _LOGGER.warning("numba cannot be used, numpy takes its place, slower: %r", error)
        return None
    return state_kernels


class Rates(Protocol):
    """mu(B)/mu(n) of every chain, n = 1..B."""

    def ratios(self) -> FloatArray:
        """Return them as a table, shape (P, max B); 1 beyond a chain's B."""

    def sums(
        self, load: FloatArray, pairs: IntArray, slots: IntArray, limit: FloatArray
    ) -> FloatArray:
        """Return the compiled sums of some pairs at lambda/mu(B) = load, shape (pairs, 5)."""

    def suits_kernels(self) -> bool:
        """Whether the compiled sums cannot overflow at loads up to 1."""


@dataclass(frozen=True, eq=False)
class RateTable:
    """Rates given one by one.

    Parameters
    ----------
    table
        mu(B)/mu(n), shape (P, max B), 1 beyond a chain's B.
    """

    table: FloatArray

    def ratios(self) -> FloatArray:
        """Return the table."""
        return self.table

    def sums(
        self, load: FloatArray, pairs: IntArray, slots: IntArray, limit: FloatArray
    ) -> FloatArray:
        """Return the compiled sums; see `Rates.sums`."""
        found = kernels()
        assert found is not None
        result = np.empty((pairs.size, 5))
        found.table_sums(self.table, pairs, load, slots, limit, result)
        return result

    def suits_kernels(self) -> bool:
        """Whether no ratio is out of proportion."""
        return bool(self.table.max(initial=1.0) <= _LARGEST_FACTOR)


@dataclass(frozen=True, eq=False)
class RateLaw:
    """Rates of a linear law: mu(B)/mu(n) = base/min(n, knee) + slope, arrays of shape (P,)."""

    base: FloatArray
    slope: FloatArray
    knee: FloatArray
    slots: IntArray

    def ratios(self) -> FloatArray:
        """Return the table of ratios."""
        present = np.arange(1.0, float(self.slots.max(initial=1)) + 1.0)
        low = np.minimum(present, self.knee[:, None])
        table = self.base[:, None] / low + self.slope[:, None]
        return np.where(present <= self.slots[:, None], table, 1.0)

    def sums(
        self, load: FloatArray, pairs: IntArray, slots: IntArray, limit: FloatArray
    ) -> FloatArray:
        """Return the compiled sums; see `Rates.sums`."""
        found = kernels()
        assert found is not None
        result = np.empty((pairs.size, 5))
        base, slope = load * self.base[pairs], load * self.slope[pairs]
        found.law_sums(base, slope, self.knee[pairs], slots, limit, result)
        return result

    def suits_kernels(self) -> bool:
        """Whether no ratio is out of proportion."""
        return bool((self.base + self.slope).max(initial=1.0) <= _LARGEST_FACTOR)


class StateSums(Protocol):
    """Sums of the weights w(n), n < B, of every pair, up to a factor of its own.

    Attributes
    ----------
    below, moment
        Of w(n) and n w(n).
    log_full
        ln w(B).
    """

    below: FloatArray
    moment: FloatArray
    log_full: FloatArray

    def at_least(self, present: FloatArray) -> FloatArray:
        """Return the sum over present <= n < B, `present` whole."""

    def capped(self, most: FloatArray) -> FloatArray:
        """Return the sum of min(n + 1, most) w(n)."""

    def first_reaching(self, level: FloatArray) -> FloatArray:
        """Return the least n up to which the weights add up to `level`; B where none does."""


class TabledSums:
    """Weights of every state as a table, in logarithms first: any load, small tasks."""

    def __init__(
        self, log_weights: FloatArray, log_full: FloatArray, slots: IntArray, log_load: FloatArray
    ) -> None:
        column = np.arange(log_weights.shape[1], dtype=np.float64)
        weights = log_load[:, None] * column
        weights += log_weights
        self.log_full = log_full + slots * log_load
        shift = np.maximum(weights.max(axis=1), self.log_full)
        weights -= shift[:, None]
        np.exp(weights, out=weights)
        self.weights, self.slots = weights, slots
        self.log_full -= shift
        self.below = weights.sum(axis=1)
        # Not a matrix product: that would start a linear-algebra thread pool.
        self.moment: FloatArray = np.einsum("ij,j->i", weights, column)

    def at_least(self, present: FloatArray) -> FloatArray:
        """Return the sum over present <= n < B; see `StateSums.at_least`."""
        column = np.arange(self.weights.shape[1])
        tail: FloatArray = np.where(column >= present[:, None], self.weights, 0.0).sum(axis=1)
        return tail

    def capped(self, most: FloatArray) -> FloatArray:
        """Return the sum of min(n + 1, most) w(n)."""
        column = np.arange(1.0, self.weights.shape[1] + 1.0)
        total: FloatArray = (self.weights * np.minimum(column, most[:, None])).sum(axis=1)
        return total

    def first_reaching(self, level: FloatArray) -> FloatArray:
        """Return the least n that reaches a level; see `StateSums.first_reaching`."""
        reached = np.cumsum(self.weights, axis=1) >= level[:, None]
        column = np.arange(self.weights.shape[1])
        inside = reached & (column < self.slots[:, None])
        return np.where(inside.any(axis=1), inside.argmax(axis=1), self.slots).astype(np.float64)


class SweptSums:
    """Sums by compiled sweeps over the states: loads of at most 1, large tasks."""

    def __init__(self, rates: Rates, load: FloatArray, pairs: IntArray, slots: IntArray) -> None:
        self.rates, self.load, self.pairs, self.slots = rates, load, pairs, slots
        self.below, self.moment, full = self._sums(np.full(pairs.size, np.inf)).T[:3]
        self.log_full: FloatArray = np.log(np.maximum(full, _NOTHING))

    def _sums(self, limit: FloatArray) -> FloatArray:
        return self.rates.sums(self.load, self.pairs, self.slots, limit)

    def at_least(self, present: FloatArray) -> FloatArray:
        """Return the sum over present <= n < B; see `StateSums.at_least`."""
        return self._sums(present)[:, 3]

    def capped(self, most: FloatArray) -> FloatArray:
        """Return the sum of min(n + 1, most) w(n)."""
        return self._sums(most)[:, 4]

    def first_reaching(self, level: FloatArray) -> FloatArray:
        """Return the least n that reaches a level, by bisection over n."""
        low, high = np.zeros(self.pairs.size), self.slots.astype(np.float64)
        while np.any(low < high):
            middle = np.floor((low + high) / 2.0)
            reached = self.below - self.at_least(middle + 1.0) >= level
            low = np.where(reached | (low >= high), low, middle + 1.0)
            high = np.where(reached, middle, high)
        return low
