"""A level that wanders under noise: a Kalman filter for each ratio of the two."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np

from optimizer.control.forecast.base import FloatArray, Forecaster, State
from optimizer.control.forecast.evidence import Evidence
from optimizer.control.forecast.settings import ForecastSettings

__all__ = ["LocalLevelForecaster", "level_update"]

# Variance of the level's step over that of the noise; steady gains 0.03 to 0.98.
_RATIOS = np.array([0.001, 0.01, 0.05, 0.2, 0.6, 2.0, 8.0, 40.0])
# Variance of an unknown level, in variances of the noise.
_UNKNOWN = 1e7


@final
class LocalLevelForecaster(Forecaster):
    """y = level + noise, level = last level + step, both normal; eight ratios of their variances.

    Each ratio has its own filter; their levels are mixed by the likelihood of the ratios (a bank of
    filters), so that the smoothing fits each series and follows it when it changes.
    """

    name: ClassVar[str] = "local-level"
    summary: ClassVar[str] = "Kalman filter of a wandering level: noisy series without a pattern"
    source: ClassVar[str] = "Durbin and Koopman, Time Series Analysis by State Space Methods, ch. 2"

    def __init__(self, series: int = 1, settings: ForecastSettings | None = None) -> None:
        super().__init__(series, settings)
        self._evidence = Evidence(self.settings)

    def begin(self, series: int) -> State:
        """Return the state: level and its variance per ratio, and the evidence for each."""
        return {
            "level": np.full((_RATIOS.size, series), np.nan),
            "variance": np.full((_RATIOS.size, series), _UNKNOWN),
            **Evidence.begin(_RATIOS.size, series),
        }

    def absorb(self, values: FloatArray) -> None:
        """Correct the levels; without a value they only grow less certain."""
        own, known = self.state, ~np.isnan(values)
        level, variance = own["level"], own["variance"]
        new = known & np.isnan(level[0])
        told = np.where(known, values, 0.0)
        level = np.where(new, told, level)
        error = np.where(known, told - level, 0.0)
        seen = known & ~new
        self._evidence.add(own, error, told, seen, np.where(seen, variance + 1, 1.0))
        own["level"], own["variance"] = level_update(
            level, variance, error, known, _RATIOS[:, None]
        )

    def path(self, steps: int) -> FloatArray:
        """Return the mixed level, the same for all steps."""
        level = np.sum(self._evidence.weights(self.state) * self.state["level"], axis=0)
        return np.repeat(level[None, :], steps, axis=0)


def level_update(
    level: FloatArray,
    variance: FloatArray,
    error: FloatArray,
    known: FloatArray | np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    ratio: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return level and its variance before the next value, in variances of the noise.

    Parameters
    ----------
    level, variance
        Before this value.
    error
        Value less level, 0 where the value is missing.
    known
        Where the value is known.
    ratio
        Variance of the level's step over that of the noise.
    """
    gain = np.where(known, variance / (variance + 1), 0.0)
    return level + gain * error, variance * (1 - gain) + ratio
