"""Numerical inversion of Laplace transforms of waits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from queue_models.arrays import ComplexArray, FloatArray

__all__ = ["inverted_tail"]

# Discretisation error e^-A; terms summed plainly, then Euler's average of so many more.
_A, _TERMS, _AVERAGED = 18.4, 30, 12


def inverted_tail(
    transform: Callable[[ComplexArray], ComplexArray], time: FloatArray
) -> FloatArray:
    """P(X > t) of a non-negative X from E[e^(-sX)], by the Fourier-series method with Euler sums.

    Parameters
    ----------
    transform
        Of complex arrays with positive real part.
    time
        t >= 0, any shape; at 0 the tail is 1.

    Returns
    -------
    FloatArray
        To about 1e-8 where the tail is smooth.

    References
    ----------
    .. [1] Abate, J., Whitt, W. (1995). Numerical inversion of Laplace transforms of probability
       distributions. ORSA Journal on Computing 7.
    """
    from scipy.special import binom

    t = np.where(time > 0, time, 1.0)[..., None]
    step = np.arange(_TERMS + _AVERAGED + 1)
    s: ComplexArray = (_A + 2j * np.pi * step) / (2.0 * t)
    values = ((1.0 - transform(s)) / s).real * (-1.0) ** step
    values[..., 0] *= 0.5
    sums = np.cumsum(values, axis=-1)[..., _TERMS:]
    weights = binom(_AVERAGED, np.arange(_AVERAGED + 1)) / 2.0**_AVERAGED
    tail = np.exp(_A / 2.0) / t[..., 0] * (sums @ weights)
    return np.where(time > 0, np.clip(tail, 0.0, 1.0), 1.0)
