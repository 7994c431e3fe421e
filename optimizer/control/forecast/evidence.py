"""Which of several settings of a method explains a series best, learnt as it comes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizer.control.forecast.settings import ForecastSettings

__all__ = ["Evidence"]

FloatArray = NDArray[np.float64]

# Mean squared errors below this share of the values' square are all alike: rounding.
_ROUNDING = 1e-18


class Evidence:
    """Likelihood of each setting by its one-step errors, with older ones forgotten.

    The scale of the errors is not known and is concentrated out: of n errors e with relative
    variances f, ln L = -n/2 ln(mean e²/f) - 1/2 sum ln f, apart from a constant.

    Parameters
    ----------
    settings
        How long errors count.
    state
        Where the sums are kept, under names that begin with `evidence_`.

    References
    ----------
    .. [1] Harvey, A. C. (1989). *Forecasting, Structural Time Series Models and the Kalman
       Filter*, section 3.4.
    """

    def __init__(self, settings: ForecastSettings) -> None:
        self._decay = float(np.exp(-1 / settings.memory_steps))

    @staticmethod
    def begin(count: int, series: int) -> dict[str, FloatArray]:
        """Return the sums of so many settings before any error."""
        return {
            "evidence_square": np.zeros((count, series)),
            "evidence_log_variance": np.zeros((count, series)),
            "evidence_count": np.zeros((1, series)),
            "evidence_size": np.zeros((1, series)),
        }

    def add(
        self,
        state: dict[str, FloatArray],
        error: FloatArray,
        values: FloatArray,
        known: NDArray[np.bool_],
        variance: FloatArray | float = 1.0,
    ) -> None:
        """Take errors (settings, series) of values in where they are known (series,)."""
        fade = np.where(known, self._decay, 1.0)
        each = np.where(known, error * error / variance, 0.0)
        state["evidence_square"] = state["evidence_square"] * fade + each
        spread = np.where(known, np.log(variance), 0.0)
        state["evidence_log_variance"] = state["evidence_log_variance"] * fade + spread
        state["evidence_count"] = state["evidence_count"] * fade + known
        size = np.where(known, values * values, 0.0)
        state["evidence_size"] = state["evidence_size"] * fade + size

    def weights(self, state: dict[str, FloatArray]) -> FloatArray:
        """Return the probability of each setting, (settings, series)."""
        count = np.maximum(state["evidence_count"], 1e-9)
        least = _ROUNDING * state["evidence_size"] + 1e-300
        mean_square = (state["evidence_square"] + least) / count
        score = -(count * np.log(mean_square) + state["evidence_log_variance"]) / 2
        odds = np.exp(score - score.max(axis=0))
        return np.asarray(odds / odds.sum(axis=0))
