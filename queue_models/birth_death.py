"""Birth-death queues with one service rate above the slots: M/M/c, M/M/c/K and mu(n) for n <= B."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from queue_models.arrays import BoolArray, FloatArray, IntArray
from queue_models.erlang_mixture import mixture_quantile, mixture_tail
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

__all__ = ["BirthDeathChain", "SteadyState", "similar_slots"]

# Loads are computed inside these bounds: 0 is the limit from above, and nothing overflows.
_LEAST_LOAD, _MOST_LOAD = 1e-150, 1e150

# Tolerance of quantiles of the number found, relative to the share that may find more.
_REACHED = 1e-9

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
        load = np.where(stable, np.clip(arrival_rate / full, _LEAST_LOAD, _MOST_LOAD), 0.5)
        log_load = _log_load(np.where(stable, arrival_rate, 0.5 * full), full, load)
        sums = self._sums(log_load, load, pairs)

        # Under overload the fullest state weighs most: shift by it.
        top = np.where(endless, 0.0, np.maximum(room - 1.0, 0.0)) * np.maximum(log_load, 0.0)
        shift = np.maximum(sums.log_full + top, 0.0)
        steep = np.maximum(np.abs(log_load), _LEAST_LOAD)
        above = np.expm1(-room * steep) / np.expm1(-steep)
        last = np.exp(sums.log_full + _times(room, log_load) - shift)
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
            weight_waiting=np.exp(sums.log_full + top - shift) * above,
            weight_last=np.where(endless, 0.0, last),
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


@dataclass(frozen=True, eq=False, kw_only=True)
class SteadyState:
    """Steady state of every pair at its arrival rate; made by `BirthDeathChain.steady_state`.

    All quantities are sums of positive terms. An accepted arrival sees n present with probability
    p(n)/(1 - p(K)), n < K; it waits if n >= B. Where not `stable`, only `stable` has a meaning.

    Attributes
    ----------
    stretch
        Factor on the wait of those who wait: 1 where service is exponential.
    sums, factor
        Sums over the states n < B; times this factor they are on the scale of the weights below.
    weight_waiting
        States in which an accepted arrival must wait, B <= n < K, shape (P,).
    weight_last
        The state K, in which arrivals are refused, shape (P,).
    """

    slots: IntArray
    places: FloatArray
    full_rate: FloatArray
    arrival_rate: FloatArray
    stable: BoolArray
    log_load: FloatArray
    stretch: FloatArray
    sums: StateSums
    factor: FloatArray
    weight_waiting: FloatArray
    weight_last: FloatArray

    @cached_property
    def weight_below(self) -> FloatArray:
        """Weight of the states n < B."""
        return self.sums.below * self.factor

    @cached_property
    def moment_below(self) -> FloatArray:
        """Sum over n < B of n times its weight."""
        return self.sums.moment * self.factor

    @cached_property
    def accepting(self) -> FloatArray:
        """Weight of the states that accept, n < K."""
        return self.weight_below + self.weight_waiting

    @property
    def blocking_probability(self) -> FloatArray:
        """P(an arrival is refused) = p(K)."""
        share = self.weight_last / (self.accepting + self.weight_last)
        return np.where(self.arrival_rate > 0, share, 0.0)

    @property
    def throughput(self) -> FloatArray:
        """Accepted arrivals per unit of time, lambda (1 - p(K))."""
        rate = np.minimum(self.arrival_rate, _MOST_LOAD * self.full_rate)
        return rate * (self.accepting / (self.accepting + self.weight_last))

    @property
    def wait_probability(self) -> FloatArray:
        """P(an accepted arrival waits)."""
        return np.where(self.arrival_rate > 0, self.weight_waiting / self.accepting, 0.0)

    @cached_property
    def in_service(self) -> FloatArray:
        """Mean number in service, of min(n, B) over time."""
        full = self.slots * (self.weight_waiting + self.weight_last)
        return (self.moment_below + full) / (self.accepting + self.weight_last)

    @property
    def time_in_service(self) -> FloatArray:
        """Mean time in service of accepted arrivals (Little's law), also as the rate goes to 0."""
        rate = np.exp(self.log_load) * self.full_rate
        return self.in_service / rate * ((self.accepting + self.weight_last) / self.accepting)

    @property
    def mean_seen(self) -> FloatArray:
        """Mean over accepted arrivals of the number in service once they are, min(n + 1, B)."""
        below = self.weight_below + self.moment_below
        return (below + self.slots * self.weight_waiting) / self.accepting

    @cached_property
    def queue_length_given_wait(self) -> FloatArray:
        """Mean of n - B + 1 over the arrivals that wait: of j in 1..K-B, weighted r^j.

        It is 1 - phi(s) + m phi(m s), s = -ln r, m = K - B, phi(y) = 1/y - 1/(e^y - 1): free of
        cancellation for any r, 1 included. Without limit, 1/(1 - r).
        """
        steepness = -self.log_load
        endless = np.isinf(self.places)
        room = np.where(endless, 0.0, self.places)
        one, all_ = _phi(np.stack([steepness, room * steepness]))
        bounded = 1.0 - one + room * all_
        free = -1.0 / np.expm1(np.where(endless, self.log_load, -1.0))
        return np.where(endless, free, bounded)

    @property
    def mean_wait(self) -> FloatArray:
        """Mean wait of accepted arrivals, zero waits included (FCFS)."""
        given = self.stretch * self.queue_length_given_wait / self.full_rate
        return self.wait_probability * given

    @property
    def queue_length(self) -> FloatArray:
        """Mean number waiting, summed over the waiting states and never as a difference."""
        return self.throughput * self.mean_wait

    def seen_at_least(self, present: FloatArray) -> FloatArray:
        """P(an accepted arrival finds at least so many present); `present` <= B, shape (P,)."""
        tail = self.sums.at_least(present) * self.factor
        return (tail + self.weight_waiting) / self.accepting

    def seen_quantile(self, probability: float) -> FloatArray:
        """Least n with P(an accepted arrival finds at most n) >= `probability`; B if it waits.

        A share within 1e-9 of the one that may find more counts as reached, so that the rate at
        which a state is just reached, found by a search, is one at which it is.
        """
        least = 1.0 - (1.0 - probability) * (1.0 + _REACHED)
        found = least * self.accepting
        inside = found <= self.weight_below
        # The sums may lie on a scale of which the factor is 0: there all find the slots taken.
        level = np.where(inside, found / np.where(inside, self.factor, 1.0), np.inf)
        return self.sums.first_reaching(level)

    def mean_seen_up_to(self, most: FloatArray) -> FloatArray:
        """Mean over accepted arrivals of min(n + 1, B, `most`)."""
        below = self.sums.capped(most) * self.factor
        return (below + np.minimum(self.slots, most) * self.weight_waiting) / self.accepting

    def wait_tail(self, wait: FloatArray) -> FloatArray:
        """P(the wait of an accepted arrival exceeds `wait`), FCFS, exact without stretch."""
        served = self.full_rate * wait / self.stretch
        given = mixture_tail(served, self.log_load, self.places)
        return self.wait_probability * given

    def wait_quantile(self, probability: float) -> FloatArray:
        """Quantile of the wait of accepted arrivals, exact as `wait_tail`; 0 where few wait."""
        waits = self.wait_probability
        # P(wait > t | it waits) = share, where at least that share of arrivals waits at all.
        share = (1.0 - probability) / np.maximum(waits, 1.0 - probability)
        served = mixture_quantile(share, self.log_load, self.places)
        return served * self.stretch / self.full_rate


def _phi(y: FloatArray) -> FloatArray:
    """Return 1/y - 1/(e^y - 1), from 1 at -inf through 1/2 at 0 to 0 at inf."""
    size = np.abs(y)
    small = size < 0.05
    large = np.where(small, 1.0, size)
    far = 1.0 / large + np.exp(-large) / np.expm1(-large)
    series = 0.5 - size / 12.0 * (1.0 - size**2 / 60.0 * (1.0 - size**2 / 42.0))
    positive = np.where(small, np.where(small, series, 0.0), far)
    return np.where(y < 0, 1.0 - positive, positive)
