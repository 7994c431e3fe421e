"""What a load stays below while replicas start: the forecaster for scaling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self, final

import numpy as np

from optimizer.control.forecast.auto import AutoForecaster
from optimizer.control.forecast.base import FloatArray, Forecaster, State
from optimizer.control.forecast.errors import ForecastError
from optimizer.control.forecast.growth import Growth
from optimizer.control.forecast.settings import ForecastSettings
from optimizer.control.forecast.slow_level import SlowLevelForecaster

__all__ = ["HeadroomForecaster"]

# Bounds are judged at this probability.
_JUDGED = 0.9
# A load above its bound is missed as a whole, and costs so many times what as much idle room does.
_MISSED = 10.0
# A bound counts by its cost over that of the better one, to this power.
_SHARPNESS = 12.0
# The level and its errors are remembered so many times as long as the errors of forecasts.
_MEMORIES = 5.0


@final
class HeadroomForecaster(Forecaster):
    """Expects what `auto` expects; its quantiles are bounds that suit who must be ready for loads.

    Three bounds are told from the past: the quantile of `auto`, which is close where a load is
    predictable; a slow level and how far the load strays from it, which does not go down with every
    lull; and the last value times the quantile of its growth, which follows a burst. The first two
    are mixed by what they would have cost lately, a missed load counting as a whole; the third is
    never gone below. Upper quantiles are therefore not exceeded more often than they say, and where
    bursts are, less often.
    """

    name: ClassVar[str] = "headroom"
    summary: ClassVar[str] = "auto, with bounds for lulls and bursts: for scaling"
    source: ClassVar[str] = "Littlestone and Warmuth (1994), The weighted majority algorithm"

    def __init__(self, series: int = 1, settings: ForecastSettings | None = None) -> None:
        super().__init__(series, settings)
        self._auto = AutoForecaster(series, self.settings)
        longer = replace(self.settings, memory_steps=self.settings.memory_steps * _MEMORIES)
        self._level = SlowLevelForecaster(series, longer)

    def begin(self, series: int) -> State:
        """Return the state: last values, growth, and what the bounds were and cost."""
        return {
            "last": np.full((1, series), np.nan),
            "cost": np.zeros((2, series)),
            # Bounds made 1, 2, ... steps ago, of as many steps ahead as are scored.
            "bounds": np.full((self.settings.scored_steps, 2, series), np.nan),
            **Growth.begin(self.settings, series),
        }

    def absorb(self, values: FloatArray) -> None:
        """Judge the bounds that were made of these values, and tell every part."""
        own = self.state
        made, known = own["bounds"][-1], ~np.isnan(values)
        idle = np.maximum(made - values, 0.0)
        cost = np.where(values > made, _MISSED * values, idle)
        fade = float(np.exp(-1.0 / (_MEMORIES * self.settings.memory_steps)))
        judged = known & np.isfinite(made)
        own["cost"] = np.where(judged, own["cost"] * fade + cost, own["cost"])
        Growth(self.settings).add(own, values)
        own["last"] = np.where(known, values, own["last"])
        for part in (self._auto, self._level):
            part.update(values)
        own["bounds"] = np.concatenate([self._both(_JUDGED)[None], own["bounds"][:-1]])

    def elapse(self, steps: int) -> None:
        """Let time pass for every part; bounds of steps that are over are not judged."""
        self.state["bounds"][:] = np.nan
        for part in (self._auto, self._level):
            part.leap(steps)

    def glimpse(self, values: FloatArray) -> None:
        """Let the last value rise to what is seen; see `Forecaster.glimpse`."""
        self.state["last"] = np.where(
            np.isnan(self.state["last"]), np.nan, np.fmax(self.state["last"], values)
        )

    def path(self, steps: int) -> FloatArray:
        """Return what `auto` expects."""
        return self._auto.path(steps)

    def quantiles_of(
        self, mean: FloatArray, probabilities: Sequence[float]
    ) -> dict[float, FloatArray]:
        """Return the bounds; see `Forecaster.quantiles_of`."""
        steps = len(mean)
        ours = self._auto.forecast(steps, probabilities).quantiles
        level = self._level.forecast(steps, probabilities).quantiles
        by_auto, by_level = self.weights
        grown = self.state["last"] * Growth.quantiles(self.state, probabilities)
        return {
            p: np.fmax(by_auto * ours[p] + by_level * level[p], grown[i])
            for i, p in enumerate(probabilities)
        }

    @property
    def weights(self) -> FloatArray:
        """(2, series): by how much the bounds of `auto` and of the slow level count."""
        cost = np.maximum(self.state["cost"], 1e-300)
        odds = (cost / cost.min(axis=0)) ** -_SHARPNESS
        return np.asarray(odds / odds.sum(axis=0))

    def keep(self, places: Sequence[int]) -> None:
        """Go on with these series; see `Forecaster.keep`."""
        super().keep(places)
        self._auto.keep(places)
        self._level.keep(places)

    def checkpoint(self) -> dict[str, Any]:
        """Return all that it knows; see `Forecaster.checkpoint`."""
        parts = {"auto": self._auto.checkpoint(), "level": self._level.checkpoint()}
        return super().checkpoint() | {"parts": parts}

    @classmethod
    def restore(cls, checkpoint: Mapping[str, Any]) -> Self:
        """Return a forecaster that goes on; see `Forecaster.restore`."""
        restored = super().restore(checkpoint)
        try:
            parts = checkpoint["parts"]
            restored._auto = AutoForecaster.restore(parts["auto"])
            restored._level = SlowLevelForecaster.restore(parts["level"])
        except (KeyError, TypeError) as error:
            raise ForecastError(f"checkpoint: not readable: {error}") from error
        return restored

    def _both(self, probability: float) -> FloatArray:
        """Return the bounds of `auto` and of the slow level at the last scored step."""
        steps = self.settings.scored_steps
        found = [
            part.forecast(steps, (probability,)).quantiles[probability][-1]
            for part in (self._auto, self._level)
        ]
        return np.array(found)
