"""Level and a trend that dies away, smoothed exponentially."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np

from optimizer.control.forecast.base import FloatArray, Forecaster, State
from optimizer.control.forecast.evidence import Evidence
from optimizer.control.forecast.settings import ForecastSettings

__all__ = ["DampedHoltForecaster"]

# Smoothing of level and trend: gains of the error in each.
_GAINS = np.array([(a, a * b) for a in (0.1, 0.3, 0.6, 0.9) for b in (0.02, 0.1, 0.4)])
_DAMPING = 0.9


@final
class DampedHoltForecaster(Forecaster):
    """Holt's linear method with a damped trend, for twelve pairs of gains.

    forecast = level + (φ + ... + φ^h) trend with φ = 0.9; the error of each step corrects level and
    trend by their gains. Pairs of gains are mixed by their likelihood.
    """

    name: ClassVar[str] = "damped-holt"
    summary: ClassVar[str] = "level and a trend that dies away: ramps and slow drifts"
    source: ClassVar[str] = "Gardner and McKenzie (1985), Forecasting trends in time series"

    def __init__(self, series: int = 1, settings: ForecastSettings | None = None) -> None:
        super().__init__(series, settings)
        self._evidence = Evidence(self.settings)

    def begin(self, series: int) -> State:
        """Return the state: level and trend per pair of gains, and the evidence for each."""
        return {
            "level": np.full((len(_GAINS), series), np.nan),
            "trend": np.zeros((len(_GAINS), series)),
            "age": np.zeros((1, series)),
            **Evidence.begin(len(_GAINS), series),
        }

    def absorb(self, values: FloatArray) -> None:
        """Correct level and trend; without a value they go on as expected."""
        own, known = self.state, ~np.isnan(values)
        new = known & np.isnan(own["level"][0])
        told = np.where(known, values, 0.0)
        expected = np.where(new, told, own["level"] + _DAMPING * own["trend"])
        error = np.where(known, told - expected, 0.0)
        self._evidence.add(own, error, told, known & ~new)
        own["age"] = own["age"] + known
        # The first values are averaged: a single one is no level to smooth from.
        gain = np.maximum(_GAINS[:, :1], 1 / np.maximum(own["age"], 1))
        own["level"] = expected + gain * error
        own["trend"] = _DAMPING * own["trend"] + _GAINS[:, 1:] * error

    def path(self, steps: int) -> FloatArray:
        """Return level plus damped trend."""
        weights = self._evidence.weights(self.state)
        level = np.sum(weights * self.state["level"], axis=0)
        trend = np.sum(weights * self.state["trend"], axis=0)
        ahead = np.cumsum(_DAMPING ** np.arange(1, steps + 1))
        return np.asarray(level + ahead[:, None] * trend)
