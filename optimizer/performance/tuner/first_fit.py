"""Parameters from the first few observations together, whatever some of them say."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Linearised", "first_fit"]

FloatArray = NDArray[np.float64]
Linearised = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""State (n,) -> relative residuals (m,) and what the state does to the predictions (m, n)."""

_ITERATIONS = 12
# Cauchy's tuning constant: 95 % efficiency on normal noise.
_CAUCHY = 2.385
# Damping of a step, and how it changes when a step helps or does not.
_DAMPING, _LESS, _MORE = 1e-3, 0.2, 10.0
_LONGEST_STEP = 1.0


def first_fit(
    linearised: Linearised, mean: FloatArray, sd: FloatArray, start: FloatArray, noise: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the most likely state and its covariance under a normal prior and Cauchy noise.

    Damped Gauss-Newton steps, each residual weighted by 1/(1 + (r/(2.385 σ))²), so that a gross
    error among few observations does not draw the rest along.

    Parameters
    ----------
    linearised
        The observations.
    mean, sd
        (n,): prior of the state.
    start
        (n,): where to begin.
    noise
        (m,): standard deviation of each residual.

    References
    ----------
    .. [1] Holland, P. W., Welsch, R. E. (1977). Robust regression using iteratively reweighted
       least-squares. *Communications in Statistics* 6(9).
    """
    information = np.diag(sd**-2.0)
    state, damping = np.array(start, dtype=np.float64), _DAMPING
    residuals, jacobian = linearised(state)
    cost = _cost(residuals / noise, (state - mean) / sd)
    for _ in range(_ITERATIONS):
        weight = 1 / (1 + (residuals / (_CAUCHY * noise)) ** 2) / noise**2
        normal = jacobian.T @ (weight[:, None] * jacobian) + information
        slope = jacobian.T @ (weight * residuals) - (state - mean) / sd**2
        step = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), slope)
        step = np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
        tried = linearised(state + step)
        reached = _cost(tried[0] / noise, (state + step - mean) / sd)
        if not reached < cost:
            damping *= _MORE
            continue
        small = cost - reached < 1e-6 * (1 + cost)
        state, cost, damping = state + step, reached, damping * _LESS
        residuals, jacobian = tried
        if small:
            break
    weight = 1 / (1 + (residuals / (_CAUCHY * noise)) ** 2) / noise**2
    covariance = np.linalg.inv(jacobian.T @ (weight[:, None] * jacobian) + information)
    return state, (covariance + covariance.T) / 2


def _cost(residuals: FloatArray, prior: FloatArray) -> float:
    """Return minus the logarithm of the likelihood, up to a constant."""
    robust = _CAUCHY**2 * np.sum(np.log1p((residuals / _CAUCHY) ** 2))
    return float(robust + np.sum(prior**2)) / 2
