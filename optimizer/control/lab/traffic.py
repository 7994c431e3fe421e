"""The load of every service at every time of a scenario: patterns, recorded traces, events."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from optimizer.control.spec import LoadEventSpec, LoadPattern, ScenarioSpec, ServiceTrafficSpec
from optimizer.engine import read_trace
from optimizer.errors import Fault, SpecError
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.wording import suggestion

__all__ = ["Load", "ScenarioTraffic"]

FloatArray = NDArray[np.float64]

# A recorded trace is counted in so many intervals at most, of this length at least [s].
_LEAST_BIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Load:
    """Requests that come at one time: their rate and their mean lengths."""

    rate_rps: float
    input_tokens: float
    output_tokens: float


@dataclass(frozen=True, eq=False)
class _Recorded:
    """A trace as piecewise constant rates and lengths over the scenario."""

    edges_s: FloatArray
    rate_rps: FloatArray
    input_tokens: FloatArray
    output_tokens: FloatArray

    @classmethod
    def of(cls, path: Path, duration_s: float) -> _Recorded:
        trace = read_trace(path)
        seconds = trace.arrival_ms / 1000.0
        span_s = max(float(seconds[-1]), 1.0)
        bins = max(int(span_s / _LEAST_BIN_S), 1)
        edges = np.linspace(0.0, span_s, bins + 1)
        place = np.minimum(np.searchsorted(edges, seconds, side="right") - 1, bins - 1)
        counts = np.bincount(place, minlength=bins).astype(np.float64)

        def mean(values: NDArray[np.int32]) -> FloatArray:
            total = np.bincount(place, weights=values, minlength=bins)
            overall = float(values.mean())
            return np.where(counts > 0, total / np.maximum(counts, 1.0), overall)

        return cls(
            edges_s=edges * (duration_s / span_s),
            rate_rps=counts * bins / span_s,
            input_tokens=mean(trace.prompt),
            output_tokens=mean(trace.output),
        )

    def at(self, time_s: float) -> Load:
        """Return the load at a time; the rate is that of the trace, not stretched."""
        bin_ = min(max(int(np.searchsorted(self.edges_s, time_s, "right")) - 1, 0), len(self) - 1)
        return Load(
            float(self.rate_rps[bin_]),
            float(self.input_tokens[bin_]),
            float(self.output_tokens[bin_]),
        )

    def __len__(self) -> int:
        return len(self.rate_rps)


class ScenarioTraffic:
    """Loads of a fleet's services over a scenario.

    Parameters
    ----------
    scenario
        What happens.
    fleet
        Whose services.
    folder
        Where relative paths of traces begin.

    Raises
    ------
    SpecError
        If an entry is for no service of the fleet.
    optimizer.engine.WorkloadError
        If a trace cannot be read.
    """

    def __init__(self, scenario: ScenarioSpec, fleet: FleetSpec, folder: Path) -> None:
        names = [service.name for service in fleet.services]
        faults = [
            Fault(
                "the fleet has no such service",
                path=f"traffic[{place}].service",
                value=repr(entry.service),
                hint=suggestion(entry.service, names, "services"),
            )
            for place, entry in enumerate(scenario.traffic)
            if entry.service not in names
        ]
        if faults:
            raise SpecError(faults)
        given = {entry.service: entry for entry in scenario.traffic}
        self._entries = {n: given.get(n, ServiceTrafficSpec(service=n)) for n in names}
        self._loads = {s.name: s.load for s in fleet.services}
        self._traces = {
            name: _Recorded.of(folder / entry.trace, scenario.duration_s)
            for name, entry in self._entries.items()
            if entry.pattern is LoadPattern.TRACE and entry.trace is not None
        }

    def at(self, service: str, time_s: float) -> Load:
        """Return the load of a service at a time [s]."""
        entry, described = self._entries[service], self._loads[service]
        if entry.pattern is LoadPattern.TRACE:
            base = self._traces[service].at(time_s)
        else:
            shape = 1.0
            if entry.pattern is LoadPattern.DIURNAL:
                wave = 0.5 - 0.5 * math.cos(2.0 * math.pi * time_s / entry.season_s)
                shape = entry.trough + (1.0 - entry.trough) * wave
            base = Load(
                described.arrival_rate_rps * shape,
                described.mean_input_tokens,
                described.mean_output_tokens,
            )
        rate, prompts, outputs = base.rate_rps * entry.rate, base.input_tokens, base.output_tokens
        for event in entry.events:
            strength = _strength(event, time_s)
            rate *= 1.0 + strength * (event.rate - 1.0)
            prompts *= 1.0 + strength * (event.input_tokens - 1.0)
            outputs *= 1.0 + strength * (event.output_tokens - 1.0)
        return Load(rate, prompts, max(outputs, 1.0))

    def peak(self, service: str, duration_s: float, tick_s: float) -> Load:
        """Return the largest rate of a service, with the largest mean lengths."""
        times = np.arange(0.0, duration_s, max(tick_s, duration_s / 20_000.0))
        loads = [self.at(service, float(time)) for time in times]
        busy = [load for load in loads if load.rate_rps > 0] or loads
        return Load(
            max(load.rate_rps for load in loads),
            float(np.mean([load.input_tokens for load in busy])),
            float(np.mean([load.output_tokens for load in busy])),
        )

    def changes_s(self) -> tuple[float, ...]:
        """Return when scripted events begin."""
        times = {event.at_s for entry in self._entries.values() for event in entry.events}
        return tuple(sorted(times))


def _strength(event: LoadEventSpec, time_s: float) -> float:
    if time_s < event.at_s or (event.for_s is not None and time_s >= event.at_s + event.for_s):
        return 0.0
    if event.ramp_s <= 0:
        return 1.0
    return min((time_s - event.at_s) / event.ramp_s, 1.0)
