"""By what factor a load grows within some steps: quantiles, weighted by the load itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from optimizer.control.forecast.settings import ForecastSettings

__all__ = ["Growth"]

FloatArray = NDArray[np.float64]

# Edges of the factors that are told apart; beyond them counts as the last.
_EDGES = np.geomspace(0.5, 4.0, 65)
# Errors of forecasts are remembered for a hundred steps or so; what is seen of growth is longer.
_MEMORIES = 5.0


class Growth:
    """Counts by what factor series changed from one step to a number of steps later.

    Each change counts for as much as the load was before it: what a factor of headroom costs is in
    proportion to that, and what comes out of nothing is prepared for by no factor.

    Parameters
    ----------
    settings
        `scored_steps` later is looked at; `memory_steps`: how long it counts.
    """

    def __init__(self, settings: ForecastSettings) -> None:
        self._fade = float(np.exp(-1.0 / (_MEMORIES * settings.memory_steps)))

    @staticmethod
    def begin(settings: ForecastSettings, series: int) -> dict[str, FloatArray]:
        """Return the state of so many series of which nothing was seen."""
        return {
            "growth_past": np.full((settings.scored_steps, series), np.nan),
            "growth_weight": np.zeros((_EDGES.size - 1, series)),
        }

    def add(self, state: dict[str, FloatArray], values: FloatArray) -> None:
        """Take the next value of each series into the state; NaN where it is missing."""
        before = state["growth_past"][-1]
        usable = (before > 0) & np.isfinite(values)
        factor = np.minimum(values[usable], _EDGES[-1] * before[usable]) / before[usable]
        place = np.clip(np.searchsorted(_EDGES, factor, side="right") - 1, 0, _EDGES.size - 2)
        state["growth_weight"] *= np.where(usable, self._fade, 1.0)
        state["growth_weight"][place, np.flatnonzero(usable)] += before[usable]
        state["growth_past"] = np.concatenate([values[None, :], state["growth_past"][:-1]])

    @staticmethod
    def quantiles(state: dict[str, FloatArray], probabilities: Sequence[float]) -> FloatArray:
        """Return factors not exceeded with each probability, (probabilities, series); 1 if unknown.

        Within a bin they rise evenly.
        """
        weight = state["growth_weight"]
        total = weight.sum(axis=0)
        rising = np.cumsum(weight, axis=0) / np.maximum(total, 1e-300)
        found = np.ones((len(probabilities), weight.shape[1]))
        column = np.arange(weight.shape[1])
        for row, probability in enumerate(probabilities):
            place = np.argmax(rising >= probability * (1.0 - 1e-12), axis=0)
            above = rising[place, column]
            below = np.where(place > 0, rising[np.maximum(place - 1, 0), column], 0.0)
            share = (probability - below) / np.maximum(above - below, 1e-300)
            low, high = _EDGES[place], _EDGES[place + 1]
            found[row] = np.where(total > 0, low + (high - low) * np.clip(share, 0.0, 1.0), 1.0)
        return found
