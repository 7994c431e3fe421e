"""The level that a load keeps coming back to."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np

from optimizer.control.forecast.base import FloatArray, Forecaster, State

__all__ = ["SlowLevelForecaster"]

# The level follows in a fifteenth of the time for which errors are remembered.
_SHARE_OF_MEMORY = 1 / 15


@final
class SlowLevelForecaster(Forecaster):
    """Exponential smoothing with one small gain; the first values are averaged.

    It does not follow what passes. Its errors are how far the load strays from its level, which
    `headroom` plans for; it is a part of that forecaster, and not registered.
    """

    name: ClassVar[str] = "slow-level"
    summary: ClassVar[str] = "exponential smoothing with a small gain"
    source: ClassVar[str] = "Brown (1956), Exponential smoothing for predicting demand"

    def begin(self, series: int) -> State:
        """Return the state: the level, and how many values it is of."""
        return {"level": np.full((1, series), np.nan), "age": np.zeros((1, series))}

    def absorb(self, values: FloatArray) -> None:
        """Move the level a little towards the values that are known."""
        own, known = self.state, ~np.isnan(values)
        own["age"] = own["age"] + known
        least = 1.0 / (_SHARE_OF_MEMORY * self.settings.memory_steps)
        gain = np.maximum(1.0 / np.maximum(own["age"], 1.0), least)
        level = np.where(np.isnan(own["level"]), values, own["level"])
        own["level"] = np.where(known, level + gain * (values - level), own["level"])

    def path(self, steps: int) -> FloatArray:
        """Return the level, the same for all steps."""
        return np.repeat(self.state["level"], steps, axis=0)
