"""How far forecasts were off: the spread of the next ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optimizer.control.forecast.settings import ForecastSettings

__all__ = ["PastErrors"]

FloatArray = NDArray[np.float64]

# Standardised errors kept per series, from which the shape of their distribution is read.
_KEPT = 128
# A normal distribution's points that are mixed with them: as many as this count as seen.
_PRIOR = 16


class PastErrors:
    """Errors of the forecasts that were made, one to `scored_steps` steps ahead.

    Each error is compared with the spread expected at its step; the last ones, all steps
    together, give the shape of the distribution, mixed with a few points of a normal one.

    Parameters
    ----------
    settings
        Steps scored, and how long errors count.
    series
        How many.
    """

    def __init__(self, settings: ForecastSettings, series: int) -> None:
        steps = settings.scored_steps
        self._steps = steps
        self._memory = settings.memory_steps
        self._decay = float(np.exp(-1 / self._memory))
        self.state: dict[str, NDArray[Any]] = {
            # Forecasts made 1, 2, ... steps ago, of 1, 2, ... steps ahead.
            "made": np.full((steps, steps, series), np.nan),
            "weight": np.zeros((steps, series)),
            "square": np.zeros((steps, series)),
            "absolute": np.zeros((steps, series)),
            "standardised": np.full((_KEPT, series), np.nan),
            "kept": np.zeros((1, series), np.int64),
        }

    def score(self, values: FloatArray) -> None:
        """Compare what was expected of this step with what came; NaN tells nothing."""
        own = self.state
        each = np.arange(self._steps)
        error = values - own["made"][each, each]
        known = np.isfinite(error)
        self._keep_shape(error, known)
        fade = np.where(known, self._decay, 1.0)
        error = np.where(known, error, 0.0)
        own["weight"] = own["weight"] * fade + known
        own["square"] = own["square"] * fade + error * error
        own["absolute"] = own["absolute"] * fade + np.abs(error)

    def expect(self, path: FloatArray) -> None:
        """Remember what is now expected, (scored steps, series)."""
        made = self.state["made"]
        made[1:] = made[:-1]
        made[0] = path

    def forget_expected(self) -> None:
        """Compare what was expected so far with nothing any more."""
        self.state["made"][:] = np.nan

    @property
    def mean_absolute(self) -> FloatArray:
        """(series,): mean absolute error over the scored steps; NaN where none is known."""
        own = self.state
        weight = own["weight"].sum(axis=0)
        total = own["absolute"].sum(axis=0)
        mean: FloatArray = np.where(weight > 0, total / np.maximum(weight, 1e-300), np.nan)
        return mean

    def spread(self, steps: int) -> FloatArray:
        """Return root mean square errors (steps, series); beyond those scored they grow."""
        own = self.state
        weight = own["weight"]
        square = np.where(weight > 0, own["square"] / np.maximum(weight, 1e-300), np.nan)
        # Not scored so far ahead yet: as if errors added up from the step before.
        for step in range(1, self._steps):
            grown = square[step - 1] * (step + 1) / step
            square[step] = np.where(np.isnan(square[step]), grown, square[step])
        scored = np.sqrt(np.maximum.accumulate(square, axis=0))
        if steps <= self._steps:
            return np.asarray(scored[:steps])
        beyond = np.arange(self._steps + 1, steps + 1)[:, None] / self._steps
        return np.concatenate([scored, scored[-1] * np.sqrt(beyond)])

    def quantiles(
        self, mean: FloatArray, probabilities: Sequence[float]
    ) -> dict[float, FloatArray]:
        """Return the quantiles about expected values (steps, series), by probability.

        Where no error is known yet, they are the expected values themselves.
        """
        if not probabilities:
            return {}
        spread = np.nan_to_num(self.spread(len(mean)))
        shape = self._shape(probabilities)
        return {p: mean + spread * shape[i] for i, p in enumerate(probabilities)}

    def _keep_shape(self, error: FloatArray, known: NDArray[np.bool_]) -> None:
        """Keep the standardised error of one step ahead, or of the least that is known."""
        own = self.state
        spread = self.spread(self._steps)
        # No error is more than this beside a root mean square that it is part of: one after a long
        # time without any would else be without measure.
        most = self._memory**0.5
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = np.clip(error / spread, -most, most)
        usable = known & np.isfinite(scaled)
        first = np.argmax(usable, axis=0)
        column = np.flatnonzero(usable.any(axis=0))
        place = own["kept"][0, column] % _KEPT
        own["standardised"][place, column] = scaled[first[column], column]
        own["kept"][0, column] += 1

    def _shape(self, probabilities: Sequence[float]) -> FloatArray:
        """Return quantiles of the standardised errors, (probabilities, series)."""
        seen = self.state["standardised"]
        prior = np.broadcast_to(_normal_points(_PRIOR)[:, None], (_PRIOR, seen.shape[1]))
        ordered = np.sort(np.concatenate([seen, prior]), axis=0)  # NaN goes last
        last = np.sum(np.isfinite(ordered), axis=0) - 1
        place = np.array(probabilities)[:, None] * last
        below = np.floor(place).astype(np.int64)
        low = np.take_along_axis(ordered, below, axis=0)
        high = np.take_along_axis(ordered, np.minimum(below + 1, last), axis=0)
        return np.asarray(low + (high - low) * (place - below))


def _normal_points(count: int) -> FloatArray:
    """Return the quantiles of a standard normal distribution at evenly spaced probabilities."""
    from statistics import NormalDist

    normal = NormalDist()
    return np.array([normal.inv_cdf((i + 0.5) / count) for i in range(count)])
