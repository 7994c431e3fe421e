"""How long the season of a series is, if it has one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["detect_season"]

FloatArray = NDArray[np.float64]

# Correlation with itself a season ago: at least this, this many standard deviations of what chance
# gives, and this much more than in between.
_LEAST, _DEVIATIONS, _RISE = 0.3, 2.0, 0.2
_CERTAIN = 0.8
# The first peak nearly as high as the highest is the season, later ones its multiples.
_NEARLY = 0.85


def detect_season(history: FloatArray, longest: int) -> NDArray[np.int64]:
    """Return the season of each series in steps; 0 where none is seen.

    It is the first high peak of the autocorrelation of the series less its straight line, among
    lags that fit into the history twice.

    Parameters
    ----------
    history
        (steps, series), oldest first; NaN where missing, which counts as the mean.
    longest
        Longest season looked for.
    """
    steps, series = history.shape
    lags = min(longest, steps // 2)
    if lags < 3:
        return np.zeros(series, dtype=np.int64)
    rest = _without_line(history)
    size = 1 << int(2 * steps - 1).bit_length()
    spectrum = np.fft.rfft(rest, size, axis=0)
    products = np.fft.irfft(spectrum * spectrum.conj(), size, axis=0)[: lags + 2]
    overlap = (steps - np.arange(lags + 2))[:, None] / steps
    whole = np.maximum(products[0], 1e-300)
    correlation = products / whole / overlap
    found = np.zeros(series, dtype=np.int64)
    middle = correlation[1:-1]
    rises = middle - np.minimum.accumulate(correlation[:-2], axis=0)
    peak = (middle > correlation[:-2]) & (middle >= correlation[2:])
    lag = np.arange(1, lags + 1)[:, None]
    least = np.maximum(_LEAST, np.minimum(_DEVIATIONS / np.sqrt(steps - lag), _CERTAIN))
    peak &= (middle > least) & (rises > _RISE) & (lag >= 2)
    for place in np.flatnonzero(peak.any(axis=0) & (products[0] > 0)):
        at = np.flatnonzero(peak[:, place])
        high = middle[at, place]
        found[place] = at[int(np.argmax(high >= _NEARLY * high.max()))] + 1
    return found


def _without_line(history: FloatArray) -> FloatArray:
    """Return the series less their straight lines; 0 where missing."""
    known = ~np.isnan(history)
    count = np.maximum(known.sum(axis=0), 1)
    time = np.where(known, np.arange(len(history))[:, None], 0.0)
    values = np.where(known, history, 0.0)
    mean_time, mean = time.sum(axis=0) / count, values.sum(axis=0) / count
    away = np.where(known, time - mean_time, 0.0)
    slope = np.sum(away * values, axis=0) / np.maximum(np.sum(away**2, axis=0), 1e-300)
    return np.where(known, values - mean - slope * away, 0.0)
