"""Level and season, smoothed exponentially; the season is known or looked for."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from optimizer.control.forecast.base import FloatArray, Forecaster, State
from optimizer.control.forecast.evidence import Evidence
from optimizer.control.forecast.season_detection import detect_season
from optimizer.control.forecast.settings import ForecastSettings

__all__ = ["HoltWintersForecaster"]

IntArray = NDArray[np.int64]

# Gains of the error in level and season.
_GAINS = np.array([(a, g) for a in (0.02, 0.1, 0.3, 0.7) for g in (0.0, 0.1, 0.3)])
# A season is looked for when the history has grown by this share, and at least so many steps.
_LOOK_AGAIN, _LOOK_FIRST = 0.25, 12
# Cycles of the longest season that are kept to look for it.
_CYCLES_KEPT = 3


@final
class HoltWintersForecaster(Forecaster):
    """Additive Holt-Winters without trend, for twelve pairs of gains.

    forecast = level + season of the step. In its first cycles the season is the mean of what was
    seen, whatever the gain; before it is known, and where there is none, the method is simple
    exponential smoothing. Gains are mixed by their likelihood. Seasons that are not given are
    looked for by autocorrelation, again and again while the history grows.
    """

    name: ClassVar[str] = "holt-winters"
    summary: ClassVar[str] = "level and season: loads that repeat by the day"
    source: ClassVar[str] = "Winters (1960), Forecasting sales by exponentially weighted averages"

    def __init__(self, series: int = 1, settings: ForecastSettings | None = None) -> None:
        super().__init__(series, settings)
        self._evidence = Evidence(self.settings)

    def begin(self, series: int) -> State:
        """Return the state: level and season per pair of gains, and the values seen lately."""
        given = self.settings.season_steps or 0
        return {
            "level": np.full((len(_GAINS), series), np.nan),
            # Season by step of the cycle, pair of gains and series.
            "season": np.zeros((1, len(_GAINS), series)),
            "period": np.full((1, series), given, dtype=np.int64),
            "fitted": np.zeros((1, series), dtype=np.bool_),
            "cycles": np.zeros((1, series)),
            "age": np.zeros((1, series)),
            "step": np.zeros((1, series), dtype=np.int64),
            "looked": np.zeros((1, series), dtype=np.int64),
            "history": np.full((1, series), np.nan),
            **Evidence.begin(len(_GAINS), series),
        }

    def absorb(self, values: FloatArray) -> None:
        """Correct level and season; without a value time goes on."""
        own, known = self.state, ~np.isnan(values)
        self._remember(values)
        new = known & np.isnan(own["level"][0])
        told = np.where(known, values, 0.0)
        season, place = self._season_at(own["step"][0])
        level = np.where(new, told - season, own["level"])
        error = np.where(known, told - level - season, 0.0)
        self._evidence.add(own, error, told, known & ~new)
        own["age"] = own["age"] + known
        first = 1 / np.maximum(own["age"], 1)
        own["level"] = level + np.maximum(_GAINS[:, :1], first) * error
        gain = np.maximum(_GAINS[:, 1:], 1 / (own["cycles"] + 1)) * (1 - _GAINS[:, :1])
        moved = season + np.where(own["fitted"], gain, 0.0) * error
        np.put_along_axis(own["season"], place, moved[None], axis=0)
        own["step"] = own["step"] + 1
        ended = own["fitted"] & (own["step"] % np.maximum(own["period"], 1) == 0)
        own["cycles"] = own["cycles"] + ended
        self._learn_seasons()

    def elapse(self, steps: int) -> None:
        """Let seasons go on; of the steps that pass no values are remembered."""
        own = self.state
        step, longest = own["step"], self.settings.season_steps or self.settings.most_season_steps
        size, most = len(own["history"]), _CYCLES_KEPT * longest
        if size < most:  # it has not come round yet: what was written stays where it is
            blank = np.full((most - size, self.series), np.nan)
            own["history"] = np.concatenate([own["history"], blank])
        passed = (step + np.arange(min(steps, most))[:, None]) % most
        np.put_along_axis(own["history"], passed, np.nan, axis=0)
        period = np.maximum(own["period"], 1)
        ended = (step + steps) // period - step // period
        own["cycles"] = own["cycles"] + np.where(own["fitted"], ended, 0)
        own["step"] = step + steps

    def path(self, steps: int) -> FloatArray:
        """Return level plus the seasons of the steps to come."""
        weights = self._evidence.weights(self.state)
        level = np.sum(weights * self.state["level"], axis=0)
        step = self.state["step"] + np.arange(steps)[:, None]
        seasons = self.state["season"][self._phase(step), :, np.arange(self.series)]
        return np.asarray(level + np.einsum("tsg,gs->ts", seasons, weights))

    def _season_at(self, step: IntArray) -> tuple[FloatArray, IntArray]:
        """Return the season (gains, series) of a step, and its place for `put_along_axis`."""
        season = self.state["season"]
        place = np.broadcast_to(self._phase(step), (1, *season.shape[1:]))
        return np.take_along_axis(season, place, axis=0)[0], place

    def _phase(self, step: IntArray) -> IntArray:
        """Return at which place of its season each series is at steps (..., series)."""
        own = self.state
        return np.where(own["fitted"][0], step % np.maximum(own["period"][0], 1), 0)

    def _remember(self, values: FloatArray) -> None:
        """Keep the values of the last few of the longest seasons."""
        own = self.state
        longest = self.settings.season_steps or self.settings.most_season_steps
        size, most = len(own["history"]), _CYCLES_KEPT * longest
        if self.series and size < most and int(own["step"].max(initial=0)) >= size:
            more = np.full((min(size, most - size), self.series), np.nan)
            # What was written at step modulo size stays there: it has not come round yet.
            own["history"] = np.concatenate([own["history"], more])
        np.put_along_axis(
            own["history"], own["step"] % len(own["history"]), values[None, :], axis=0
        )

    def _last(self, steps: int, series: IntArray) -> FloatArray:
        """Return the last values of some series, (steps, series), oldest first."""
        own = self.state
        ring = own["history"][:, series]
        back = own["step"][0, series] - np.arange(steps, 0, -1)[:, None]
        return np.asarray(np.take_along_axis(ring, back % len(ring), axis=0))

    def _learn_seasons(self) -> None:
        """Look for seasons that are not given, and begin those that are known long enough."""
        own = self.state
        step = own["step"][0]
        if self.settings.season_steps is None:
            due = step >= np.maximum(own["looked"][0] * (1 + _LOOK_AGAIN), _LOOK_FIRST)
            for length in np.unique(np.minimum(step[due], len(own["history"]))):
                chosen = np.flatnonzero(due & (np.minimum(step, len(own["history"])) == length))
                self._look(chosen, int(length))
        ready = ~own["fitted"][0] & (own["period"][0] > 0) & (step >= own["period"][0])
        for period in np.unique(own["period"][0, ready]):
            self._fit(np.flatnonzero(ready & (own["period"][0] == period)), int(period))

    def _look(self, series: IntArray, length: int) -> None:
        own = self.state
        own["looked"][0, series] = own["step"][0, series]
        found = detect_season(self._last(length, series), self.settings.most_season_steps)
        changed = series[(found > 0) & (found != own["period"][0, series])]
        own["period"][0, series] = np.where(found > 0, found, own["period"][0, series])
        own["fitted"][0, changed] = False

    def _fit(self, series: IntArray, period: int) -> None:
        """Begin the season of some series with the means of the whole cycles that are known."""
        own = self.state
        if period > len(own["season"]):
            grown = period - len(own["season"])
            own["season"] = np.pad(own["season"], ((0, grown), (0, 0), (0, 0)))
        steps = int(own["step"][0, series].min())
        cycles = max(min(steps, len(own["history"])) // period, 1)
        last = self._last(cycles * period, series).reshape(cycles, period, series.size)
        about = last - _mean(last, 1)[:, None]
        season = _mean(about, 0)
        phase = (own["step"][0, series] + np.arange(period)[:, None]) % period
        for column, place in enumerate(series):
            own["season"][phase[:, column], :, place] = season[:, column, None]
        level = _mean(last[-1], 0)
        own["level"][:, series] = np.where(np.isnan(level), own["level"][:, series], level)
        own["cycles"][0, series] = cycles
        own["fitted"][0, series] = True


def _mean(values: FloatArray, axis: int) -> FloatArray:
    """Return the mean of what is known; 0 where nothing is, NaN only for whole series."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.asarray(total / np.maximum(known.sum(axis=axis), 1))
