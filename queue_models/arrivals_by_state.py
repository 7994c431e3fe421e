"""Birth-death queues whose arrival rate depends on the number present, too."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from queue_models.arrays import FloatArray
from queue_models.erlang import checked_probability
from queue_models.errors import ServiceProcessError
from queue_models.tail_quantile import quantile_of_tail

__all__ = ["StateDependentArrivals"]


class StateDependentArrivals:
    """Steady state of one finite chain with arrival rates λ(n) and service rates mu(n).

    For impatient callers, closed populations, or a router that sends less to a busy replica.

    Parameters
    ----------
    arrival_rates
        λ(n) >= 0 for n = 0..K-1 present, λ(0) > 0, shape (K,); what follows a 0 is never reached.
    rates
        mu(n) > 0 for n = 1..B in service, shape (B,), B <= K; mu(B) above.

    Attributes
    ----------
    probability
        p(n), n = 0..K.
    throughput
        Arrivals per unit of time, all accepted: λ(n) is what enters.
    queue_length, in_service
        Means of (n - B)^+ and min(n, B).
    wait, time_in_service
        Means over arrivals (Little's law).

    Raises
    ------
    ServiceProcessError
        If an argument is out of range.

    Notes
    -----
    p(n) is proportional to the product over k <= n of λ(k-1)/mu(k), in logarithms; an arrival finds
    n with probability λ(n) p(n)/throughput, and if n >= B waits an Erlang time of n - B + 1 stages
    of rate mu(B). Lq is summed, never a difference.

    References
    ----------
    .. [1] Kleinrock, L. (1975). *Queueing Systems, Volume 1*, section 3.1.
    """

    def __init__(self, arrival_rates: ArrayLike, rates: ArrayLike) -> None:
        lam, mu = np.array(arrival_rates, dtype=np.float64), np.array(rates, dtype=np.float64)
        if lam.ndim != 1 or mu.ndim != 1 or not 1 <= mu.size <= lam.size:
            raise ServiceProcessError(
                f"arrival_rates, rates: must be rows of K and B <= K rates, came shapes "
                f"{lam.shape} and {mu.shape}"
            )
        if not (np.all((lam >= 0) & np.isfinite(lam)) and lam[0] > 0):
            raise ServiceProcessError(
                "arrival_rates: must be at least 0, the first above 0, finite"
            )
        if not np.all((mu > 0) & np.isfinite(mu)):
            raise ServiceProcessError("rates: must be greater than 0 and finite")
        reached = np.flatnonzero(np.append(lam, 0.0) <= 0)[0]
        served = np.concatenate([mu, np.full(lam.size - mu.size, mu[-1])])
        logs = np.full(lam.size + 1, -np.inf)
        logs[0] = 0.0
        logs[1 : reached + 1] = np.cumsum(np.log(lam[:reached] / served[:reached]))
        weights = np.exp(logs - logs.max())
        self.probability: FloatArray = weights / weights.sum()
        self.slots, self.full_rate = mu.size, float(mu[-1])
        entering = lam * self.probability[:-1]
        self.throughput = float(entering.sum())
        self.found: FloatArray = entering / self.throughput
        present = np.arange(lam.size + 1)
        self.queue_length = float(np.maximum(present - mu.size, 0) @ self.probability)
        self.in_service = float(np.minimum(present, mu.size) @ self.probability)
        self.wait = self.queue_length / self.throughput
        self.time_in_service = self.in_service / self.throughput

    def wait_tail(self, wait: float) -> float:
        """P(an arrival waits longer), exact (FCFS)."""
        from scipy.special import gammaincc

        waiting = self.found[self.slots :]
        if not waiting.size:
            return 0.0
        stages = np.arange(1.0, waiting.size + 1.0)
        return float(waiting @ gammaincc(stages, self.full_rate * wait))

    def wait_quantile(self, probability: float) -> float:
        """Exact quantile of the wait, zero waits included."""
        share = 1.0 - float(checked_probability(probability))
        return quantile_of_tail(self.wait_tail, share, 1.0 / self.full_rate)
