"""The load that replicas are sized for: a forecast, with the backlog, behind a hysteresis."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from optimizer.control.expected_load import ExpectedLoad
from optimizer.control.spec import ForecastSpec, LoadForecast, ServiceObservation, StabilizationSpec

__all__ = ["PlannedLoad", "PlannedLoads"]

# Standard deviations of a count of requests that the hysteresis spans.
_NOISE_SD = 4.0


@dataclass(frozen=True, slots=True)
class PlannedLoad:
    """What one service is sized for, and whether what was seen is good enough to take away.

    Parameters
    ----------
    load
        What the optimiser is given; None: nothing was ever seen of it.
    trusted
        Whether every figure that a reduction rests on is known.
    seen_rps
        The rate that was seen, as one of requests of the lengths that are planned for; None: not
        known.
    lasting
        The load without a backlog that is worked off.
    """

    load: ExpectedLoad | None
    trusted: bool
    seen_rps: float | None = None
    lasting: ExpectedLoad | None = None


class PlannedLoads:
    """Remembers for every service what it was sized for last, and changes it reluctantly.

    The rate rises with the forecast at once. It falls when the forecast is below it by more than
    the tolerance, or by more than the noise of the count of requests, where these are few; and then
    to the middle of the band, so that noise does not raise it again. Rates are those of requests of
    the lengths that are planned for: fewer but longer requests are no smaller load.

    Parameters
    ----------
    stabilization, forecast
        Tolerances.
    effort
        Of a service's request with these mean lengths; see `Efforts`.
    """

    def __init__(
        self,
        stabilization: StabilizationSpec,
        forecast: ForecastSpec,
        effort: Callable[[str, float | None, float | None], float],
    ) -> None:
        self._spec, self._lengths = stabilization, forecast.length_tolerance
        self._effort = effort
        self._planned: dict[str, ExpectedLoad] = {}
        self._waiting: dict[str, tuple[float, float]] = {}

    def __getitem__(self, service: str) -> ExpectedLoad | None:
        """Return what a service is sized for."""
        return self._planned.get(service)

    def update(
        self,
        seen: ServiceObservation | None,
        forecast: LoadForecast | None,
        service: str,
        window_s: float,
        now_s: float = 0.0,
        help_in_s: float = 0.0,
    ) -> PlannedLoad:
        """Take in what was seen of a service and what is expected.

        Parameters
        ----------
        seen, forecast
            None: nothing.
        window_s
            Time over which the rate was counted [s].
        now_s
            Time [s].
        help_in_s
            Time until replicas that are asked for serve [s]: a backlog grows until then.
        """
        growth = 0.0 if seen is None else self._backlog_growth(service, seen, now_s)
        before = self._planned.get(service)
        known = seen is not None and seen.arrival_rate_rps.known
        if forecast is None:
            return PlannedLoad(before, trusted=False, lasting=before)
        was = before or ExpectedLoad(0.0)
        prompt = self._length(was.input_tokens, forecast.input_tokens)
        output = self._length(was.output_tokens, forecast.output_tokens)
        # Rates are compared as rates of requests of these lengths.
        each = self._effort(service, prompt, output)
        expected = self._effort(service, forecast.input_tokens, forecast.output_tokens)
        coming = wanted = rate = forecast.upper_rate_rps * expected / each
        if seen is not None:
            wanted = rate = coming + self._drain_rps(seen, coming, growth * help_in_s)
        if before is not None:
            planned = self._effort(service, before.input_tokens, before.output_tokens)
            rate = self._behind(before.rate_rps * planned / each, wanted, window_s)
            if not known:
                rate = max(rate, before.rate_rps * planned / each)
        load = ExpectedLoad(rate, prompt, output)
        self._planned[service] = load
        seen_rps = None if seen is None else seen.arrival_rate_rps.value
        if seen_rps is not None:
            seen_rps *= expected / each
        lasting = load
        if wanted > coming and known:
            lasting = replace(load, rate_rps=min(coming, rate))
        return PlannedLoad(load, trusted=known, seen_rps=seen_rps, lasting=lasting)

    def _behind(self, before: float, wanted: float, window_s: float) -> float:
        if wanted >= before:
            return wanted
        if wanted == 0.0:
            return 0.0
        noise = _NOISE_SD / math.sqrt(max(wanted * window_s, 1.0))
        band = min(max(self._spec.tolerance, noise), 0.9)
        if wanted >= before * (1.0 - band):
            return before
        return min(wanted / (1.0 - band / 2.0), before)

    def _backlog_growth(self, service: str, seen: ServiceObservation, now_s: float) -> float:
        """Return by how many requests per second more wait than when it was looked last."""
        waiting = seen.waiting.value
        if waiting is None:
            self._waiting.pop(service, None)
            return 0.0
        before = self._waiting.get(service)
        self._waiting[service] = now_s, waiting
        if before is None or now_s <= before[0]:
            return 0.0
        return max((waiting - before[1]) / (now_s - before[0]), 0.0)

    def _drain_rps(self, seen: ServiceObservation, rate_rps: float, to_come: float) -> float:
        """Return the rate at which what waits beyond a normal queue is to be worked off.

        Where there is a backlog, so is what it grows by until help comes: who asks for no more than
        what comes serves late for long. At most the rate at which requests come: a backlog, however
        long, is no load for ever.
        """
        if seen.waiting.value is None:
            return 0.0
        # What arrives in a second may wait without being a backlog.
        beyond = max(seen.waiting.value - max(rate_rps, 1.0), 0.0)
        if beyond > 0.0:
            beyond += to_come
        return min(beyond / self._spec.backlog_drain_s, rate_rps)

    def _length(self, before: float | None, now: float) -> float | None:
        if now <= 0:
            return before
        if before is None or abs(now - before) > self._lengths * before:
            return now
        return before

    def state(self) -> dict[str, list[float | None]]:
        """Return what to write down."""
        return {
            name: [load.rate_rps, load.input_tokens, load.output_tokens]
            for name, load in self._planned.items()
        }

    def restore(self, state: dict[str, list[float | None]]) -> None:
        """Go on from what was written down."""
        self._planned = {
            name: ExpectedLoad(rate or 0.0, prompt, output)
            for name, (rate, prompt, output) in state.items()
        }
