"""The abstract forecaster: what every method, ours or a guest, promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optimizer.control.forecast.array_text import array_from_text, array_to_text
from optimizer.control.forecast.errors import ForecastError
from optimizer.control.forecast.past_errors import PastErrors
from optimizer.control.forecast.settings import ForecastSettings

__all__ = ["Forecast", "Forecaster", "State"]

FloatArray = NDArray[np.float64]
State = dict[str, NDArray[Any]]
"""Arrays by name; the last axis is the series."""

# Missing steps of a silence that are taken one by one.
_COUNTED = 32


@dataclass(frozen=True, eq=False)
class Forecast:
    """Forecasts of several steps ahead of several series.

    Parameters
    ----------
    mean
        (steps, series): expected values, the next step first; NaN where nothing was ever seen.
    quantiles
        By probability, (steps, series): values not exceeded with that probability.
    """

    mean: FloatArray
    quantiles: Mapping[float, FloatArray]


class Forecaster(ABC):
    """Forecasts many series together, from one value of each per step.

    A subclass gives `begin`, `absorb` and `path`; whatever it must remember stands in `state`,
    arrays whose last axis is the series. Checkpoints, series that come and go, and the spread of
    forecasts, measured on their own past errors, are then taken care of. A forecaster's decisions
    depend on nothing but what it was given so far. It is registered in the entry-point group
    `fleetopt.forecasters`.

    Parameters
    ----------
    series
        How many, >= 0.
    settings
        See `ForecastSettings`.

    Attributes
    ----------
    name
        Name in the registry.
    summary
        One line on what it is and when to choose it.
    source
        Where the formulas come from.
    state
        What it remembers.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str] = ""

    def __init__(self, series: int = 1, settings: ForecastSettings | None = None) -> None:
        if series < 0:
            raise ForecastError(f"Forecaster.series = {series}: must be 0 or more")
        self.settings = settings or ForecastSettings()
        self.series = series
        self.state: State = self.begin(series)
        self._errors = PastErrors(self.settings, series)

    @abstractmethod
    def begin(self, series: int) -> State:
        """Return the state of so many series of which nothing was seen."""

    @abstractmethod
    def absorb(self, values: FloatArray) -> None:
        """Take the next value of each series, (series,), into the state; NaN where it is missing.

        A missing value is one that nobody knows: it is neither zero nor the last one again.
        """

    @abstractmethod
    def path(self, steps: int) -> FloatArray:
        """Return the expected next values, (steps, series); NaN where nothing was seen."""

    def update(self, values: ArrayLike) -> None:
        """Take the next value of each series, one step after the last.

        Parameters
        ----------
        values
            (series,); NaN where the value is missing.

        Raises
        ------
        ForecastError
            If there are more or fewer values than series, or one is infinite.
        """
        taken = np.array(values, dtype=np.float64).reshape(-1)
        if taken.size != self.series:
            raise ForecastError(f"update: {taken.size} values came for {self.series} series")
        if np.isinf(taken).any():
            place = int(np.flatnonzero(np.isinf(taken))[0])
            raise ForecastError(f"update: value {place} is infinite; give NaN for a missing one")
        self._errors.score(taken)
        self.absorb(taken)
        self._errors.expect(self._bounded_path(self.settings.scored_steps))

    def skip(self, steps: int) -> None:
        """Let steps pass in which no value is known; however many, it costs as much as a few.

        The first ones are missing values like others; after so many nothing but the time goes on.
        """
        for _ in range(min(steps, _COUNTED)):
            self.update(np.full(self.series, np.nan))
        if steps > _COUNTED:
            self.leap(steps - _COUNTED)

    def leap(self, steps: int) -> None:
        """Let time pass, and expect anew: what was expected was of steps that are over."""
        self.elapse(steps)
        self._errors.forget_expected()
        self._errors.expect(self._bounded_path(self.settings.scored_steps))

    def elapse(self, steps: int) -> None:
        """Let the state's time go on by so many steps; a forecaster without a clock has none."""
        del steps

    def forecast(self, steps: int, probabilities: Sequence[float] = ()) -> Forecast:
        """Return expected values and quantiles of the next steps.

        Parameters
        ----------
        steps
            How many, >= 1.
        probabilities
            Of the quantiles, each between 0 and 1, both excluded.

        Raises
        ------
        ForecastError
            If one of them is out of range.
        """
        if steps < 1:
            raise ForecastError(f"forecast: steps = {steps}: must be at least 1")
        for probability in probabilities:
            if not 0 < probability < 1:
                raise ForecastError(
                    f"forecast: probability = {probability}: must lie between 0 and 1"
                )
        mean = self._bounded_path(steps)
        quantiles = self.quantiles_of(mean, probabilities)
        least = self.settings.least
        return Forecast(mean, {p: np.maximum(q, least) for p, q in quantiles.items()})

    def glimpse(self, values: FloatArray) -> None:
        """Look at the step that is not over yet, (series,); NaN where nothing is known.

        A forecaster that follows at once replaces it; others wait for the step's end. What was
        glimpsed is forgotten at the next `update`.
        """
        del values

    def quantiles_of(
        self, mean: FloatArray, probabilities: Sequence[float]
    ) -> Mapping[float, FloatArray]:
        """Return quantiles about expected values (steps, series), by how far those were off.

        A forecaster that knows better replaces it.
        """
        return self._errors.quantiles(mean, probabilities)

    @property
    def mean_absolute_error(self) -> FloatArray:
        """(series,): recent mean absolute error over the scored steps; NaN before any is known."""
        return self._errors.mean_absolute

    def keep(self, places: Sequence[int]) -> None:
        """Go on with these series, in this order; -1 stands for a new one.

        Raises
        ------
        ForecastError
            If a place is that of no series.
        """
        chosen = np.array(places, dtype=np.int64).reshape(-1)
        if np.any((chosen < -1) | (chosen >= self.series)):
            raise ForecastError(f"keep: places must be -1 to {self.series - 1}, came {places}")
        self.state = _kept(self.state, self.begin(chosen.size), chosen)
        self._errors.state = _kept(
            self._errors.state, PastErrors(self.settings, chosen.size).state, chosen
        )
        self.series = chosen.size

    def checkpoint(self) -> dict[str, Any]:
        """Return all that it knows as a document for JSON; `restore` goes on bit for bit."""
        return {
            "schema_version": 1,
            "forecaster": self.name,
            "series": self.series,
            "settings": asdict(self.settings),
            "state": {name: array_to_text(array) for name, array in self.state.items()},
            "errors": {name: array_to_text(array) for name, array in self._errors.state.items()},
        }

    @classmethod
    def restore(cls, checkpoint: Mapping[str, Any]) -> Self:
        """Return a forecaster that goes on where another was checkpointed.

        Raises
        ------
        ForecastError
            If the document is of another forecaster or version, or damaged.
        """
        found = checkpoint.get("forecaster"), checkpoint.get("schema_version")
        if found != (cls.name, 1):
            raise ForecastError(
                f"checkpoint of {found[0]!r}, version {found[1]!r}: wanted {cls.name!r}, version 1"
            )
        try:
            restored = cls(int(checkpoint["series"]), ForecastSettings(**checkpoint["settings"]))
            for own, name in ((restored.state, "state"), (restored._errors.state, "errors")):
                own.update({k: array_from_text(v) for k, v in checkpoint[name].items()})
        except (KeyError, TypeError, AttributeError) as error:
            raise ForecastError(f"checkpoint: not readable: {error}") from error
        if any(array.shape[-1] != restored.series for array in restored.state.values()):
            raise ForecastError(f"checkpoint: an array is not of {restored.series} series")
        return restored

    def _bounded_path(self, steps: int) -> FloatArray:
        return np.maximum(self.path(steps), self.settings.least)


def _kept(old: State, fresh: State, chosen: NDArray[np.int64]) -> State:
    """Return the state of chosen series, fresh ones where the place is -1.

    Axes but the last may have grown since the beginning; fresh series get the grown ones.
    """
    kept: State = {}
    known = chosen >= 0
    for name, array in old.items():
        new = np.empty((*array.shape[:-1], chosen.size), array.dtype)
        new[..., known] = array[..., chosen[known]]
        if not known.all():
            blank = fresh[name][..., ~known]
            grown = [(0, have - has) for have, has in zip(new.shape, blank.shape, strict=True)]
            grown[-1] = (0, 0)
            new[..., ~known] = np.pad(blank, grown) if blank.size else 0
        kept[name] = new
    return kept
