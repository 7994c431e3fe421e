"""What is worth being ready for while replicas start: the forecaster for scaling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, final

import numpy as np

from optimizer.control.forecast.auto import AutoForecaster
from optimizer.control.forecast.base import FloatArray, Forecaster, State
from optimizer.control.forecast.errors import ForecastError
from optimizer.control.forecast.hindsight import Hindsight
from optimizer.control.forecast.settings import ForecastSettings
from optimizer.control.forecast.slow_levels import SlowLevels

__all__ = ["HeadroomForecaster"]

# Quantiles of `auto` that are bases of bounds; the usual one is trusted from the beginning.
_QUANTILES = (0.5, 0.9, 0.99)
_USUAL_QUANTILE = 0.9
# Bases: nothing, slow levels, quantiles of `auto`.
_BASES = 1 + SlowLevels.COUNT + len(_QUANTILES)
_USUAL = (
    *(1 + place for place in SlowLevels.USUAL),
    1 + SlowLevels.COUNT + _QUANTILES.index(_USUAL_QUANTILE),
)


@final
class HeadroomForecaster(Forecaster):
    """Expects what `auto` expects; its quantiles are what is worth being ready for.

    Who sizes replicas does not ask how often a load is exceeded, but whether being ready for more
    is worth what it costs. A quantile p is what is best where a load that is missed, as a whole,
    costs p / (1 - p) times what holding as much does. Many bounds are tried on what came: slow
    levels and spreads about them, which do not go down with every lull; quantiles of `auto`, close
    where a load is predictable; each not below some multiple of the last value, which follows
    bursts. They are mixed by what each would have cost lately.
    """

    name: ClassVar[str] = "headroom"
    summary: ClassVar[str] = "what is worth being ready for, by hindsight: for scaling"
    source: ClassVar[str] = "Littlestone and Warmuth (1994), The weighted majority algorithm"

    def __init__(self, series: int = 1, settings: ForecastSettings | None = None) -> None:
        known = settings or ForecastSettings()
        self._hindsight = Hindsight(known, _USUAL, _BASES)
        self._levels = SlowLevels(known)
        super().__init__(series, known)
        self._auto = AutoForecaster(series, known)

    def begin(self, series: int) -> State:
        """Return the state: last values, levels, and what the bounds were and cost."""
        return {
            "last": np.full((1, series), np.nan),
            **SlowLevels.begin(series),
            **self._hindsight.begin(series),
        }

    def absorb(self, values: FloatArray) -> None:
        """Judge the bounds that were made of these values, and tell every part."""
        own = self.state
        self._hindsight.judge(own, values)
        own["last"] = np.where(np.isnan(values), own["last"], values)
        self._levels.add(own, values)
        self._auto.update(values)
        ahead = self._foreseen(self.settings.scored_steps)[:, -1]
        bases = np.concatenate([self._slow(), ahead])
        self._hindsight.remember(own, bases, own["last"][0])

    def elapse(self, steps: int) -> None:
        """Let time pass for every part; bounds of steps that are over are not judged."""
        Hindsight.forget_bounds(self.state)
        self._auto.leap(steps)

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
        last, foreseen = self.state["last"][0], self._foreseen(len(mean))
        slow = Hindsight.floored(self._slow(), last)
        found: dict[float, FloatArray] = {}
        below: FloatArray | None = None
        for probability in sorted(probabilities):
            weights = self._hindsight.weights(self.state, probability / (1.0 - probability))
            fixed = (weights[: len(slow)] * slow).sum(axis=(0, 1))
            bound = np.array(
                [
                    fixed + (weights[len(slow) :] * Hindsight.floored(step, last)).sum(axis=(0, 1))
                    for step in foreseen.swapaxes(0, 1)
                ]
            )
            below = found[probability] = bound if below is None else np.maximum(bound, below)
        return found

    def keep(self, places: Sequence[int]) -> None:
        """Go on with these series; see `Forecaster.keep`."""
        super().keep(places)
        self._auto.keep(places)

    def checkpoint(self) -> dict[str, Any]:
        """Return all that it knows; see `Forecaster.checkpoint`."""
        return super().checkpoint() | {"auto": self._auto.checkpoint()}

    @classmethod
    def restore(cls, checkpoint: Mapping[str, Any]) -> Self:
        """Return a forecaster that goes on; see `Forecaster.restore`."""
        restored = super().restore(checkpoint)
        try:
            restored._auto = AutoForecaster.restore(checkpoint["auto"])
        except (KeyError, TypeError) as error:
            raise ForecastError(f"checkpoint: not readable: {error}") from error
        return restored

    def _slow(self) -> FloatArray:
        """Return the bases that are the same for all steps ahead, (bases, series)."""
        levels = SlowLevels.bounds(self.state)
        return np.concatenate([np.zeros((1, levels.shape[1])), levels])

    def _foreseen(self, steps: int) -> FloatArray:
        """Return the largest quantile of `auto` up to every step, (bases, steps, series)."""
        quantiles = self._auto.forecast(steps, _QUANTILES).quantiles
        return np.maximum.accumulate(np.stack([quantiles[p] for p in _QUANTILES]), axis=1)
