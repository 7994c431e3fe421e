"""Few points in place of a distribution of lengths, with the moments of every bin kept."""

from __future__ import annotations

import numpy as np

from queue_models.arrays import FloatArray

__all__ = ["empirical_bins", "geometric_bins", "lognormal_bins"]

# Probability left above the edges grows finer with this power: percentiles of the longest prompts
# decide percentiles of TTFT.
_TAIL_POWER = 3.0


def upper_tails(bins: int) -> FloatArray:
    """Return the probabilities above the bins' edges, (bins + 1,), from 1 down to 0."""
    tails: FloatArray = (1.0 - np.arange(bins + 1) / bins) ** _TAIL_POWER
    return tails


def two_points(
    mass: FloatArray, first: FloatArray, second: FloatArray, anywhere: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return two points per bin, its mean less and plus its standard deviation where that is >= 0.

    Parameters
    ----------
    mass, first, second
        Probability and partial first and second moments of each bin, (P, J).
    anywhere
        A value for bins without mass, broadcasting with them.

    Returns
    -------
    values, probabilities
        Both (P, 2 J).
    """
    filled = mass > 0
    safe = np.where(filled, mass, 1.0)
    mean = np.where(filled, first / safe, anywhere)
    variance = np.maximum(np.where(filled, second / safe - mean**2, 0.0), 0.0)
    # No length is below 0: a wider bin has its lower point there, with the weight that keeps both.
    below = np.maximum(mean - np.sqrt(variance), 0.0)
    above = mean + np.divide(variance, mean - below, out=np.zeros_like(mean), where=mean > below)
    apart = above > below
    upper = np.divide(mean - below, above - below, out=np.full_like(mean, 0.5), where=apart)
    values = np.stack([below, above], axis=-1)
    probabilities = np.stack([mass * (1.0 - upper), mass * upper], axis=-1)
    shape = (*mass.shape[:-1], 2 * mass.shape[-1])
    return values.reshape(shape), probabilities.reshape(shape)


def lognormal_bins(mean: FloatArray, scv: FloatArray, bins: int) -> tuple[FloatArray, FloatArray]:
    """Quantise lognormals, by partial moments E[X^k; X > x] = E[X^k] Phi(k s - z), z = Phi^-1."""
    from scipy.special import ndtr, ndtri

    # They scale with the mean, and services share their variability: each is computed once.
    distinct, which = np.unique(scv, return_inverse=True)
    s = np.sqrt(np.log1p(distinct))[:, None]
    z = -ndtri(upper_tails(bins))[None, :]  # from -inf to +inf
    tails = [ndtr(order * s - z) for order in (0, 1, 2)]
    mass = -np.diff(tails[0], axis=1)
    values, probabilities = two_points(
        np.broadcast_to(mass, (distinct.size, bins)),
        -np.diff(tails[1], axis=1),
        -np.diff((1.0 + distinct)[:, None] * tails[2], axis=1),
        np.ones((1, 1)),
    )
    return mean[:, None] * values[which], probabilities[which]


def geometric_bins(mean: FloatArray, scv: FloatArray, bins: int) -> tuple[FloatArray, FloatArray]:
    """Quantise geometrics on 1, 2, ..., by partial moments above whole numbers a.

    With q = 1 - 1/mean: P(X > a) = q^a, E[X; X > a] = q^a (a + m) and E[X^2; X > a] = q^a
    (a^2 + 2 a m + 2 m^2 - m), m the mean.
    """
    del scv  # follows from the mean
    m = mean[:, None]
    log_q = np.log1p(-1.0 / m)
    tails = upper_tails(bins)
    above = np.ceil(np.log(tails[1:-1])[None, :] / log_q)
    edges = np.concatenate([np.zeros_like(m), above], axis=1)
    left = np.exp(edges * log_q)
    zero = np.zeros_like(m)
    mass = np.concatenate([left, zero], axis=1)
    first = np.concatenate([left * (edges + m), zero], axis=1)
    second = np.concatenate([left * (edges**2 + 2.0 * edges * m + 2.0 * m**2 - m), zero], axis=1)
    return two_points(-np.diff(mass, axis=1), -np.diff(first, axis=1), -np.diff(second, axis=1), m)


def empirical_bins(
    values: FloatArray, probabilities: FloatArray, bins: int
) -> tuple[FloatArray, FloatArray]:
    """Quantise a histogram with values in increasing order; shapes (Q,) in, (2 bins,) out."""
    above = 1.0 - np.cumsum(probabilities) + probabilities / 2.0
    # Bin j holds what lies between tails j and j + 1.
    place = np.searchsorted(-upper_tails(bins), -above, side="left") - 1
    place = np.clip(place, 0, bins - 1)
    mass, first, second = np.zeros((3, bins))
    np.add.at(mass, place, probabilities)
    np.add.at(first, place, probabilities * values)
    np.add.at(second, place, probabilities * values**2)
    return two_points(mass, first, second, values[:1])
