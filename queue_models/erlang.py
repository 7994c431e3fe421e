"""Erlang's formulas and the M/M/c and M/M/c/K queues, in closed form, for research."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from queue_models.arrays import FloatArray
from queue_models.birth_death import BirthDeathChain
from queue_models.errors import ServiceProcessError, UnstableError

__all__ = [
    "MMcKQueue",
    "MMcQueue",
    "checked_probability",
    "checked_rates",
    "erlang_b",
    "erlang_c",
    "mmc_queue",
    "mmc_wait_quantile",
    "mmck_queue",
    "mmck_wait_quantile",
]


def erlang_b(servers: ArrayLike, offered_load: ArrayLike) -> FloatArray:
    """Probability that an arrival finds all servers of an M/M/c/c queue busy.

    Parameters
    ----------
    servers
        Number of servers c, whole, at least 0; broadcasts with `offered_load`.
    offered_load
        a = λ/μ [erlang], at least 0 and finite.

    Returns
    -------
    FloatArray
        In [0, 1], of the broadcast shape.

    Raises
    ------
    ServiceProcessError
        If an argument is out of range.

    Notes
    -----
    B(0) = 1, B(k) = a B(k-1)/(k + a B(k-1)): every step is stable.

    References
    ----------
    .. [1] Cooper, R. B. (1981). *Introduction to Queueing Theory*, 2nd ed., section 3.3.
    """
    count = np.asarray(servers, dtype=np.float64)
    load = np.asarray(offered_load, dtype=np.float64)
    if not np.all((count >= 0) & (count == np.floor(count)) & np.isfinite(count)):
        raise ServiceProcessError(f"servers = {servers!r}: must be whole numbers, at least 0")
    if not np.all((load >= 0) & np.isfinite(load)):
        raise ServiceProcessError(f"offered_load = {offered_load!r}: must be at least 0 and finite")
    count, load = np.broadcast_arrays(count, load)
    blocking = np.ones(count.shape)
    for k in range(1, int(count.max(initial=0)) + 1):
        busy = load * blocking
        blocking = np.where(k <= count, busy / (k + busy), blocking)
    return blocking


def erlang_c(servers: ArrayLike, offered_load: ArrayLike) -> FloatArray:
    """Probability that an arrival waits in an M/M/c queue.

    Parameters
    ----------
    servers
        Number of servers c, whole, at least 1; broadcasts with `offered_load`.
    offered_load
        a = λ/μ [erlang], 0 <= a < c.

    Returns
    -------
    FloatArray
        In [0, 1), of the broadcast shape.

    Raises
    ------
    UnstableError
        If a >= c.
    ServiceProcessError
        If an argument is out of range.

    References
    ----------
    .. [1] Kleinrock, L. (1975). *Queueing Systems, Volume 1*, section 3.5.
    """
    blocking = erlang_b(servers, offered_load)
    count = np.asarray(servers, dtype=np.float64)
    load = np.asarray(offered_load, dtype=np.float64)
    free = count - load
    if not np.all(free > 0):
        raise UnstableError(
            f"offered load {offered_load!r} on {servers!r} servers: the load must be below the "
            f"number of servers"
        )
    # B/(1 - rho (1 - B)), with 1 - rho from the difference c - a.
    waits: FloatArray = blocking * count / (free + load * blocking)
    return waits


@dataclass(frozen=True, eq=False, kw_only=True)
class MMcQueue:
    """Means of an M/M/c queue; times in the unit of 1/μ.

    Attributes
    ----------
    wait_probability
        Erlang C.
    queue_length, in_service, wait
        Lq, a and Wq.
    """

    wait_probability: FloatArray
    queue_length: FloatArray
    in_service: FloatArray
    wait: FloatArray


def mmc_queue(arrival_rate: ArrayLike, service_rate: ArrayLike, servers: ArrayLike) -> MMcQueue:
    """Means of M/M/c: Wq = C/(cμ - λ) and Little's law.

    Parameters
    ----------
    arrival_rate, service_rate
        λ >= 0 and μ > 0 of one server, same unit.
    servers
        c >= 1.

    Raises
    ------
    UnstableError
        If λ >= cμ.
    ServiceProcessError
        If an argument is out of range.

    References
    ----------
    .. [1] Kleinrock, L. (1975). *Queueing Systems, Volume 1*, section 3.5.
    """
    rate, speed, count = checked_rates(arrival_rate, service_rate, servers)
    waits = erlang_c(count, rate / speed)
    mean = waits / (count * speed - rate)
    return MMcQueue(
        wait_probability=waits, queue_length=rate * mean, in_service=rate / speed, wait=mean
    )


def mmc_wait_quantile(
    arrival_rate: ArrayLike, service_rate: ArrayLike, servers: ArrayLike, probability: ArrayLike
) -> FloatArray:
    """Quantile of the FCFS wait in M/M/c, zero waits included: max(0, ln(C/(1-q))/(cμ - λ)).

    Parameters
    ----------
    arrival_rate, service_rate, servers
        As in `mmc_queue`.
    probability
        q, 0 <= q < 1.

    Raises
    ------
    UnstableError
        If λ >= cμ.
    ServiceProcessError
        If an argument is out of range.
    """
    rate, speed, count = checked_rates(arrival_rate, service_rate, servers)
    rest = 1.0 - checked_probability(probability)
    waits = erlang_c(count, rate / speed)
    quantile: FloatArray = np.log(np.maximum(waits / rest, 1.0)) / (count * speed - rate)
    return quantile


@dataclass(frozen=True, eq=False, kw_only=True)
class MMcKQueue:
    """Means of an M/M/c/K queue over accepted arrivals; times in the unit of 1/μ.

    Attributes
    ----------
    blocking_probability
        p(K).
    throughput
        λ(1 - p(K)).
    wait_probability
        P(an accepted arrival waits).
    queue_length, in_service, wait
        Lq, mean number of busy servers and Wq.
    """

    blocking_probability: FloatArray
    throughput: FloatArray
    wait_probability: FloatArray
    queue_length: FloatArray
    in_service: FloatArray
    wait: FloatArray


def mmck_queue(
    arrival_rate: ArrayLike, service_rate: ArrayLike, servers: ArrayLike, capacity: ArrayLike
) -> MMcKQueue:
    """Means of M/M/c/K, K = `capacity` in all; any load.

    Parameters
    ----------
    arrival_rate, service_rate, servers
        λ >= 0, μ > 0 and c >= 1; they broadcast.
    capacity
        K >= c.

    Raises
    ------
    ServiceProcessError
        If an argument is out of range.

    Notes
    -----
    The birth-death chain with μ(n) = nμ up to c, whose states above c are summed in closed form:
    p(n) is proportional to a^n/n! below c and to r^(n-c), r = λ/(cμ), above.

    References
    ----------
    .. [1] Gross, D. et al. (2008). *Fundamentals of Queueing Theory*, 4th ed., section 2.5.
    """
    chain, rate, shape = _mmck_chain(arrival_rate, service_rate, servers, capacity)
    steady = chain.steady_state(rate)
    return MMcKQueue(
        blocking_probability=steady.blocking_probability.reshape(shape),
        throughput=steady.throughput.reshape(shape),
        wait_probability=steady.wait_probability.reshape(shape),
        queue_length=steady.queue_length.reshape(shape),
        in_service=steady.in_service.reshape(shape),
        wait=steady.mean_wait.reshape(shape),
    )


def mmck_wait_quantile(
    arrival_rate: ArrayLike,
    service_rate: ArrayLike,
    servers: ArrayLike,
    capacity: ArrayLike,
    probability: float,
) -> FloatArray:
    """Exact quantile of the FCFS wait of accepted arrivals in M/M/c/K, zero waits included.

    Parameters
    ----------
    arrival_rate, service_rate, servers, capacity
        As in `mmck_queue`.
    probability
        q, 0 <= q < 1.

    Raises
    ------
    ServiceProcessError
        If an argument is out of range.

    Notes
    -----
    Who finds n >= c present waits for n - c + 1 completions of the full system, an Erlang time;
    `queue_models.erlang_mixture` sums the mixture in closed form.
    """
    chain, rate, shape = _mmck_chain(arrival_rate, service_rate, servers, capacity)
    share = float(checked_probability(probability))
    return chain.steady_state(rate).wait_quantile(share).reshape(shape)


def _mmck_chain(
    arrival_rate: ArrayLike, service_rate: ArrayLike, servers: ArrayLike, capacity: ArrayLike
) -> tuple[BirthDeathChain, FloatArray, tuple[int, ...]]:
    """Return the chains of the broadcast queues, their rates, flat, and the broadcast shape."""
    rate, speed, count = checked_rates(arrival_rate, service_rate, servers)
    total = np.asarray(capacity, dtype=np.float64)
    if not np.all(total >= count):
        raise ServiceProcessError(f"capacity = {capacity!r}: must be at least the servers")
    rate, speed, count, total = np.broadcast_arrays(rate, speed, count, total)
    busy = np.arange(1.0, float(count.max(initial=1.0)) + 1.0)
    rates = speed.ravel()[:, None] * busy
    slots = count.ravel().astype(np.int64)
    chain = BirthDeathChain.from_rates(rates, (total - count).ravel(), slots)
    return chain, rate.ravel(), rate.shape


def checked_rates(
    arrival_rate: ArrayLike, second: ArrayLike, servers: ArrayLike, name: str = "service_rate"
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return arrival rate, a positive second argument of this name, and servers, as arrays.

    Raises
    ------
    ServiceProcessError
        If one is out of range.
    """
    rate = np.asarray(arrival_rate, dtype=np.float64)
    speed = np.asarray(second, dtype=np.float64)
    count = np.asarray(servers, dtype=np.float64)
    if not np.all((rate >= 0) & np.isfinite(rate)):
        raise ServiceProcessError(f"arrival_rate = {arrival_rate!r}: must be at least 0 and finite")
    if not np.all((speed > 0) & np.isfinite(speed)):
        raise ServiceProcessError(f"{name} = {second!r}: must be greater than 0 and finite")
    if not np.all((count >= 1) & (count == np.floor(count)) & np.isfinite(count)):
        raise ServiceProcessError(f"servers = {servers!r}: must be whole numbers, at least 1")
    return rate, speed, count


def checked_probability(probability: ArrayLike) -> FloatArray:
    """Return probabilities in [0, 1) as an array, or refuse them."""
    share = np.asarray(probability, dtype=np.float64)
    if not np.all((share >= 0) & (share < 1)):
        raise ServiceProcessError(f"probability = {probability!r}: must lie in [0, 1)")
    return share
