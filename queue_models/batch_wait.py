"""Wait for a server in batches of constant times: its exact distribution."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from queue_models.arrays import FloatArray
from queue_models.tail_quantile import quantile_of_tail

__all__ = ["BatchWait"]

# Full batch times beyond the chain's last state that are summed state by state.
_BATCHES_BEYOND = 14


@dataclass(frozen=True, eq=False, kw_only=True)
class BatchWait:
    """Distribution of the FCFS wait in a `BatchServiceQueue` of constant batch times.

    Who arrives t into a batch of time T, with n waiting then, waits T - t and floor(n/b) full
    batches. With N Poisson, the integral of P(N(u) >= i) over u < t is E[(N(t) - i)^+]/λ.

    Parameters
    ----------
    arrival_rate, times, places
        As in `BatchServiceQueue`; the times of the batches that occur.
    probability, log_ratio
        Of the number left at completions, and of its geometric tail.
    accepted
        Mean number of requests accepted per cycle.
    """

    arrival_rate: float
    times: FloatArray
    probability: FloatArray
    log_ratio: float
    places: float
    accepted: float

    @cached_property
    def _states(self) -> tuple[FloatArray, FloatArray, FloatArray, float]:
        """Return chance, number waiting at its start and time of every batch, and what is left."""
        chance, most = self.probability, self.times.size
        beyond = 0.0
        if np.isfinite(self.log_ratio):
            more = _BATCHES_BEYOND * most
            tail = chance[-1] * np.exp(self.log_ratio * np.arange(1.0, more + 1.0))
            beyond = float(tail[-1] * np.exp(self.log_ratio) / -np.expm1(self.log_ratio))
            chance = np.concatenate([chance, tail])
        left = np.arange(chance.size)
        batch = np.clip(left, 1, most)
        return chance, np.maximum(left - batch, 0), self.times[batch - 1], beyond

    def tail(self, wait: float) -> float:
        """P(an accepted request waits longer)."""
        chance, waiting, time, beyond = self._states
        full = float(self.times[-1])
        most = self.times.size
        # As far as every state that waits so long is among those listed.
        reach = (self.probability.size / most + _BATCHES_BEYOND - 2) * full
        if np.isfinite(self.log_ratio) and wait > reach:
            batches = np.ceil((wait - reach) / full)
            return float(np.exp(self.log_ratio * most * batches)) * self.tail(wait - batches * full)
        total = beyond * full * self.arrival_rate
        least = np.maximum(np.floor((wait - time) / full) + 1.0, 0.0)
        for extra in range(int(np.ceil(float(time.max()) / full)) + 2):
            ahead = least + extra
            # Those who find that many full batches ahead wait longer if they arrive before `end`.
            end = np.clip(time - wait + ahead * full, 0.0, time)
            start = np.clip(time - wait + (ahead - 1.0) * full, 0.0, time)
            start = np.where(ahead == 0, 0.0, start)
            needed = ahead * most - waiting
            found = self._accepted(needed, waiting, end) - self._accepted(needed, waiting, start)
            total += float(chance @ found)
        return min(1.0, max(0.0, total / self.accepted))

    def _accepted(self, needed: FloatArray, waiting: FloatArray, time: FloatArray) -> FloatArray:
        """Return the mean number accepted by then of those who find `needed` new ones waiting."""
        found = self._excess(needed, time)
        if np.isinf(self.places):
            return found
        return found - self._excess(np.maximum(self.places - waiting, needed), time)

    def _excess(self, level: FloatArray, time: FloatArray) -> FloatArray:
        """E[(N(time) - level)^+], N Poisson."""
        from scipy.special import gammainc

        mean = self.arrival_rate * time
        above = np.maximum(level, 1.0)
        part = mean * gammainc(above, mean) - above * gammainc(above + 1.0, mean)
        return np.where(level <= 0, mean, np.maximum(part, 0.0))

    def quantile(self, share: float) -> float:
        """Return the wait that this share of the accepted requests exceeds."""
        return quantile_of_tail(self.tail, share, float(self.times[-1]))
