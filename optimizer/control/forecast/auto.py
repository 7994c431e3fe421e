"""The forecaster that chooses a forecaster for every series, and again at every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, final

import numpy as np

from optimizer.control.forecast.base import FloatArray, Forecaster, State
from optimizer.control.forecast.errors import ForecastError
from optimizer.control.forecast.registry import get
from optimizer.control.forecast.settings import ForecastSettings

__all__ = ["AutoForecaster"]

_METHODS = ("last-value", "local-level", "damped-holt", "holt-winters")
# A method counts by its mean absolute error over that of the best, to this power: one that is
# 6 % worse counts for half, one that is 40 % worse for nothing.
_SHARPNESS = 12.0


@final
class AutoForecaster(Forecaster):
    """Follows, in every series, those methods that were least wrong lately.

    All methods run side by side; each counts by its own mean absolute error of the last steps, one
    to `scored_steps` ahead, to the power of -12. Methods that are nearly as good as each other are
    averaged, which is better than either and keeps the forecast from jumping between them.
    """

    name: ClassVar[str] = "auto"
    summary: ClassVar[str] = "follows the methods that were least wrong lately: the default"
    source: ClassVar[str] = "Bates and Granger (1969), The combination of forecasts"

    def __init__(self, series: int = 1, settings: ForecastSettings | None = None) -> None:
        super().__init__(series, settings)
        self._methods = [get(name)(series, self.settings) for name in _METHODS]

    def begin(self, series: int) -> State:
        """Return nothing: each method has a state of its own."""
        return {"series": np.zeros((1, series))}

    def absorb(self, values: FloatArray) -> None:
        """Tell every method."""
        for method in self._methods:
            method.update(values)

    def elapse(self, steps: int) -> None:
        """Let time pass for every method."""
        for method in self._methods:
            method.leap(steps)

    def path(self, steps: int) -> FloatArray:
        """Return the mean of the methods' paths, weighted by how right they were."""
        paths = np.stack([method.forecast(steps).mean for method in self._methods])
        return np.asarray(np.sum(self.weights[:, None, :] * paths, axis=0))

    @property
    def weights(self) -> FloatArray:
        """(methods, series): by how much each method counts; equal before errors are known."""
        error = np.stack([method.mean_absolute_error for method in self._methods])
        unknown = np.isnan(error).any(axis=0)
        best = np.maximum(error.min(axis=0), 1e-300)
        odds = np.where(unknown, 1.0, (np.maximum(error, 1e-300) / best) ** -_SHARPNESS)
        return np.asarray(odds / odds.sum(axis=0))

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods, in the order of `weights`."""
        return tuple(method.name for method in self._methods)

    def keep(self, places: Sequence[int]) -> None:
        """Go on with these series; see `Forecaster.keep`."""
        super().keep(places)
        for method in self._methods:
            method.keep(places)

    def checkpoint(self) -> dict[str, Any]:
        """Return all that it knows; see `Forecaster.checkpoint`."""
        return super().checkpoint() | {"methods": [method.checkpoint() for method in self._methods]}

    @classmethod
    def restore(cls, checkpoint: Mapping[str, Any]) -> Self:
        """Return a forecaster that goes on; see `Forecaster.restore`."""
        restored = super().restore(checkpoint)
        try:
            parts = list(checkpoint["methods"])
        except (KeyError, TypeError) as error:
            raise ForecastError(f"checkpoint: not readable: {error}") from error
        if len(parts) != len(_METHODS):
            raise ForecastError(f"checkpoint: {len(parts)} methods, wanted {len(_METHODS)}")
        restored._methods = [
            get(name).restore(part) for name, part in zip(_METHODS, parts, strict=True)
        ]
        return restored
