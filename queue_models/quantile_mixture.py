"""Quantiles of mixtures of distributions of which only quantiles are known."""

from __future__ import annotations

import numpy as np

from queue_models.arrays import FloatArray

__all__ = ["mixture_quantile_of", "tail_grid"]

_POINTS = 49
# Largest share of the grid, and the smallest as a multiple of the share wanted.
_NEARLY_ALL, _FURTHEST = 0.98, 1e-3
_HALVINGS = 60


def tail_grid(share: float) -> FloatArray:
    """Return the shares that exceed the quantiles to ask for, decreasing, `share` among them.

    Parameters
    ----------
    share
        Share of the mixture that exceeds the quantile wanted, in (0, 1).
    """
    below = np.geomspace(share, share * _FURTHEST, _POINTS // 2)
    if share >= _NEARLY_ALL:
        return below
    return np.concatenate([np.geomspace(_NEARLY_ALL, share, _POINTS - below.size + 1), below[1:]])


def mixture_quantile_of(
    quantiles: FloatArray, shares: FloatArray, weights: FloatArray, share: float
) -> FloatArray:
    """Return x with sum over i of weights[i] P(X(i) > x) = share.

    Parameters
    ----------
    quantiles
        Of every part at these shares, >= 0 and not decreasing along the first axis, shape
        (G, T, ...).
    shares
        What exceeds them, `tail_grid(share)`, shape (G,).
    weights
        >= 0, shape (T, ...), adding up to 1 over T.
    share
        As given to `tail_grid`.

    Notes
    -----
    Between the quantiles, from 0 on and beyond the last, ln P(X > x) is taken as linear in x. The
    answer lies between the least and the largest of the parts' own quantiles at `share`.
    """
    logs = np.log(shares)
    place = int(np.argmin(np.abs(shares - share)))
    used = weights > 0
    low = np.where(used, quantiles[place], np.inf).min(axis=0)
    high: FloatArray = np.where(used, quantiles[place], 0.0).max(axis=0)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        exceeded = (weights * np.exp(_log_tails(quantiles, logs, middle))).sum(axis=0)
        above = exceeded > share
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return high


def _log_tails(quantiles: FloatArray, logs: FloatArray, x: FloatArray) -> FloatArray:
    """Return ln P(X > x) of every part, by interpolation."""
    count = (quantiles <= x).sum(axis=0)
    right = np.clip(count, 1, len(logs) - 1)
    start, end = (
        np.take_along_axis(quantiles, index[None], axis=0)[0] for index in (right - 1, right)
    )
    log_start, log_end = logs[right - 1], logs[right]
    # Below the first quantile: from P(X > 0) = 1.
    first = count == 0
    start, end = np.where(first, 0.0, start), np.where(first, quantiles[0], end)
    log_start, log_end = np.where(first, 0.0, log_start), np.where(first, logs[0], log_end)
    apart = end > start
    slope = np.divide(log_end - log_start, end - start, out=np.zeros_like(end), where=apart)
    line = log_start + slope * (x - start)
    # Where the last quantiles are one number, nothing exceeds it.
    result: FloatArray = np.where(apart | (x < end), line, -np.inf)
    return result
