"""Classes that share servers with non-preemptive priority, first come first served within each."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from queue_models.arrays import ComplexArray, FloatArray
from queue_models.erlang import checked_probability, checked_rates, erlang_c
from queue_models.errors import ServiceProcessError
from queue_models.laplace import inverted_tail
from queue_models.tail_quantile import quantile_of_tail

__all__ = [
    "mg1_priority_waits",
    "mmc_priority_wait_quantile",
    "mmc_priority_wait_tail",
    "mmc_priority_waits",
    "shared_priority_waits",
]


def mmc_priority_waits(
    arrival_rates: ArrayLike, service_rate: ArrayLike, servers: ArrayLike
) -> FloatArray:
    """Mean wait of every class in M/M/c with one service rate for all, exact.

    Parameters
    ----------
    arrival_rates
        λ(j) >= 0 of the classes, highest priority first, shape (..., J).
    service_rate, servers
        μ > 0 of one server and c >= 1; they broadcast with (...).

    Returns
    -------
    FloatArray
        Shape (..., J); `inf` for classes that the load down to them saturates.

    Raises
    ------
    ServiceProcessError
        If an argument is out of range.

    Notes
    -----
    W(j) = C/(cμ) / ((1 - σ(j-1))(1 - σ(j))), σ(j) the load of the classes down to j, C the
    probability that all servers are busy, 1 where the load reaches 1.

    References
    ----------
    .. [1] Kella, O., Yechiali, U. (1985). Waiting times in the non-preemptive priority M/M/c queue.
       Communications in Statistics: Stochastic Models 1.
    """
    rates, speed, count = _classes(arrival_rates, service_rate, servers)
    full = count * speed
    busy = _all_busy(rates.sum(axis=-1), speed, count)
    return _spread(busy / full, rates / full[..., None])


def mg1_priority_waits(
    arrival_rates: ArrayLike, service_times: ArrayLike, service_scvs: ArrayLike
) -> FloatArray:
    """Mean wait of every class in M/G/1, exact.

    Parameters
    ----------
    arrival_rates, service_times, service_scvs
        λ(j) >= 0, E[S(j)] > 0 and cs²(j) >= 0, highest priority first; they broadcast to
        (..., J).

    Returns
    -------
    FloatArray
        Shape (..., J); `inf` for classes that the load down to them saturates. Above those, the
        server is never idle, and what it serves when they arrive is of the first class that is
        saturated as often as the classes above leave it free.

    Raises
    ------
    ServiceProcessError
        If an argument is out of range.

    References
    ----------
    .. [1] Cobham, A. (1954). Priority assignment in waiting line problems. Operations Research 2.
    """
    rates, times, _ = checked_rates(arrival_rates, service_times, 1.0, "service_times")
    scvs = np.asarray(service_scvs, dtype=np.float64)
    if not np.all((scvs >= 0) & np.isfinite(scvs)):
        raise ServiceProcessError(f"service_scvs = {service_scvs!r}: must be at least 0 and finite")
    rates, times, scvs = np.broadcast_arrays(rates, times, scvs)
    if not rates.ndim:
        raise ServiceProcessError("arrival_rates: must have an axis of classes")
    loads = rates * times
    above = np.cumsum(loads, axis=-1) - loads
    # Of the server's time each class gets its load, or what is left.
    shares = np.clip(1.0 - above, 0.0, loads)
    residual = np.sum(shares * times * (1.0 + scvs) / 2.0, axis=-1)
    return _spread(residual, loads)


def shared_priority_waits(mean_wait: ArrayLike, loads: ArrayLike) -> FloatArray:
    """Mean waits of the classes of a server whose wait without priorities is known: approximate.

    Parameters
    ----------
    mean_wait
        Mean FCFS wait of all classes together, >= 0, shape (...).
    loads
        Share of the capacity that each class takes, λ(j)/capacity >= 0, highest priority first,
        their sum below 1; shape (..., J).

    Raises
    ------
    ServiceProcessError
        If an argument is out of range.

    Notes
    -----
    W(j) = W (1 - σ(J))/((1 - σ(j-1))(1 - σ(j))): as in M/M/c and M/G/1 with equal service times,
    where it is exact; the mean over all requests stays W. For servers in batches and for continuous
    batching, whose waits have the same cause: whoever is to be served when a place is free.
    """
    wait, load = np.asarray(mean_wait, dtype=np.float64), np.asarray(loads, dtype=np.float64)
    if not np.all((wait >= 0) & np.isfinite(wait)):
        raise ServiceProcessError(f"mean_wait = {mean_wait!r}: must be at least 0 and finite")
    if not load.ndim or not np.all(load >= 0) or not np.all(load.sum(axis=-1) < 1):
        raise ServiceProcessError(f"loads = {loads!r}: must be at least 0, their sum below 1")
    return _spread(wait * (1.0 - load.sum(axis=-1)), load)


def mmc_priority_wait_tail(
    wait: ArrayLike, arrival_rates: ArrayLike, service_rate: float, servers: int, place: int
) -> FloatArray:
    """P(the wait of a class exceeds `wait`) in M/M/c with one service rate for all.

    Parameters
    ----------
    wait
        >= 0, any shape.
    arrival_rates
        λ(j) of one queue, highest priority first, shape (J,).
    service_rate, servers
        μ > 0 and c >= 1.
    place
        Which class, 0 the highest.

    Raises
    ------
    ServiceProcessError
        If an argument is out of range, or the class saturated.

    Notes
    -----
    Who waits in class j has an exponential time of rate cμ(1 - σ(j)) ahead of it, which arrivals of
    higher classes prolong by busy periods of theirs: E[e^(-sW) | W > 0] = Y(s + λ - λ B(s)), λ
    their rate, B the transform of the busy period of M/M/1. Exponential for the highest class; for
    others the transform is inverted numerically, to about 1e-8 of P(W > 0).
    """
    rates, speed, count = _classes(arrival_rates, service_rate, servers)
    if rates.ndim != 1 or not 0 <= place < rates.size:
        raise ServiceProcessError(f"place = {place!r}: must be the index of one of {rates.size}")
    full = float(count * speed)
    above, down_to = float(rates[:place].sum()), float(rates[: place + 1].sum())
    if down_to >= full:
        raise ServiceProcessError(f"place = {place}: the load down to this class must be below 1")
    busy = float(_all_busy(rates.sum(), speed, count))
    waits = np.asarray(wait, dtype=np.float64)
    if above == 0:
        result: FloatArray = busy * np.exp(-(full - down_to) * waits)
        return result

    def transform(s: ComplexArray) -> ComplexArray:
        half = s + above + full
        # λ B(s), of the two roots the one inside the unit disc.
        period = 2.0 * above * full / (half + np.sqrt(half * half - 4.0 * above * full))
        moved: ComplexArray = s + above - period
        return (full - down_to) / (full - down_to + moved)

    return busy * inverted_tail(transform, waits)


def mmc_priority_wait_quantile(
    arrival_rates: ArrayLike, service_rate: float, servers: int, place: int, probability: float
) -> float:
    """Quantile of the wait of a class in M/M/c, zero waits included.

    Parameters
    ----------
    arrival_rates, service_rate, servers, place
        As in `mmc_priority_wait_tail`.
    probability
        q, 0 <= q < 1; to be trusted up to 1 - 1e-6.

    Raises
    ------
    ServiceProcessError
        If an argument is out of range, or the class saturated.
    """
    share = 1.0 - float(checked_probability(probability))

    def tail(t: float) -> float:
        return float(mmc_priority_wait_tail(t, arrival_rates, service_rate, servers, place))

    return quantile_of_tail(tail, share, 1.0 / float(service_rate))


def _classes(
    arrival_rates: ArrayLike, service_rate: ArrayLike, servers: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return rates (..., J), service rate (...) and servers (...)."""
    rates, speed, count = checked_rates(arrival_rates, service_rate, servers)
    if not rates.ndim:
        raise ServiceProcessError("arrival_rates: must have an axis of classes")
    shape = np.broadcast_shapes(rates.shape[:-1], speed.shape, count.shape)
    rates = np.broadcast_to(rates, (*shape, rates.shape[-1]))
    return rates, np.broadcast_to(speed, shape), np.broadcast_to(count, shape)


def _all_busy(total: FloatArray, speed: FloatArray, count: FloatArray) -> FloatArray:
    """P(all servers are busy), 1 where the load reaches 1."""
    load = np.asarray(total / speed)
    stable = load < count
    waits = erlang_c(count, np.where(stable, load, 0.0))
    return np.where(stable, waits, 1.0)


def _spread(residual: FloatArray, loads: FloatArray) -> FloatArray:
    """Return residual/((1 - σ(j-1))(1 - σ(j))), `inf` where σ(j) reaches 1."""
    down_to = np.cumsum(loads, axis=-1)
    served = down_to < 1.0
    rest = np.where(served, 1.0 - down_to, 1.0)
    above = np.where(served, 1.0 - (down_to - loads), 1.0)
    return np.where(served, residual[..., None] / (rest * above), np.inf)
