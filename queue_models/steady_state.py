"""Steady state of a birth-death queue: what it says of waits, blocking and numbers present."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from queue_models.arrays import BoolArray, FloatArray, IntArray
from queue_models.erlang_mixture import mixture_quantile, mixture_tail
from queue_models.state_sums import StateSums

__all__ = ["MOST_LOAD", "SteadyState"]

MOST_LOAD = 1e150
"""Loads are computed up to this, so that nothing overflows."""

# Tolerance of quantiles of the number found, relative to the share that may find more.
_REACHED = 1e-9


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
        rate = np.minimum(self.arrival_rate, MOST_LOAD * self.full_rate)
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
