"""Linear regression with coefficients that cannot be negative, and its confidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optimizer.performance.numbers import FloatArray

__all__ = ["NonnegativeFit", "nonnegative_fit"]


@dataclass(frozen=True)
class NonnegativeFit:
    """Coefficients of y ~ X·b with b >= 0.

    Parameters
    ----------
    coefficients, standard_errors
        Of shape (k,). A coefficient at its bound of 0 has the standard error it would have free.
        Standard errors are NaN with as many coefficients as rows, or columns that do not differ.
    residuals
        Observed less fitted, of shape (n,); relative to the fitted in a relative fit.
    r_squared
        Share of the variance of y explained.
    """

    coefficients: FloatArray
    standard_errors: FloatArray
    residuals: FloatArray
    r_squared: float


def nonnegative_fit(columns: FloatArray, observed: FloatArray, *, relative: bool) -> NonnegativeFit:
    """Nonnegative least squares of absolute or of relative errors.

    Parameters
    ----------
    columns
        X, of shape (n, k).
    observed
        y, of shape (n,), > 0 in a relative fit.
    relative
        Whether each row counts by its error relative to y: times span decades.

    References
    ----------
    .. [1] Lawson, C. L., Hanson, R. J. (1995). *Solving Least Squares Problems*, chapter 23.
    """
    from scipy.optimize import nnls

    weights = 1 / observed if relative else np.ones_like(observed)
    scale = np.maximum(np.max(np.abs(columns), axis=0), 1e-300)
    design = columns / scale * weights[:, None]
    solution, _ = nnls(design, observed * weights)
    fitted = columns @ (solution / scale)
    off = observed - fitted
    variation = float(np.sum((observed - np.mean(observed)) ** 2))
    explained = 1 - float(np.sum(off**2)) / variation if variation > 0 else 1.0
    errors = _standard_errors(design, off * weights) / scale
    residuals = off / np.maximum(fitted, 1e-300) if relative else off
    return NonnegativeFit(solution / scale, errors, residuals, explained)


def _standard_errors(design: FloatArray, residuals: FloatArray) -> FloatArray:
    rows, count = design.shape
    if rows <= count or np.linalg.matrix_rank(design) < count:
        return np.full(count, np.nan)
    variance = float(residuals @ residuals) / (rows - count)
    return np.asarray(np.sqrt(variance * np.diag(np.linalg.inv(design.T @ design))))
