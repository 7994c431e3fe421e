"""The Markov chain at the completions of a server in batches, and what arrives meanwhile."""

from __future__ import annotations

import numpy as np

from queue_models.arrays import FloatArray, IntArray
from queue_models.rate_search import increasing_root

__all__ = ["arrival_counts", "endless_chain", "limited_chain", "log_tail_pole", "tail_terms"]

# Below this the linear term of exponential and logarithm is left out by a series.
_SMALL = 5e-3


def arrival_counts(mean: FloatArray, scv: FloatArray, size: int) -> FloatArray:
    """P(k arrivals in a batch time), k < size: Poisson or, with gamma times, negative binomial.

    Parameters
    ----------
    mean
        Mean number of arrivals, > 0, shape (b,).
    scv
        Of the batch time, shape (b,); 0 constant, 1 exponential.
    size
        Columns wanted.

    Notes
    -----
    P(k) = m^k/k! (1 + v m)^(-1/v - k) times the product over i < k of (1 + i v), v the SCV.
    """
    from scipy.special import gammaln

    k = np.arange(size)
    m, v = mean[:, None], scv[:, None]
    spread = np.zeros((mean.size, size))
    spread[:, 1:] = np.cumsum(np.log1p(k[:-1] * v), axis=1)
    grown = np.log1p(v * m)
    none = np.where(v > 0, grown / np.where(v > 0, v, 1.0), m)
    counts: FloatArray = np.exp(spread + k * (np.log(m) - grown) - none - gammaln(k + 1.0))
    return counts


def tail_terms(mean: FloatArray, scv: FloatArray) -> int:
    """Return a number of arrivals beyond which the chance has fallen by e^-36 everywhere."""
    # Poisson: twelve standard deviations; gamma times: a factor v m/(1 + v m) per arrival.
    most = mean + 12.0 * np.sqrt(mean) + 40.0 * scv * mean
    return int(most.max()) + 60


def log_tail_pole(mean: float, scv: float, most: int) -> float:
    """Return ln z for the root z > 1 of z^b = E[z^A], A of mean below b = `most`.

    Notes
    -----
    x = ln z solves (ln E[e^(x A)] - mean x)/x = b - mean, whose left-hand side grows with x from 0.
    Near saturation both sides are small: the left-hand side is summed without its linear term.
    With gamma times the transform ends where u = scv mean (e^x - 1) = 1, and at light loads x lies
    closer to that end than numbers can tell: the root is sought in w = -ln(1 - u), which has none.
    """
    gamma = scv * mean

    def point(w: float) -> float:
        return float(np.log1p(-np.expm1(-w) / gamma)) if gamma > 0 else w

    def excess(w: float) -> float:
        x = point(w)
        second = mean * _exponential_beyond(x)
        if gamma > 0:
            second += _exponential_beyond(-w) / scv
        return second / x - (most - mean)

    high = min(2.0 * (most - mean) / (mean + scv * mean**2), 1.0)
    if gamma > 0:
        high = -float(np.log1p(-min(gamma * float(np.expm1(high)), 0.5)))
    low = 0.0
    while excess(high) < 0:
        low, high = high, 2.0 * high

    def of_points(_: IntArray, points: FloatArray) -> FloatArray:
        return np.array([excess(float(w)) / (most - mean) for w in points])

    start = np.full(1, max(low, 1e-12 * high))
    return point(float(increasing_root(of_points, start, np.full(1, high), precision=1e-15)[0]))


def _exponential_beyond(x: float) -> float:
    """Return e^x - 1 - x."""
    if abs(x) > _SMALL:
        return float(np.expm1(x)) - x
    return x * x / 2.0 * (1.0 + x / 3.0 * (1.0 + x / 4.0 * (1.0 + x / 5.0 * (1.0 + x / 6.0))))


def limited_chain(counts: FloatArray, places: int) -> FloatArray:
    """Stationary distribution over 0..places, the last state taking all that does not fit.

    Parameters
    ----------
    counts
        Chances of k arrivals by batch size, b <= max(places, 1) rows, as far as they count.
    places
        Largest number left waiting.

    Notes
    -----
    State reduction: no subtraction, so that the smallest probability has all its digits.
    """
    moves = _moves(counts, places + 1)
    # Not 1 - (sum of the others), which loses the digits of a small chance.
    at_least = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]
    left = np.arange(places + 1)
    batch = np.clip(left, 1, len(counts))
    moves[:, -1] = at_least[batch - 1, places - np.maximum(left - batch, 0)]
    for state in range(places, 0, -1):
        leaving = moves[state, :state].sum()
        moves[:state, state] /= leaving
        moves[:state, :state] += np.outer(moves[:state, state], moves[state, :state])
    weight = np.ones(places + 1)
    for state in range(1, places + 1):
        weight[state] = weight[:state] @ moves[:state, state]
    result: FloatArray = weight / weight.sum()
    return result


def endless_chain(counts: FloatArray, log_ratio: float) -> FloatArray:
    """Stationary distribution over 0..N, geometric beyond.

    Parameters
    ----------
    counts
        Chances of k arrivals by batch size, shape (b, N + 1), b <= N.
    log_ratio
        Logarithm of the ratio of neighbouring probabilities, below 0; `-inf` for none beyond.

    Returns
    -------
    FloatArray
        Shape (N + 1,); with the geometric tail it sums to 1.
    """
    most, states = counts.shape
    moves = _moves(counts, states)
    # States N + i, i = 1..b, come down to N + i - b and further up: they add to N's row.
    full = counts[-1]
    if np.isfinite(log_ratio):
        for i in range(1, most + 1):
            start = states - 1 + i - most
            moves[-1, start:] += np.exp(i * log_ratio) * full[: states - start]
    system = np.eye(states) - moves
    system[:, 0] = 1.0
    system[-1, 0] += np.exp(log_ratio) / -np.expm1(log_ratio)
    right = np.zeros(states)
    right[0] = 1.0
    solution: FloatArray = np.maximum(np.linalg.solve(system.T, right), 0.0)
    return solution


def _moves(counts: FloatArray, states: int) -> FloatArray:
    """Return the chances of moving from q to q' < states, from 0 as from 1."""
    most = len(counts)
    moves = np.zeros((states, states))
    for left in range(states):
        batch = min(max(left, 1), most)
        waiting = max(left - batch, 0)
        moves[left, waiting:] = counts[batch - 1, : states - waiting]
    return moves
