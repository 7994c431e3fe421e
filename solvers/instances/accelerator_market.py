"""What generated fleets share: accelerators whose price follows what they can do, and the way out.

The order of the draws defines every instance; each function says what it takes from the generator.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvers.problem import FloatArray, IntArray

__all__ = ["draw_penalties", "draw_types", "room_for", "with_unserved"]

# What a service left unserved costs, as multiples of its cheapest option: three classes of service.
_PENALTIES = np.array([60, 15, 4])


def draw_types(rng: np.random.Generator, types: int) -> tuple[FloatArray, FloatArray]:
    """Draw prices U(0.5, 12), sorted, then capabilities price^(1/0.95) U(0.8, 1.25)."""
    price = np.sort(rng.uniform(0.5, 12, types))
    return price, price ** (1 / 0.95) * rng.uniform(0.8, 1.25, types)


def draw_penalties(rng: np.random.Generator, groups: int) -> IntArray:
    """Draw a class for each service, and return its penalty as a multiple: 60, 15 or 4."""
    penalties: IntArray = _PENALTIES[rng.integers(0, len(_PENALTIES), groups)]
    return penalties


def room_for(used: NDArray[Any], share: float = 0.8) -> FloatArray:
    """Return the capacity of each type: floor(share used + 0.02 mean used)."""
    room: FloatArray = np.floor(share * used + 0.02 * used.mean())
    return room


def with_unserved(cost: FloatArray, penalty: IntArray) -> tuple[FloatArray, IntArray]:
    """Return cost and group of all columns: each service's options, then "unserved".

    Parameters
    ----------
    cost
        (groups, options).
    penalty
        (groups,), multiples of the cheapest option.
    """
    groups, options = cost.shape
    unserved = np.round(cost.min(1) * penalty)
    columns = np.concatenate([cost, unserved[:, None]], axis=1).ravel()
    return columns, np.repeat(np.arange(groups), options + 1)
