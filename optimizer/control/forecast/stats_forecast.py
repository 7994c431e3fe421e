"""AutoETS of the package statsforecast, fitted anew at every step (optional extra)."""

from __future__ import annotations

import warnings
from typing import ClassVar, final

import numpy as np

from optimizer.control.forecast.base import FloatArray, Forecaster, State

__all__ = ["StatsForecastForecaster"]

# Values that are fitted, at most.
_HISTORY = 400
# With fewer values than this and a season, which are too few to fit, the last one is repeated.
_LEAST = 12


@final
class StatsForecastForecaster(Forecaster):
    """Exponential smoothing in the form that fits best, chosen and fitted anew at every step.

    It takes some 30 ms per series and step, a thousand times what the recursive methods do. Its
    seasons are those that are given; missing values are bridged by straight lines.
    """

    name: ClassVar[str] = "statsforecast"
    summary: ClassVar[str] = "AutoETS, fitted anew at every step: a second opinion, and slow"
    source: ClassVar[str] = "Hyndman et al. (2002), via Nixtla's statsforecast"

    def begin(self, series: int) -> State:
        """Return the state: the last values."""
        return {"history": np.full((_HISTORY, series), np.nan)}

    def absorb(self, values: FloatArray) -> None:
        """Remember the values."""
        history = self.state["history"]
        history[:-1] = history[1:]
        history[-1] = values

    def path(self, steps: int) -> FloatArray:
        """Return the forecasts of newly fitted models."""
        columns = [self._fitted(column, steps) for column in self.state["history"].T]
        return np.array(columns, dtype=np.float64).reshape(self.series, steps).T

    def _fitted(self, history: FloatArray, steps: int) -> FloatArray:
        known = np.flatnonzero(~np.isnan(history))
        if not known.size:
            return np.full(steps, np.nan)
        whole = np.interp(np.arange(known[0], history.size), known, history[known])
        season = self.settings.season_steps or 1
        if whole.size < _LEAST + season or np.ptp(whole) == 0:
            return np.full(steps, whole[-1])
        from statsforecast.models import AutoETS

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of short series and long seasons
            model = AutoETS(season_length=season)
            return np.asarray(model.forecast(y=whole, h=steps)["mean"], dtype=np.float64)
