"""Draws of lengths and arrival times."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from benchmarks.queue_accuracy.configurations import LengthLaw

__all__ = ["arrival_times_ms", "lengths"]

# Two-state Markov-modulated Poisson arrivals: factors on the mean rate, mean stay in a state.
MMPP_FACTORS = (1.5, 0.5)
MMPP_SOJOURN_MS = 20_000.0


def lengths(law: LengthLaw, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw whole numbers of tokens, at least 1."""
    return np.minimum(_unlimited(law, count, rng), law.limit)


def _unlimited(law: LengthLaw, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    if law.family == "fixed":
        below = math.floor(law.mean)
        return below + (rng.random(count) < law.mean - below).astype(np.int64)
    if law.family == "geometric":
        return rng.geometric(1 / law.mean, count)
    if law.family == "lognormal":
        variance = math.log1p(law.cv**2)
        drawn = rng.lognormal(math.log(law.mean) - variance / 2, math.sqrt(variance), count)
        return np.maximum(1, np.rint(drawn)).astype(np.int64)
    weights = np.array(law.weights)
    return rng.choice(np.array(law.values, dtype=np.int64), count, p=weights / weights.sum())


def arrival_times_ms(
    kind: str, rate_rps: float, scv: float, count: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw arrival times of a stationary stream: poisson, gamma (of the given SCV) or mmpp2."""
    gap_ms = 1e3 / rate_rps
    if kind == "poisson":
        return np.cumsum(rng.exponential(gap_ms, count))
    if kind == "gamma":
        return np.cumsum(rng.gamma(1 / scv, scv * gap_ms, count))
    # A Poisson stream of rate 1 on a clock that runs at the rate of the state.
    stays = 16 + math.ceil(2 * count * gap_ms / MMPP_SOJOURN_MS)
    factors = np.roll(MMPP_FACTORS, rng.integers(2))[np.arange(stays) % 2]
    changes = np.concatenate([[0.0], np.cumsum(rng.exponential(MMPP_SOJOURN_MS, stays))])
    expected = np.concatenate([[0.0], np.cumsum(np.diff(changes) * factors / gap_ms)])
    return np.interp(np.cumsum(rng.exponential(1.0, count)), expected, changes)
