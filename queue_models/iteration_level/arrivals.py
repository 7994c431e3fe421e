"""Arrivals of a renewal process with gamma interarrival times: Poisson, burstier, or more even.

A gamma law of SCV c has shape 1/c: c = 1 is Poisson, and every R-th arrival of a Poisson stream, as
round robin gives to each of R replicas, has c = 1/R exactly.
"""

from __future__ import annotations

import cmath

import numpy as np

from queue_models.compilation import compiled

__all__ = ["compound_exponent", "excess_spectrum", "short_dispersion"]

# Nodes for the integral of (sin x/x)^2 against the spectrum, x from 0 to 30, denser near 0.
_UNIT, _UNIT_WEIGHTS = np.polynomial.legendre.leggauss(60)
_NODES = 7.5 * (_UNIT + 1.0) ** 2
_WEIGHTS = 15.0 * (_UNIT + 1.0) * _UNIT_WEIGHTS

# |1 - f| below which the quotient would lose its digits.
_LOW = 1e-6

# Less dispersion than this has no compound of whole batches; half of the arrivals then come singly.
_LEAST_EXCESS = -0.45


@compiled
def excess_spectrum(frequency: float, rate: float, scv: float) -> float:
    """Return S(w)/rate - 1 of a stationary renewal process with gamma interarrivals.

    S/rate = (1 - |f|^2)/|1 - f|^2, f being the characteristic function of an interarrival time
    (Bartlett 1963; Cox and Lewis 1966, section 4.6).
    """
    f = np.exp(-np.log(complex(1.0, frequency * scv / rate)) / scv)
    gap = abs(1.0 - f)
    # The limit of low frequencies is the dispersion over long times.
    return scv - 1.0 if gap < _LOW else (1.0 - abs(f) ** 2) / gap**2 - 1.0


@compiled
def short_dispersion(
    window: float, rate: float, scv: float, feedback: float
) -> tuple[float, float]:
    """Return how arrivals in iterations are dispersed, and how they go with the iteration's length.

    N counts arrivals in a window, the length of an iteration. What arrives in one lengthens the
    next, in which `feedback` arrivals of each come: with phi the frequency per iteration and
    e = exp(-i phi), the excess spectrum of arrivals, S(phi/window)/rate - 1 times
    (sin(phi/2)/(phi/2))^2, is passed on by e feedback/(1 - e feedback).

    Returns
    -------
    tuple
        Var N/E N - 1 of independent counts that leave the backlog its variance, at least -0.45:
        (1 - feedback^2)/pi times the integral over phi > 0 of the excess/|1 - e feedback|^2; and
        1/pi times that of the excess and the real part of e/(1 - e feedback), the covariance of
        N with the backlog at the start of its iteration, over E N.
    """
    if scv == 1.0:
        return 0.0, 0.0
    backlog, together = 0.0, 0.0
    for node, weight in zip(_NODES, _WEIGHTS):  # noqa: B905 - compiled code has no strict zip
        shape = np.sin(node) / node
        turn = np.cos(2.0 * node)
        echo = 1.0 - 2.0 * feedback * turn + feedback * feedback
        excess = weight * excess_spectrum(2.0 * node / window, rate, scv) * shape * shape / echo
        backlog += excess
        together += excess * (turn - feedback)
    scale = 2.0 / np.pi
    return max(scale * (1.0 - feedback**2) * backlog, _LEAST_EXCESS), scale * together


@compiled
def compound_exponent(transform: complex, rate: float, excess: float) -> complex:
    """Return the exponent psi per ms: tokens arriving in a time t have transform exp(-t psi).

    Requests come in batches of logarithmic size such that their number in a window is negative
    binomial with variance/mean = 1 + excess (Johnson, Kemp, Kotz 2005, section 5.9);
    `transform` is that of the prompt length.
    """
    if abs(excess) < 1e-9:
        return rate * (1.0 - transform)
    return rate / excess * cmath.log(1.0 + excess * (1.0 - transform))
