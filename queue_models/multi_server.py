"""Waits in M/G/1, M/G/c and G/G/c from two moments: exact where known, else by name."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from queue_models.arrays import FloatArray
from queue_models.erlang import checked_probability, checked_rates, erlang_c
from queue_models.errors import ServiceProcessError, UnstableError
from queue_models.mdc import mdc_wait, mdc_wait_quantile

__all__ = [
    "WaitApproximation",
    "cosmetatos_factor",
    "ggc_wait",
    "ggc_wait_quantile",
    "pollaczek_khinchine_wait",
]


class WaitApproximation(StrEnum):
    """How the mean wait of a queue of c servers follows from two moments."""

    # (ca² + cs²)/2 times M/M/c.
    ALLEN_CUNNEEN = "allen-cunneen"
    # cs² M/M/c + (1 - cs²) M/D/c, M/D/c exact or by Cosmetatos.
    LINEAR = "linear"
    COSMETATOS = "cosmetatos"
    # (1 + cs²)/(2 cs²/(M/M/c) + (1 - cs²)/(M/D/c)), M/D/c exact or by Cosmetatos.
    KIMURA = "kimura"
    KIMURA_COSMETATOS = "kimura-cosmetatos"


def pollaczek_khinchine_wait(
    arrival_rate: ArrayLike, service_time: ArrayLike, service_scv: ArrayLike
) -> FloatArray:
    """Mean wait in M/G/1, exact: Wq = ρ E[S] (1 + cs²)/(2 (1 - ρ)).

    Parameters
    ----------
    arrival_rate
        λ >= 0; all arguments broadcast.
    service_time
        E[S] > 0, in the inverse unit of λ.
    service_scv
        Squared coefficient of variation cs² of the service time, >= 0.

    Raises
    ------
    UnstableError
        If λ E[S] >= 1.
    ServiceProcessError
        If an argument is out of range.

    References
    ----------
    .. [1] Kleinrock, L. (1975). *Queueing Systems, Volume 1*, section 5.6.
    """
    rate, time, _ = checked_rates(arrival_rate, service_time, 1.0, "service_time")
    variability = _checked_scv("service_scv", service_scv)
    load = rate * time
    if not np.all(load < 1):
        raise UnstableError(f"arrival_rate = {arrival_rate!r}: λ E[S] must be below 1")
    wait: FloatArray = load * time * (1.0 + variability) / (2.0 * (1.0 - load))
    return wait


def cosmetatos_factor(load: ArrayLike, servers: ArrayLike) -> FloatArray:
    """Mean wait in M/D/c over that in M/M/c, by Cosmetatos, at most 1; exact for c = 1.

    Parameters
    ----------
    load
        ρ in (0, 1).
    servers
        c >= 1; broadcasts.

    Notes
    -----
    (1 + (1 - ρ)(c - 1)(sqrt(4 + 5c) - 2)/(16 ρ c))/2. It overshoots 1 where ρ is small and c large,
    and is cut there. Where half of all arrivals wait its error is below 2 %.

    References
    ----------
    .. [1] Cosmetatos, G. P. (1975). Approximate explicit formulae for the average queueing time in
       the processes (M/D/r) and (D/M/r). INFOR 13.
    """
    rho, count = np.asarray(load, dtype=np.float64), np.asarray(servers, dtype=np.float64)
    growth = (count - 1.0) * (np.sqrt(4.0 + 5.0 * count) - 2.0) / (16.0 * count)
    return np.minimum(0.5 * (1.0 + growth * (1.0 - rho) / np.maximum(rho, 1e-12)), 1.0)


def ggc_wait(
    arrival_rate: ArrayLike,
    service_time: ArrayLike,
    servers: ArrayLike,
    service_scv: ArrayLike = 1.0,
    arrival_scv: ArrayLike = 1.0,
    approximation: WaitApproximation | str = WaitApproximation.KIMURA,
) -> FloatArray:
    """Mean wait in G/G/c from two moments.

    Exact for M/M/c and M/G/1 (every approximation) and for M/D/c (`linear`, `kimura`). Arrivals
    that are not Poisson scale the wait by (ca² + cs²)/(1 + cs²), as in heavy traffic.

    Parameters
    ----------
    arrival_rate
        λ >= 0; all arguments broadcast.
    service_time
        E[S] > 0, in the inverse unit of λ.
    servers
        c, whole, at least 1.
    service_scv, arrival_scv
        cs² and ca², >= 0.
    approximation
        One of `WaitApproximation`, or its value.

    Returns
    -------
    FloatArray
        Wq in the unit of E[S], never below 0.

    Raises
    ------
    UnstableError
        If λ E[S] >= c.
    ServiceProcessError
        If an argument is out of range, or the approximation unknown.

    Notes
    -----
    No formula of two moments is right for every distribution [4]_: against simulated M/G/c queues
    of 4, 16 and 32 servers at loads 0.8 to 0.9, the error is at most 1.3 % (all but Allen-Cunneen,
    8 %) for constant times, and for lognormal ones of cs² = 2.25 at most 20 % (`kimura`), 26 %
    (`linear`) and 29 % (`allen-cunneen`), where the simulation itself is known to 9 to 17 %.

    References
    ----------
    .. [1] Allen, A. O. (1990). *Probability, Statistics, and Queueing Theory*, 2nd ed., section 5.
    .. [2] Page, E. (1972). *Queueing Theory in OR*; the linear interpolation.
    .. [3] Kimura, T. (1994). Approximations for multi-server queues: system interpolations.
       Queueing Systems 17, 347-382.
    .. [4] Gupta, V. et al. (2010). On the inapproximability of M/G/K. Queueing Systems 64.
    """
    rate, time, count = checked_rates(arrival_rate, service_time, servers, "service_time")
    cs2, ca2 = _checked_scv("service_scv", service_scv), _checked_scv("arrival_scv", arrival_scv)
    try:
        chosen = WaitApproximation(approximation)
    except ValueError as error:
        raise ServiceProcessError(
            f"approximation = {approximation!r}: must be one of "
            f"{', '.join(repr(str(one)) for one in WaitApproximation)}"
        ) from error
    rate, time, count, cs2, ca2 = np.broadcast_arrays(rate, time, count, cs2, ca2)
    exponential = erlang_c(count, rate * time) * time / (count - rate * time)
    if chosen is WaitApproximation.ALLEN_CUNNEEN:
        return 0.5 * (ca2 + cs2) * exponential
    if chosen in (WaitApproximation.LINEAR, WaitApproximation.KIMURA):
        deterministic = mdc_wait(rate, time, count)
    else:
        deterministic = exponential * cosmetatos_factor(rate * time / count, count)
    interpolate = _harmonic if chosen in _HARMONIC else _linear
    burstiness = (ca2 + cs2) / (1.0 + cs2)
    return np.maximum(interpolate(exponential, deterministic, cs2) * burstiness, 0.0)


_HARMONIC = frozenset({WaitApproximation.KIMURA, WaitApproximation.KIMURA_COSMETATOS})

_Interpolation = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]


def _linear(exponential: FloatArray, deterministic: FloatArray, cs2: FloatArray) -> FloatArray:
    return cs2 * exponential + (1.0 - cs2) * deterministic


def _harmonic(exponential: FloatArray, deterministic: FloatArray, cs2: FloatArray) -> FloatArray:
    ratio = exponential / np.where(deterministic > 0, deterministic, 1.0)
    # Where nobody waits the ratio is of no account.
    ratio = np.where(deterministic > 0, ratio, 1.0)
    return exponential * (1.0 + cs2) / (2.0 * cs2 + (1.0 - cs2) * ratio)


def ggc_wait_quantile(
    arrival_rate: ArrayLike,
    service_time: ArrayLike,
    servers: ArrayLike,
    probability: ArrayLike,
    service_scv: ArrayLike = 1.0,
    arrival_scv: ArrayLike = 1.0,
    approximation: WaitApproximation | str = WaitApproximation.KIMURA,
) -> FloatArray:
    """Quantile of the FCFS wait in G/G/c, zero waits included: exponential once it waits.

    P(W > 0) is that of M/M/c, which hardly depends on the distribution, and the mean that of
    `ggc_wait`. Exact for M/M/c, and for M/D/c, where it is `mdc_wait_quantile`.

    Parameters
    ----------
    arrival_rate, service_time, servers, service_scv, arrival_scv, approximation
        As in `ggc_wait`.
    probability
        q, 0 <= q < 1; broadcasts.

    Raises
    ------
    UnstableError
        If λ E[S] >= c.
    ServiceProcessError
        If an argument is out of range.

    References
    ----------
    .. [1] Whitt, W. (1993). Approximations for the GI/G/m queue. Production and Operations
       Management 2, section 4.
    """
    rest = 1.0 - checked_probability(probability)
    mean = ggc_wait(arrival_rate, service_time, servers, service_scv, arrival_scv, approximation)
    rate, time, count = checked_rates(arrival_rate, service_time, servers, "service_time")
    waits = erlang_c(count, rate * time)
    given = mean / np.where(waits > 0, waits, 1.0)
    quantile = np.array(given * np.log(np.maximum(waits / rest, 1.0)))
    constant = (np.asarray(service_scv) == 0) & (np.asarray(arrival_scv) == 1)
    which = np.broadcast_to(constant, quantile.shape)
    if which.any():
        exact = (np.broadcast_to(v, quantile.shape)[which] for v in (rate, time, count, 1.0 - rest))
        quantile[which] = mdc_wait_quantile(*exact)
    return quantile


def _checked_scv(name: str, value: ArrayLike) -> FloatArray:
    scv = np.asarray(value, dtype=np.float64)
    if not np.all((scv >= 0) & np.isfinite(scv)):
        raise ServiceProcessError(f"{name} = {value!r}: must be at least 0 and finite")
    return scv
