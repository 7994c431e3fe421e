"""What load is expected of every service: the forecasters, fed with what was seen."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from optimizer.control.forecast import ForecastSettings, LoadForecaster, ObservedLoad
from optimizer.control.spec import FleetObservation, ForecastSpec, LoadForecast, ServiceObservation
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["Expectations", "longest_start_up_s"]

# Standard deviations of a count that what is seen must lie above a forecast to replace it: within
# the window, and within the last moments, which are looked at more often.
_SURPRISE_SD, _GLIMPSE_SD = 1.0, 3.0
# Forecasts are judged as far ahead as replicas need to start, but not further than so many steps.
_MOST_SCORED = 15
# Fewer requests than this in a day are none [1/s].
_NEXT_TO_NOTHING_RPS = 1.0 / 86_400.0


class Expectations:
    """Forecasts of the loads of a fleet's services.

    Parameters
    ----------
    spec
        Method, quantile, step, season.
    horizon_s
        How far ahead replicas have to be there [s].
    window_s, recent_s
        Time over which rates and recent rates are counted [s].
    effort
        Of a service's request with these mean lengths; see `Efforts`.
    """

    def __init__(
        self,
        spec: ForecastSpec,
        horizon_s: float,
        window_s: float,
        recent_s: float,
        effort: Callable[[str, float | None, float | None], float],
    ) -> None:
        season = None if spec.season_s is None else max(round(spec.season_s / spec.step_s), 2)
        ahead = min(max(math.ceil(horizon_s / spec.step_s - 1e-9), 1), _MOST_SCORED)
        self._spec, self._horizon_s = spec, horizon_s
        self._window_s, self._recent_s, self._effort = window_s, recent_s, effort
        self._busy_s: dict[str, float] = {}
        self._lengths: dict[str, tuple[float | None, float | None]] = {}
        self._forecaster = LoadForecaster(
            spec.step_s,
            spec.method,
            ForecastSettings(season_steps=season, scored_steps=ahead),
        )

    def observe(self, seen: FleetObservation) -> None:
        """Take in what was seen; figures that are missing are missing to the forecaster too."""
        for service in seen.services:
            if service.arrival_rate_rps.value != 0.0:
                self._busy_s[service.service] = seen.at_s
            before = self._lengths.get(service.service, (None, None))
            self._lengths[service.service] = (
                service.input_tokens.value or before[0],
                service.output_tokens.value or before[1],
            )
        self._forecaster.observe(
            seen.at_s,
            {
                service.service: ObservedLoad(
                    rate_rps=service.arrival_rate_rps.value,
                    input_tokens=service.input_tokens.value,
                    output_tokens=service.output_tokens.value,
                    work=self._work(service.service, service.arrival_rate_rps.value),
                )
                for service in seen.services
            },
        )
        self._forecaster.glimpse(
            {
                service.service: ObservedLoad(
                    work=self._work(
                        service.service,
                        _surely(service.recent_rate_rps.value, _GLIMPSE_SD, self._recent_s),
                    )
                )
                for service in seen.services
            }
        )

    def _work(self, service: str, rate_rps: float | None) -> float | None:
        """Return the work that a rate of requests is, at the lengths that were seen last."""
        if rate_rps is None:
            return None
        return rate_rps * self._effort(service, *self._lengths.get(service, (None, None)))

    def forecasts(self, seen: FleetObservation) -> dict[str, LoadForecast]:
        """Return what is expected of every service of which something was ever seen."""
        expected = self._forecaster.forecast(self._horizon_s, self._spec.quantile)
        now = {service.service: service for service in seen.services}
        found = {}
        for name, forecast in expected.items():
            upper = forecast.peak_work
            if math.isnan(upper):
                continue
            if seen.at_s - self._busy_s.get(name, -math.inf) >= self._spec.idle_s:
                upper = float(forecast.mean_work[-1])  # the spread remembers times that are over
            upper = max(upper, self._surprise(now.get(name)))
            prompt = _number(forecast.mean_input_tokens[0])
            output = _number(forecast.mean_output_tokens[0])
            found[name] = LoadForecast(
                service=name,
                horizon_s=self._horizon_s,
                arrival_rate_rps=_above_nothing(float(forecast.mean_rate_rps[-1])),
                upper_rate_rps=_above_nothing(upper / self._effort(name, prompt, output)),
                input_tokens=prompt,
                output_tokens=output,
                method=self._spec.method,
            )
        return found

    def _surprise(self, seen: ServiceObservation | None) -> float:
        """Return the work that is surely there now, which no forecast may be below."""
        if seen is None:
            return 0.0
        rates = (
            _surely(seen.arrival_rate_rps.value, _SURPRISE_SD, self._window_s),
            _surely(seen.recent_rate_rps.value, _GLIMPSE_SD, self._recent_s),
        )
        return max(self._work(seen.service, rate) or 0.0 for rate in rates)

    def state(self) -> dict[str, Any]:
        """Return what to write down."""
        return {**self._forecaster.checkpoint(), "busy_s": self._busy_s}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what was written down, where the method and its step are the same."""
        if (state.get("method"), state.get("step_s")) == (self._spec.method, self._spec.step_s):
            self._forecaster = LoadForecaster.restore(state)
            self._busy_s = {str(name): float(at) for name, at in state["busy_s"].items()}


def longest_start_up_s(fleet: FleetSpec) -> float:
    """Return the longest start-up time of the fleet's configurations [s]."""
    default = fleet.optimizer.transition.start_up_s
    times = (default if p.start_up_s is None else p.start_up_s for p in fleet.performance)
    return max(times, default=default)


def _surely(rate_rps: float | None, deviations: float, counted_s: float) -> float | None:
    """Return a rate less what chance may have added to the count that it comes from."""
    if rate_rps is None:
        return None
    return max(rate_rps - deviations * math.sqrt(rate_rps / counted_s), 0.0)


def _above_nothing(rate_rps: float) -> float:
    return rate_rps if rate_rps > _NEXT_TO_NOTHING_RPS else 0.0


def _number(value: float) -> float:
    return float(value) if math.isfinite(value) else 0.0
