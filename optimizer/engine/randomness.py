"""Reproducible draws: a number is a function of what it is for, not of what was drawn before.

So a request meets the same luck whatever the schedule around it, and two configurations are
compared on the same requests.
"""

from __future__ import annotations

import numpy as np

from optimizer.engine.compilation import compiled

__all__ = ["mixed", "uniform"]


@compiled
def mixed(first: int, second: int) -> int:
    """Mix two 64-bit integers into one, by the finaliser of SplitMix64 [1]_.

    References
    ----------
    .. [1] Steele, G., Lea, D., Flood, C. (2014). Fast splittable pseudorandom number generators.
       OOPSLA.
    """
    x = np.uint64(first) + np.uint64(0x9E3779B97F4A7C15) * (np.uint64(second) + np.uint64(1))
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.int64(x ^ (x >> np.uint64(31)))  # type: ignore[return-value]


@compiled
def uniform(first: int, second: int) -> float:
    """Return a number in [0, 1) that depends on the two integers alone."""
    return (np.uint64(mixed(first, second)) >> np.uint64(11)) * 2.0**-53
