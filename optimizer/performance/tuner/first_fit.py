"""Parameters from a few observations together, whatever some of them say."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Linearised", "first_fit"]

FloatArray = NDArray[np.float64]
Linearised = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""State (n,) -> relative residuals (k, m) of k observations of m times each, and what the state
does to the predictions, (k, m, n)."""

_ITERATIONS = 12
# Cauchy's tuning constant: 95 % efficiency on normal noise.
_CAUCHY = 2.385
# Damping of a step, and how it changes when a step helps or does not.
_DAMPING, _LESS, _MORE = 1e-3, 0.2, 10.0
_LONGEST_STEP = 1.0


def first_fit(
    linearised: Linearised,
    mean: FloatArray,
    covariance: FloatArray,
    starts: Sequence[FloatArray],
    noise: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return the most likely state and its covariance under a normal prior and Cauchy noise.

    Damped Gauss-Newton steps, each observation weighted by 1/(1 + (r/2.385)²) for a distance r in
    standard deviations, so that a gross error among few does not draw the rest along. Such a fit
    has several optima: the best that is reached from the starts counts.

    Parameters
    ----------
    linearised
        The observations.
    mean, covariance
        (n,) and (n, n): prior of the state.
    starts
        (n,) each: where to begin.
    noise
        (k, m): standard deviation of each residual.

    References
    ----------
    .. [1] Holland, P. W., Welsch, R. E. (1977). Robust regression using iteratively reweighted
       least-squares. *Communications in Statistics* 6(9).
    """
    information = np.asarray(np.linalg.inv(covariance), dtype=np.float64)
    fits = [_descended(linearised, mean, information, start, noise) for start in starts]
    _, state, normal = min(fits, key=lambda fit: fit[0])
    posterior = np.linalg.inv(normal)
    return state, (posterior + posterior.T) / 2


def _descended(
    linearised: Linearised,
    mean: FloatArray,
    information: FloatArray,
    start: FloatArray,
    noise: FloatArray,
) -> tuple[float, FloatArray, FloatArray]:
    """Return the optimum below a start: its cost, the state and the normal matrix there."""
    state, damping = np.array(start, dtype=np.float64), _DAMPING

    def scaled(state: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, float]:
        """Residuals and derivatives in standard deviations, weights, and the cost."""
        residuals, jacobian = linearised(state)
        off = residuals / noise
        distance = np.sum(off**2, axis=1) / _CAUCHY**2
        away = state - mean
        cost = float(_CAUCHY**2 * np.sum(np.log1p(distance)) + away @ information @ away) / 2
        weight = np.repeat(1 / (1 + distance), off.shape[1])
        return off.ravel(), (jacobian / noise[..., None]).reshape(off.size, -1), weight, cost

    off, slopes, weight, cost = scaled(state)
    for _ in range(_ITERATIONS):
        normal = slopes.T @ (weight[:, None] * slopes) + information
        uphill = slopes.T @ (weight * off) - information @ (state - mean)
        step = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), uphill)
        tried = state + np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
        found = scaled(tried)
        if not found[3] < cost:
            damping *= _MORE
            continue
        small = cost - found[3] < 1e-5 * (1 + cost)
        state, (off, slopes, weight, cost) = tried, found
        damping *= _LESS
        if small:
            break
    return cost, state, slopes.T @ (weight[:, None] * slopes) + information
