"""The next value is the last one."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np

from optimizer.control.forecast.base import FloatArray, Forecaster, State

__all__ = ["LastValueForecaster"]


@final
class LastValueForecaster(Forecaster):
    """Every step ahead is expected to be as the last that was seen (a random walk)."""

    name: ClassVar[str] = "last-value"
    summary: ClassVar[str] = "the last value again: the yardstick, right for random walks"
    source: ClassVar[str] = "Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 5.2"

    def begin(self, series: int) -> State:
        """Return the state: the last value."""
        return {"last": np.full((1, series), np.nan)}

    def absorb(self, values: FloatArray) -> None:
        """Remember the values that are known."""
        last = self.state["last"]
        last[0] = np.where(np.isnan(values), last[0], values)

    def path(self, steps: int) -> FloatArray:
        """Return the last values."""
        return np.repeat(self.state["last"], steps, axis=0)
