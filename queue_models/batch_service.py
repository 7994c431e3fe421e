"""Queues served in batches, exactly: M/G^[1,b]/1 with batch times that depend on the batch."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from queue_models.arrays import FloatArray
from queue_models.batch_chain import (
    arrival_counts,
    endless_chain,
    limited_chain,
    log_tail_pole,
    tail_terms,
)
from queue_models.batch_wait import BatchWait
from queue_models.erlang import checked_probability, checked_rates
from queue_models.errors import ServiceProcessError, UnstableError

__all__ = ["BatchServiceQueue", "inoue_bound", "take_all_queue"]

# First guess at the states needed beyond a full batch, in square roots of it and at least.
_SPREAD, _LEAST_STATES = 8.0, 24
# A state of less probability than this does not count.
_NOTHING = 1e-15
# The tail is geometric once its ratio has settled to this.
_SETTLED = 1e-9
_MOST_STATES = 6000
# A waiting room is solved state by state up to this size.
_MOST_PLACES = 1500


class BatchServiceQueue:
    """Steady state of one server that takes up to b waiting requests at a time.

    Arrivals are Poisson. When the server is free and requests wait it takes all of them, b at
    most, and serves them together, to completion; a batch of j lasts a gamma time of mean
    `batch_time[j - 1]`. It never waits for a batch to fill.

    Parameters
    ----------
    arrival_rate
        λ > 0.
    batch_time
        Mean time of a batch of 1, ..., b requests, > 0, in the inverse unit of λ; shape (b,).
    batch_time_scv
        Squared coefficient of variation of a batch time, >= 0: 0 constant, 1 exponential; a number
        or one per batch size.
    places
        Largest number waiting, at least b, or `inf`.

    Attributes
    ----------
    throughput, blocking_probability
        Accepted rate; share of arrivals refused.
    queue_length, in_service
        Mean numbers waiting and in service.
    wait, time_in_service
        Means over accepted requests.
    utilization
        Share of time in which the server works.

    Raises
    ------
    UnstableError
        If `places` is infinite and λ batch_time[b - 1] >= b.
    ServiceProcessError
        If an argument is out of range, or if it takes more than 6000 states.

    Notes
    -----
    The number q left at completions is a Markov chain: q' = (q - j)^+ + A(j),
    j = min(max(q, 1), b), where A(j), the number of arrivals in a batch time, is Poisson or
    negative binomial. Far above b its law is geometric, with ratio 1/z, z > 1 the root of
    z^b = E[z^A(b)]: the linear system ends where that has set in. Means follow per cycle; while a
    batch lasts the number waiting exceeds i for the share of time in which A does,
    E[(A - i)^+]/λ. A limited waiting room is solved state by state without subtractions. Cost: a
    dense solve of about b + 8 sqrt(b) states.

    References
    ----------
    .. [1] Bailey, N. T. J. (1954). On queueing processes with bulk service. Journal of the Royal
       Statistical Society B 16.
    .. [2] Grassmann, W. K., Taksar, M. I., Heyman, D. P. (1985). Regenerative analysis and steady
       state distributions for Markov chains. Operations Research 33.
    """

    def __init__(
        self,
        arrival_rate: float,
        batch_time: ArrayLike,
        *,
        batch_time_scv: ArrayLike = 0.0,
        places: float = np.inf,
    ) -> None:
        times = np.array(batch_time, dtype=np.float64)
        spread = np.array(batch_time_scv, dtype=np.float64)
        self.arrival_rate, self.places = arrival_rate, places
        _check(arrival_rate, times, spread, places)
        spread = np.broadcast_to(spread, times.shape)
        self.most = times.size
        if np.isinf(places) and arrival_rate * times[-1] >= self.most:
            raise UnstableError(
                f"arrival_rate = {arrival_rate!r}: a full batch of {self.most} takes "
                f"{times[-1]:g}, so that the rate must be below {self.most / times[-1]:g}"
            )
        if np.isinf(places):
            self._solve_endless(times, spread)
        elif places <= _MOST_PLACES:
            self._solve_limited(times, spread, int(places))
        else:
            raise ServiceProcessError(
                f"places = {places!r}: a limited waiting room may have at most {_MOST_PLACES}"
            )
        self._means()

    def _solve_endless(self, times: FloatArray, scv: FloatArray) -> None:
        """Set the chain without limit, over as many states as it takes."""
        states = _LEAST_STATES
        while True:
            reach = min(times.size, states)
            self.times, self.scv = times[:reach], scv[:reach]
            if reach < times.size:
                # The batch is never full: the chain may end where it is hardly ever.
                self.log_ratio = -np.inf
                self.probability = endless_chain(self._counts(reach, further=False), -np.inf)
                if self.probability[-1] < _NOTHING:
                    return
            else:
                mean = self.arrival_rate * float(times[-1])
                self.log_ratio = -log_tail_pole(mean, float(scv[-1]), self.most)
                states = max(states, reach + int(_SPREAD * np.sqrt(reach)) + _LEAST_STATES)
                counts = self._counts(states, further=False)
                self.probability = endless_chain(counts, self.log_ratio)
                last, previous = self.probability[-1], self.probability[-2]
                if (
                    last < _NOTHING
                    or abs(last / (previous * np.exp(self.log_ratio)) - 1.0) < _SETTLED
                ):
                    return
            if states >= _MOST_STATES:
                raise ServiceProcessError(
                    f"batch_time: a batch of {self.most} takes more than {_MOST_STATES} states"
                )
            states = min(2 * states, _MOST_STATES)

    def _solve_limited(self, times: FloatArray, scv: FloatArray, places: int) -> None:
        """Set the chain with a limited waiting room, without subtractions."""
        self.times, self.scv, self.log_ratio = times[:places], scv[:places], -np.inf
        self.probability = limited_chain(self._counts(places), places)

    def _counts(self, last: int, *, further: bool = True) -> FloatArray:
        """P(A(j) = k) for k up to the last state, a row per j, and as far as they count."""
        mean = self.arrival_rate * self.times
        more = tail_terms(mean, self.scv) if further else 0
        return arrival_counts(mean, self.scv, last + 1 + more)

    def _means(self) -> None:
        """Set the means, from cycles that end with a completion."""
        rate, most = self.arrival_rate, self.times.size
        left = np.arange(self.probability.size)
        self.batch = np.clip(left, 1, most)
        waiting = np.maximum(left - self.batch, 0)
        time = self.times[self.batch - 1]
        share = self.probability
        # Beyond the last state the ratio goes on: sums of ratio^i and i ratio^i over i >= 1.
        rest = -np.expm1(self.log_ratio)
        beyond = share[-1] * np.exp(self.log_ratio) / rest
        further = beyond / rest
        self.beyond = float(beyond)
        working = float(share @ time) + beyond * self.times[-1]
        self.cycle = working + float(share[0]) / rate
        served = float(share @ (self.batch * time)) + beyond * most * self.times[-1]
        if np.isinf(self.places):
            # While a batch lasts, the number waiting grows by λ t: λ E[T²]/2 in all.
            growth = 0.5 * rate * (1.0 + self.scv[self.batch - 1]) * time**2
            queue = float(share @ (waiting * time + growth))
            queue += (beyond * waiting[-1] + further) * self.times[-1] + beyond * growth[-1]
            refused = 0.0
        else:
            queue, refused = self._limited_means(waiting, time)
        self.utilization = working / self.cycle
        self.in_service = served / self.cycle
        self.queue_length = queue / self.cycle
        self.blocking_probability = refused / (rate * self.cycle)
        self.throughput = rate - refused / self.cycle
        self.wait = self.queue_length / self.throughput
        self.time_in_service = self.in_service / self.throughput

    def _limited_means(self, waiting: FloatArray, time: FloatArray) -> tuple[float, float]:
        """Return the integral of the number waiting and the number refused, per cycle."""
        room = int(self.places) - waiting.astype(np.int64)
        counts = self._counts(int(self.places))
        # excess[j, i] = E[(A(j) - i)^+], summed from the far end.
        more = np.cumsum(counts[:, :0:-1], axis=1)[:, ::-1]
        excess = np.cumsum(more[:, ::-1], axis=1)[:, ::-1]
        sums = np.cumsum(excess, axis=1) - excess[:, :1]
        row = self.batch - 1
        integral = waiting * time + sums[row, room] / self.arrival_rate
        return float(self.probability @ integral), float(self.probability @ excess[row, room])

    def mean_over_requests(self, of_batch: ArrayLike) -> float:
        """Mean over requests of a function of the batch they are served in, given for 1, ..., b."""
        values = np.asarray(of_batch, dtype=np.float64)
        weight = self.probability * self.batch
        total = float(weight.sum()) + self.beyond * self.times.size
        end = self.beyond * self.times.size * values[self.times.size - 1]
        return float(weight @ values[self.batch - 1] + end) / total

    def share_in_larger(self, size: int) -> float:
        """Return the share of requests that are served in batches of more than `size`."""
        return self.mean_over_requests(np.arange(1, self.most + 1) > size)

    def wait_tail(self, wait: float) -> float:
        """P(the FCFS wait of an accepted request exceeds `wait`), exact.

        Raises
        ------
        ServiceProcessError
            If batch times are not constant.
        """
        return self._waits.tail(wait)

    def wait_quantile(self, probability: float) -> float:
        """Exact quantile of the FCFS wait of accepted requests, zero waits included.

        Raises
        ------
        ServiceProcessError
            If batch times are not constant.
        """
        return self._waits.quantile(1.0 - float(checked_probability(probability)))

    @cached_property
    def _waits(self) -> BatchWait:
        if np.any(self.scv > 0):
            raise ServiceProcessError(
                f"batch_time_scv = {self.scv}: the distribution of the wait is known for constant "
                f"batch times only"
            )
        return BatchWait(
            arrival_rate=self.arrival_rate,
            times=self.times,
            probability=self.probability,
            log_ratio=self.log_ratio,
            places=self.places,
            accepted=self.throughput * self.cycle,
        )


def _check(rate: float, times: FloatArray, scv: FloatArray, places: float) -> None:
    """Refuse what is out of range."""
    if not (rate > 0 and np.isfinite(rate)):
        raise ServiceProcessError(f"arrival_rate = {rate!r}: must be greater than 0 and finite")
    if times.ndim != 1 or not times.size or not np.all((times > 0) & np.isfinite(times)):
        raise ServiceProcessError(
            "batch_time: must be a row of times greater than 0 and finite, one per batch size"
        )
    if scv.shape not in ((), times.shape) or not np.all((scv >= 0) & np.isfinite(scv)):
        raise ServiceProcessError(
            f"batch_time_scv = {scv!r}: must be a number, or one per batch size, at least 0, finite"
        )
    if not (places >= 1 and (np.isinf(places) or places == int(places))):
        raise ServiceProcessError(f"places = {places!r}: must be a whole number >= 1, or inf")


def inoue_bound(
    arrival_rate: ArrayLike, time_per_request: ArrayLike, base_time: ArrayLike
) -> FloatArray:
    """Upper bound on the mean stay (wait and service) with take-all batching.

    A batch of b requests lasts base_time + b time_per_request, constant, whatever b; arrivals are
    Poisson. The smaller of two bounds; the second is the exact value for a server that is hardly
    ever idle.

    Parameters
    ----------
    arrival_rate
        λ >= 0; the arguments broadcast.
    time_per_request
        >= 0, in the inverse unit of λ.
    base_time
        > 0.

    Raises
    ------
    UnstableError
        If λ time_per_request >= 1.
    ServiceProcessError
        If an argument is out of range.

    References
    ----------
    .. [1] Inoue, Y. (2021). Queueing analysis of GPU-based inference servers with dynamic batching:
       a closed-form characterization. Performance Evaluation 147; arXiv 1912.06322.
    """
    rate, base, _ = checked_rates(arrival_rate, base_time, 1.0, "base_time")
    slope = np.asarray(time_per_request, dtype=np.float64)
    if not np.all((slope >= 0) & np.isfinite(slope)):
        raise ServiceProcessError(f"time_per_request = {time_per_request!r}: must be at least 0")
    load = rate * slope
    if not np.all(load < 1):
        raise UnstableError(f"arrival_rate = {arrival_rate!r}: λ time_per_request must be below 1")
    idle = 1.0 + 2.0 * rate * base + (1.0 - rate * base) / (1.0 + load)
    light = (slope + base) / (2.0 * (1.0 - load)) * idle
    heavy = 1.5 * base / (1.0 - load) + 0.5 * slope * (load + 2.0) / (1.0 - load**2)
    return np.minimum(light, heavy)


def take_all_queue(
    arrival_rate: float, time_per_request: float, base_time: float
) -> BatchServiceQueue:
    """Exact queue with take-all batching: a batch of b lasts base_time + b time_per_request.

    Parameters
    ----------
    arrival_rate
        λ > 0.
    time_per_request, base_time
        >= 0 and > 0.

    Raises
    ------
    UnstableError
        If λ time_per_request >= 1.
    ServiceProcessError
        If an argument is out of range, or if the queue at a completion often exceeds 5000, where
        `inoue_bound` is exact to every digit.
    """
    float(inoue_bound(arrival_rate, time_per_request, base_time))
    batch = np.arange(1.0, _MOST_STATES + 1.0)
    return BatchServiceQueue(arrival_rate, base_time + time_per_request * batch)
