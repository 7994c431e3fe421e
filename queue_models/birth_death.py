"""Birth-death queues with one service rate above the slots: M/M/c, M/M/c/K and mu(n) for n <= B."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from queue_models.arrays import FloatArray, IntArray
from queue_models.errors import ServiceProcessError
from queue_models.state_sums import (
    RateLaw,
    Rates,
    RateTable,
    StateSums,
    SweptSums,
    TabledSums,
    kernels,
)
from queue_models.steady_state import MOST_LOAD, SteadyState

__all__ = ["BirthDeathChain", "SteadyState", "similar_slots"]

# Loads are computed from this on: 0 is the limit from above.
_LEAST_LOAD = 1e-150

# States (pairs times slots) held at once: what stays in a core's cache is fastest.
_STATES_AT_ONCE = 1 << 16

# Below this, one more call costs more than padding does.
_FEW_STATES = 1 << 14


def similar_slots(slots: IntArray, states_at_once: int = _STATES_AT_ONCE) -> Iterator[IntArray]:
    """Split pairs into groups of similar slots, so that padded tables are small and full.

    Parameters
    ----------
    slots
        Slots B of every pair, shape (P,).
    states_at_once
        A group's pairs times its largest B is at most this (a single pair may exceed it).

    Yields
    ------
    IntArray
        Indices of a group's pairs, ascending in B; the groups partition 0..P-1.
    """
    order = np.argsort(slots, kind="stable")
    # Most slots first: the first pair of a group then tells how many pairs fit.
    end = len(order)
    while end:
        widest = int(slots[order[end - 1]])
        # Pairs of fewer than half the slots would be mostly padding.
        narrow = int(np.searchsorted(slots[order[:end]], widest // 2, side="left"))
        start = min(narrow, max(end - _FEW_STATES // widest, 0))
        start = max(start, end - max(states_at_once // widest, 1))
        yield order[start:end]
        end = start


@dataclass(frozen=True, eq=False)
class BirthDeathChain:
    """Poisson arrivals to B slots and a waiting room; mu(n) in state n <= B, mu(B) above.

    Build it with `from_rates` or `from_law`; it holds what does not depend on the arrival rate.

    Attributes
    ----------
    slots
        B of every pair, shape (P,).
    places
        Waiting places K - B, shape (P,); `inf` without limit.
    full_rate
        mu(B), shape (P,).
    rates
        mu(B)/mu(n), n = 1..B.
    compiled
        Whether sums over states below B are compiled.
    """

    slots: IntArray
    places: FloatArray
    full_rate: FloatArray
    rates: Rates
    compiled: bool

    @classmethod
    def from_rates(
        cls,
        rates: ArrayLike,
        places: ArrayLike = np.inf,
        slots: ArrayLike | None = None,
        *,
        compiled: bool = False,
    ) -> BirthDeathChain:
        """Build the chains of P pairs from any positive rates.

        Parameters
        ----------
        rates
            Total service rate mu(n) for n = 1..B, shape (P, max B) or (B,), any unit, > 0.
        places
            Waiting places beyond the slots, >= 0, `inf` without limit; broadcasts to (P,).
        slots
            B of every pair where they differ; columns from B on are not read. None: all columns.
        compiled
            Whether to sum by numba, which pays from some millions of states times arrival rates on;
            numpy sums where it is missing, and where a rate or a load would overflow it.

        Raises
        ------
        ServiceProcessError
            If a rate or a number of places is out of range.
        """
        table = np.atleast_2d(np.asarray(rates, dtype=np.float64))
        pairs, most = table.shape
        count = np.broadcast_to(np.asarray(most if slots is None else slots, dtype=np.int64), pairs)
        used = np.arange(most) < count[:, None]
        full = table[np.arange(pairs), count - 1]
        if not np.all((table > 0) & np.isfinite(table) | ~used):
            raise ServiceProcessError("rates: must be greater than 0 and finite")
        ratios = full[:, None] / np.where(used, table, full[:, None])
        return cls._built(count, places, full, RateTable(ratios), compiled)

    @classmethod
    def from_law(
        cls,
        base: FloatArray,
        slope: FloatArray,
        slots: IntArray,
        places: ArrayLike = np.inf,
        knee: ArrayLike = np.inf,
        *,
        compiled: bool = False,
    ) -> BirthDeathChain:
        """Build chains with 1/mu(n) = base/min(n, knee) + slope, without a table where compiled.

        Parameters
        ----------
        base, slope
            >= 0, their sum > 0, in the unit of 1/mu, shape (P,).
        slots
            B of every pair, shape (P,).
        places, compiled
            As in `from_rates`.
        knee
            Number present from which the rate no longer grows, >= 1; broadcasts to (P,).

        Raises
        ------
        ServiceProcessError
            If a number of places, or a rate, is out of range.
        """
        bend = np.broadcast_to(np.asarray(knee, dtype=np.float64), slots.shape)
        full = 1.0 / (base / np.minimum(slots, bend) + slope)
        if not np.all((full > 0) & np.isfinite(full)):
            raise ServiceProcessError("base, slope: 1/mu(n) must be greater than 0 and finite")
        law = RateLaw(base * full, slope * full, np.ascontiguousarray(bend), slots)
        return cls._built(slots, places, full, law, compiled)

    @classmethod
    def _built(
        cls, slots: IntArray, places: ArrayLike, full: FloatArray, rates: Rates, compiled: bool
    ) -> BirthDeathChain:
        room = np.broadcast_to(np.asarray(places, dtype=np.float64), slots.shape)
        if not np.all(room >= 0):
            raise ServiceProcessError("places: must be at least 0")
        usable = compiled and rates.suits_kernels() and kernels() is not None
        return cls(slots, room, full, rates, usable)

    @cached_property
    def _logs(self) -> tuple[FloatArray, FloatArray]:
        """Sums over k <= n of ln(mu(B)/mu(k)) for n = 0..B-1, -inf from B on, and for n = B."""
        ratios = self.rates.ratios()
        sums = np.cumsum(np.log(ratios), axis=1)
        weights = np.zeros_like(ratios)
        weights[:, 1:] = sums[:, :-1]
        weights[np.arange(ratios.shape[1]) >= self.slots[:, None]] = -np.inf
        return weights, sums[:, -1]

    def _sums(self, log_load: FloatArray, load: FloatArray, pairs: IntArray | None) -> StateSums:
        """Return the sums over the states below the slots at these loads."""
        slots = self.slots if pairs is None else self.slots[pairs]
        if self.compiled and load.max(initial=0.0) <= 1.0:
            every = np.arange(slots.size) if pairs is None else pairs
            return SweptSums(self.rates, load, every, slots)
        logs, log_full = self._logs
        if pairs is not None:
            logs, log_full = logs[pairs], log_full[pairs]
        return TabledSums(logs, log_full, slots, log_load)

    def steady_state(
        self,
        arrival_rate: FloatArray,
        pairs: IntArray | None = None,
        stretch: FloatArray | float = 1.0,
    ) -> SteadyState:
        """Solve the chains.

        Parameters
        ----------
        arrival_rate
            Offered rate of every pair, >= 0, in the unit of mu; 0 means the limit from above.
        pairs
            Which pairs, with as many rates; None: all.
        stretch
            Factor on the wait of those who wait, > 0: 1 for exponential service.

        Notes
        -----
        p(n) is proportional to (lambda/mu(B))^n times the weight of n, and geometric above B, where
        the sums are closed forms of r = lambda/mu(B): nothing loops over K. Weights are shifted by
        their largest logarithm. ln r comes from mu(B) - lambda, so that it is exact near 1.
        """
        if pairs is None:
            slots, room, full = self.slots, self.places, self.full_rate
        else:
            slots, room, full = self.slots[pairs], self.places[pairs], self.full_rate[pairs]
        endless = np.isinf(room)
        stable = ~endless | (arrival_rate < full)
        load = np.where(stable, np.clip(arrival_rate / full, _LEAST_LOAD, MOST_LOAD), 0.5)
        log_load = _log_load(np.where(stable, arrival_rate, 0.5 * full), full, load)
        sums = self._sums(log_load, load, pairs)

        # Under overload the fullest state weighs most: shift by it.
        top = np.where(endless, 0.0, np.maximum(room - 1.0, 0.0)) * np.maximum(log_load, 0.0)
        fullest = sums.log_full + top
        shift, log_waiting = np.maximum(fullest, 0.0), np.minimum(fullest, 0.0)
        # From the state before it, so that a long queue costs no digits.
        log_last = log_waiting + np.where(top > 0, log_load, _times(room, log_load))
        steep = np.maximum(np.abs(log_load), _LEAST_LOAD)
        above = np.expm1(-room * steep) / np.expm1(-steep)
        return SteadyState(
            slots=slots,
            places=room,
            full_rate=full,
            arrival_rate=arrival_rate,
            stable=stable,
            log_load=log_load,
            stretch=np.broadcast_to(np.asarray(stretch, dtype=np.float64), slots.shape),
            sums=sums,
            factor=np.exp(-shift),
            weight_waiting=np.exp(log_waiting) * above,
            weight_last=np.where(endless, 0.0, np.exp(log_last)),
        )


def _times(places: FloatArray, log_load: FloatArray) -> FloatArray:
    """Return places x ln r where the places are finite, 0 elsewhere."""
    return np.where(np.isinf(places), 0.0, places) * log_load


def _log_load(rate: FloatArray, full: FloatArray, load: FloatArray) -> FloatArray:
    """Return ln(lambda/mu), from the difference where the two are close."""
    gap = (rate - full) / full
    close = np.abs(gap) < 0.5
    near: FloatArray = np.log1p(np.where(close, gap, 0.0))
    return np.where(close, near, np.log(load))
