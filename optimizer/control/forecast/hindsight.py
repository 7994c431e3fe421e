"""What each of many bounds would have cost who had sized replicas for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizer.control.forecast.settings import ForecastSettings

__all__ = ["Hindsight"]

FloatArray = NDArray[np.float64]

# Costs are remembered so many times as long as the errors of forecasts.
_MEMORIES = 5.0
# A bound counts by its cost over that of the best, to this power: one that is 3 % dearer counts for
# half, one that is a tenth dearer for a tenth.
_SHARPNESS = 24.0
# What every bound is thought to have cost before anything is known: the load itself for so many
# steps. Until about then a bound's merits count little.
_DOUBTFUL_STEPS = 30.0
# Replicas complete so many times what they carry within their objectives: that works a backlog off.
_FLAT_OUT = 1.25
# The last value times these is a floor of every bound.
_FACTORS = np.array([1.0, 1.05, 1.1, 1.2, 1.4, 1.8, 2.5])[None, :, None]
_USUAL_FACTOR = 1.1
# Weight of an unusual bound beside a usual one of the same cost; before anything is known none.
_UNUSUAL = 0.01


class Hindsight:
    """Judges bounds: each of several bases, at least the last value times each of some factors.

    Loads do not depend on replicas, so that what every bound would have led to can be told. A
    replica that a bound asks for serves some steps later. What is held counts as it is; a load that
    is more than what serves by then is missed as a whole, since requests beyond what replicas carry
    make all of them late, and so is what comes until the backlog is worked off.

    Parameters
    ----------
    settings
        `scored_steps`: how far ahead replicas must be asked for; a load that rises within a step is
        glimpsed at, so that it counts for one less. `memory_steps`: how long costs are remembered.
    usual
        Places of the bases that are trusted before anything is known; and how many there are.
    """

    def __init__(self, settings: ForecastSettings, usual: tuple[int, ...], bases: int) -> None:
        self._lag = max(settings.scored_steps - 1, 1)
        self._fade = float(np.exp(-1.0 / (_MEMORIES * settings.memory_steps)))
        self._bases = bases
        self._usual = np.zeros((bases, _FACTORS.size, 1), np.bool_)
        self._usual[list(usual), int(np.argmax(_FACTORS == _USUAL_FACTOR))] = True

    def begin(self, series: int) -> dict[str, FloatArray]:
        """Return the state of so many series of which nothing was seen."""
        judged = (self._bases, _FACTORS.size, series)
        return {
            "held": np.zeros(judged),
            "missed": np.zeros(judged),
            "backlog": np.zeros(judged),
            "came": np.zeros((1, series)),
            "judged_steps": np.zeros((1, series)),
            # Bases and last values as they were 1, 2, ... steps ago.
            "past_bases": np.full((self._lag, self._bases, series), np.nan),
            "past_last": np.full((self._lag, series), np.nan),
        }

    def judge(self, state: dict[str, FloatArray], values: FloatArray) -> None:
        """Take in what came, NaN where that is missing, before what is bounded by it."""
        bases, last = state["past_bases"], state["past_last"]
        known = np.isfinite(values) & np.isfinite(last).all(axis=0)
        serving = held = self.floored(bases[0], last[0])
        for ago in range(1, self._lag):
            serving = np.minimum(serving, self.floored(bases[ago], last[ago]))
        backlog, spare = state["backlog"], np.maximum(_FLAT_OUT * serving - values, 1e-300)
        late = np.where(values > serving, 1.0, np.minimum(backlog, spare) / spare)
        backlog = np.maximum(backlog + values - _FLAT_OUT * serving, 0.0)
        state["backlog"] = np.where(known, backlog, state["backlog"])
        fade = np.where(known, self._fade, 1.0)
        for name, cost in (
            ("held", held),
            ("missed", late * values),
            ("came", values),
            ("judged_steps", 1.0),
        ):
            state[name] = state[name] * fade + np.where(known, cost, 0.0)

    def remember(self, state: dict[str, FloatArray], bases: FloatArray, last: FloatArray) -> None:
        """Remember bases (bases, series) and last values (series,) as they are now."""
        for name, now in (("past_bases", bases), ("past_last", last)):
            state[name] = np.concatenate([now[None], state[name][:-1]])

    @staticmethod
    def forget_bounds(state: dict[str, FloatArray]) -> None:
        """Forget the last bounds and their backlogs: after a silence they are of another time."""
        state["past_bases"][:] = state["past_last"][:] = np.nan
        state["backlog"][:] = 0.0

    @staticmethod
    def floored(bases: FloatArray, last: FloatArray) -> FloatArray:
        """Return the bounds, (bases, factors, series)."""
        return np.asarray(np.maximum(bases[:, None], _FACTORS * last))

    def weights(self, state: dict[str, FloatArray], odds: float) -> FloatArray:
        """Return by how much each bound counts, (bases, factors, series); they sum to 1.

        Parameters
        ----------
        odds
            What a missed load costs, in units of what it costs to hold as much.
        """
        steps = state["judged_steps"]
        each = state["came"] / np.maximum(steps, 1.0)
        cost = state["held"] + odds * state["missed"] + _DOUBTFUL_STEPS * each
        with np.errstate(divide="ignore", invalid="ignore"):
            dearer = np.log(cost) - np.log(cost.min(axis=(0, 1)))
            prior = np.where(self._usual, 0.0, np.log(_UNUSUAL * steps / (steps + _DOUBTFUL_STEPS)))
        score = prior - _SHARPNESS * np.nan_to_num(dearer, posinf=np.inf)
        weight = np.exp(score - score.max(axis=(0, 1)))
        return np.asarray(weight / weight.sum(axis=(0, 1)))
