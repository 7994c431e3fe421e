"""Arrivals of a renewal process with gamma interarrival times: Poisson, burstier, or more even.

A gamma law of SCV c has shape 1/c: c = 1 is Poisson, and every R-th arrival of a Poisson stream, as
round robin gives to each of R replicas, has c = 1/R exactly.
"""

from __future__ import annotations

import cmath

import numpy as np

from queue_models.compilation import compiled

__all__ = ["compound_exponent", "excess_spectrum", "short_dispersion"]

# Nodes for the integral of (sin x/x)^2 against the spectrum, x from 0 to 30.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(60)
_NODES = 15.0 * (_NODES + 1.0)
_WEIGHTS = 15.0 * _WEIGHTS

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
def short_dispersion(window: float, rate: float, scv: float) -> float:
    """Return Var N/E N - 1 of the number of arrivals in a window, at least -0.45.

    Var N = (2/pi) rate window times the integral over x > 0 of S(2x/window)/rate (sin x/x)^2.
    """
    if scv == 1.0:
        return 0.0
    excess = 0.0
    for node, weight in zip(_NODES, _WEIGHTS):  # noqa: B905 - compiled code has no strict zip
        shape = np.sin(node) / node
        excess += weight * excess_spectrum(2.0 * node / window, rate, scv) * shape * shape
    return max(2.0 / np.pi * excess, _LEAST_EXCESS)


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
