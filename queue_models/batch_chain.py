"""The Markov chain at the completions of a server in batches, and what arrives meanwhile."""

from __future__ import annotations

import numpy as np

from queue_models.arrays import FloatArray

__all__ = ["arrival_counts", "endless_chain", "limited_chain", "tail_pole", "tail_terms"]


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


def tail_pole(mean: float, scv: float, most: int) -> float:
    """Return the root z > 1 of z^b = E[z^A], A of mean below b = `most`.

    ln z = x solves b x = ln E[e^(x A)], whose right-hand side is convex: Newton from above.
    """
    if scv == 0:

        def log_moment(x: float) -> tuple[float, float]:
            return mean * np.expm1(x), mean * np.exp(x)

        variance, top = mean, np.inf
    else:
        # Defined where scv m (e^x - 1) < 1.
        def log_moment(x: float) -> tuple[float, float]:
            rest = 1.0 - scv * mean * np.expm1(x)
            return -np.log(rest) / scv, mean * np.exp(x) / rest

        variance, top = mean + scv * mean**2, np.log1p(1.0 / (scv * mean))
    # Outward from the point at which the parabola of mean and variance has its root.
    low = 0.0
    x = min(2.0 * (most - mean) / variance, 0.5 * top)
    while log_moment(x)[0] < most * x:
        low, x = x, min(2.0 * x, 0.5 * (x + top))
    for _ in range(100):
        value, slope = log_moment(x)
        step = (value - most * x) / (slope - most)
        x = max(x - step, 0.5 * (x + low))
        if abs(step) <= 1e-15 * x:
            break
    return float(np.exp(x))


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


def endless_chain(counts: FloatArray, ratio: float) -> FloatArray:
    """Stationary distribution over 0..N, geometric of this ratio beyond.

    Parameters
    ----------
    counts
        Chances of k arrivals by batch size, shape (b, N + 1), N > b.
    ratio
        Of the probabilities of neighbouring states, in (0, 1).

    Returns
    -------
    FloatArray
        Shape (N + 1,); with the geometric tail it sums to 1.
    """
    most, states = counts.shape
    moves = _moves(counts, states)
    # States N + i, i = 1..b, come down to N + i - b and further up: they add to N's row.
    full = counts[-1]
    for i in range(1, most + 1):
        start = states - 1 + i - most
        moves[-1, start:] += ratio**i * full[: states - start]
    system = np.eye(states) - moves
    system[:, 0] = 1.0
    system[-1, 0] += ratio / (1.0 - ratio)
    right = np.zeros(states)
    right[0] = 1.0
    solution: FloatArray = np.linalg.solve(system.T, right)
    return np.maximum(solution, 0.0)


def _moves(counts: FloatArray, states: int) -> FloatArray:
    """Return the chances of moving from q to q' < states, from 0 as from 1."""
    most = len(counts)
    moves = np.zeros((states, states))
    for left in range(states):
        batch = min(max(left, 1), most)
        waiting = max(left - batch, 0)
        moves[left, waiting:] = counts[batch - 1, : states - waiting]
    return moves
