"""Loads of named services: rate, prompt and output lengths, each a series of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from optimizer.control.forecast.base import Forecaster
from optimizer.control.forecast.errors import ForecastError
from optimizer.control.forecast.registry import get
from optimizer.control.forecast.settings import ForecastSettings

__all__ = ["LoadForecast", "LoadForecaster", "ObservedLoad"]

FloatArray = NDArray[np.float64]

_SERIES = ("rate_rps", "input_tokens", "output_tokens", "work")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedLoad:
    """What was seen of one service in one step; None where it is not known.

    Parameters
    ----------
    rate_rps
        Offered requests per second, >= 0. Zero is a known absence of requests, None is ignorance.
    input_tokens, output_tokens
        Mean lengths of the step's requests; None also where there were none.
    work
        The load in one figure, in any unit, such as the engine time that is asked for per second.
    """

    rate_rps: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    work: float | None = None


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class LoadForecast:
    """What is expected of one service, the next step first.

    Parameters
    ----------
    ahead_s
        (steps,): how far ahead [s].
    rate_rps, input_tokens, output_tokens, work
        (steps,): the quantile asked for; NaN where nothing was ever seen.
    mean_rate_rps, mean_input_tokens, mean_output_tokens, mean_work
        (steps,): expected values.
    """

    ahead_s: FloatArray
    rate_rps: FloatArray
    input_tokens: FloatArray
    output_tokens: FloatArray
    work: FloatArray
    mean_rate_rps: FloatArray
    mean_input_tokens: FloatArray
    mean_output_tokens: FloatArray
    mean_work: FloatArray

    @property
    def peak_rate_rps(self) -> float:
        """Largest rate of the steps; NaN where nothing was ever seen."""
        return float(np.max(self.rate_rps))

    @property
    def peak_work(self) -> float:
        """Largest work of the steps; NaN where nothing was ever seen."""
        return float(np.max(self.work))


class LoadForecaster:
    """Forecasts the loads of services that come and go, on a regular grid of steps.

    Parameters
    ----------
    step_s
        Length of a step [s], > 0.
    method
        Forecaster, by name.
    settings
        What the forecaster is told.

    Raises
    ------
    ForecastError
        If the step is not a positive number, or the forecaster is unknown.
    """

    def __init__(
        self, step_s: float, method: str = "auto", settings: ForecastSettings | None = None
    ) -> None:
        if not (math.isfinite(step_s) and step_s > 0):
            raise ForecastError(f"LoadForecaster.step_s = {step_s}: must be greater than 0 (s)")
        self.step_s = float(step_s)
        self.method = method
        self.services: tuple[str, ...] = ()
        self._origin_s: float | None = None  # time of the first step
        self._step = -1  # steps since then
        self._forecaster: Forecaster = get(method)(0, settings)

    def observe(self, time_s: float, loads: Mapping[str, ObservedLoad]) -> bool:
        """Take what was seen of services in the step that ends at a time.

        Steps in between without a call are missing for every service, as is in this step a
        service that `loads` leaves out. Services not seen before are added.

        Returns
        -------
        bool
            False, and nothing is taken, where the step of that time is past or was taken.

        Raises
        ------
        ForecastError
            If the time is no number, or a rate or a length is negative or infinite.
        """
        if not math.isfinite(time_s):
            raise ForecastError(f"observe: time_s = {time_s}: must be a number (s)")
        values = {name: _values(name, load) for name, load in loads.items()}
        if self._origin_s is None:
            self._origin_s = time_s
        step = round((time_s - self._origin_s) / self.step_s)
        if step <= self._step:
            return False
        self.keep([*self.services, *(name for name in loads if name not in self.services)])
        nothing = np.full(len(_SERIES), np.nan)
        self._forecaster.skip(step - self._step - 1)
        self._forecaster.update(
            np.concatenate([values.get(name, nothing) for name in self.services])
            if self.services
            else np.zeros(0)
        )
        self._step = step
        return True

    def glimpse(self, loads: Mapping[str, ObservedLoad]) -> None:
        """Look at the step that is not over yet; see `Forecaster.glimpse`."""
        if self.services:
            nothing = np.full(len(_SERIES), np.nan)
            values = {name: _values(name, load) for name, load in loads.items()}
            seen = [values.get(name, nothing) for name in self.services]
            self._forecaster.glimpse(np.concatenate(seen))

    def forecast(self, ahead_s: float, probability: float = 0.5) -> dict[str, LoadForecast]:
        """Return what is expected of every service, up to so far ahead, and at least one step.

        Parameters
        ----------
        ahead_s
            How far ahead [s], from the end of the last step.
        probability
            With which the quantiles are not exceeded.
        """
        if not (math.isfinite(ahead_s) and ahead_s >= 0):
            raise ForecastError(f"forecast: ahead_s = {ahead_s}: must be 0 or more (s)")
        if not self.services:
            return {}
        steps = max(math.ceil(ahead_s / self.step_s - 1e-9), 1)
        found = self._forecaster.forecast(steps, (probability,))
        quantile = found.quantiles[probability]
        ahead = self.step_s * np.arange(1, steps + 1, dtype=np.float64)
        return {
            service: LoadForecast(
                ahead_s=ahead,
                **{n: quantile[:, at + i] for i, n in enumerate(_SERIES)},
                **{f"mean_{n}": found.mean[:, at + i] for i, n in enumerate(_SERIES)},
            )
            for service, at in zip(
                self.services,
                range(0, len(_SERIES) * len(self.services), len(_SERIES)),
                strict=True,
            )
        }

    def keep(self, services: Iterable[str]) -> None:
        """Go on with these services; others are forgotten, new ones begin."""
        wanted = tuple(dict.fromkeys(services))
        if wanted == self.services:
            return
        place = {name: i for i, name in enumerate(self.services)}
        self._forecaster.keep(
            [
                len(_SERIES) * place[name] + i if name in place else -1
                for name in wanted
                for i in range(len(_SERIES))
            ]
        )
        self.services = wanted

    def checkpoint(self) -> dict[str, Any]:
        """Return all that it knows as a document for JSON."""
        return {
            "schema_version": 1,
            "step_s": self.step_s,
            "method": self.method,
            "services": list(self.services),
            "origin_s": self._origin_s,
            "step": self._step,
            "forecaster": self._forecaster.checkpoint(),
        }

    @classmethod
    def restore(cls, checkpoint: Mapping[str, Any]) -> Self:
        """Return a forecaster that goes on where another was checkpointed.

        Raises
        ------
        ForecastError
            If the document cannot be read.
        """
        if checkpoint.get("schema_version") != 1:
            raise ForecastError(
                f"checkpoint: schema_version = {checkpoint.get('schema_version')}: wanted 1"
            )
        try:
            method = str(checkpoint["method"])
            restored = cls(float(checkpoint["step_s"]), method)
            restored.services = tuple(str(name) for name in checkpoint["services"])
            origin_s = checkpoint["origin_s"]
            restored._origin_s = None if origin_s is None else float(origin_s)
            restored._step = int(checkpoint["step"])
            restored._forecaster = get(method).restore(checkpoint["forecaster"])
        except (KeyError, TypeError) as error:
            raise ForecastError(f"checkpoint: not readable: {error}") from error
        if restored._forecaster.series != len(_SERIES) * len(restored.services):
            raise ForecastError("checkpoint: the series are not those of the services")
        return restored


def _values(service: str, load: ObservedLoad) -> FloatArray:
    """Return the values of the service's series, NaN where unknown."""
    found = []
    for name in _SERIES:
        value = getattr(load, name)
        number = math.nan if value is None else float(value)
        if number < 0 or math.isinf(number):
            raise ForecastError(
                f"observe: {service}.{name} = {value}: must be a number, 0 or more, or None"
            )
        found.append(number)
    return np.array(found)
