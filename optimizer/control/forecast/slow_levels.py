"""The levels that a load keeps coming back to, and how far it strays from them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizer.control.forecast.settings import ForecastSettings

__all__ = ["SlowLevels"]

FloatArray = NDArray[np.float64]

# A level follows in these shares of the time for which errors are remembered; how far the load
# strays from it is averaged over twice as long.
_SHARES_OF_MEMORY = np.array([0.3, 1.2])[:, None]
# Bounds lie so many root mean squares above a level.
_SPREADS = np.array([0.0, 0.6, 1.2, 1.8, 2.4, 3.2])[:, None]
_USUAL_SPREAD = 1.8


class SlowLevels:
    """Exponential smoothing with small gains (Brown 1956); the first values are averaged.

    Parameters
    ----------
    settings
        `memory_steps`: how long errors are remembered.
    """

    COUNT = _SHARES_OF_MEMORY.size * _SPREADS.size
    """How many bounds it has."""
    USUAL = tuple(
        level * _SPREADS.size + int(np.argmax(_SPREADS == _USUAL_SPREAD))
        for level in range(_SHARES_OF_MEMORY.size)
    )
    """Places of those that suit who knows nothing of a load yet."""

    def __init__(self, settings: ForecastSettings) -> None:
        self._gain = 1.0 / np.maximum(_SHARES_OF_MEMORY * settings.memory_steps, 1.0)

    @staticmethod
    def begin(series: int) -> dict[str, FloatArray]:
        """Return the state of so many series of which nothing was seen."""
        levels = _SHARES_OF_MEMORY.size
        return {
            "level": np.full((levels, series), np.nan),
            "strays_square": np.zeros((levels, series)),
            "level_age": np.zeros((1, series)),
        }

    def add(self, state: dict[str, FloatArray], values: FloatArray) -> None:
        """Take the next value of each series into the state; NaN where it is missing."""
        known = ~np.isnan(values)
        state["level_age"] = state["level_age"] + known
        young = 1.0 / np.maximum(state["level_age"], 1.0)
        before = np.where(np.isnan(state["level"]), values, state["level"])
        level = before + np.maximum(self._gain, young) * (values - before)
        square, gain = state["strays_square"], np.maximum(0.5 * self._gain, young)
        state["level"] = np.where(known, level, state["level"])
        strays = square + gain * ((values - level) ** 2 - square)
        state["strays_square"] = np.where(known, strays, square)

    @staticmethod
    def bounds(state: dict[str, FloatArray]) -> FloatArray:
        """Return every level plus every spread, (`COUNT`, series)."""
        strays = np.sqrt(state["strays_square"])
        found = state["level"][:, None] + _SPREADS * strays[:, None]
        return np.asarray(found.reshape(SlowLevels.COUNT, -1))
