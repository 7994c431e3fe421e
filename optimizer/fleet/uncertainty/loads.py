"""The loads that may come, as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.uncertainty import LoadScenarioSpec, PeakLoadsSpec

__all__ = ["ScenarioLoads", "peak_rates", "with_rates"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ScenarioLoads:
    """Scenarios with their arrival rates.

    Parameters
    ----------
    names
        Of the scenarios, in the order of the spec.
    probability
        (scenarios,), summing to 1.
    rates_rps
        (scenarios, services).
    """

    names: tuple[str, ...]
    probability: FloatArray
    rates_rps: FloatArray

    @classmethod
    def of(cls, spec: FleetSpec) -> ScenarioLoads:
        """Read the scenarios of a fleet that has some."""
        assert spec.uncertainty is not None
        scenarios = spec.uncertainty.scenarios
        even = 1.0 / len(scenarios)
        probability = np.array(
            [even if s.probability is None else s.probability for s in scenarios]
        )
        return cls(
            names=tuple(s.name for s in scenarios),
            probability=probability / probability.sum(),
            rates_rps=np.array([_rates(spec, scenario) for scenario in scenarios]),
        )

    def quantile(self, probability: float) -> FloatArray:
        """Return (services,), the least rate of each that is not exceeded with a probability."""
        order = np.argsort(self.rates_rps, axis=0, kind="stable")
        reached = np.cumsum(self.probability[order], axis=0) >= probability - 1e-9
        place = order[np.argmax(reached, axis=0), np.arange(self.rates_rps.shape[1])]
        rates: FloatArray = self.rates_rps[place, np.arange(self.rates_rps.shape[1])]
        return rates


def peak_rates(spec: FleetSpec) -> FloatArray:
    """Return (services,), the peak of each service of a fleet with `peaks`."""
    assert spec.uncertainty is not None
    assert spec.uncertainty.peaks is not None
    return np.array(_rates(spec, spec.uncertainty.peaks))


def with_rates(spec: FleetSpec, rates_rps: FloatArray) -> FleetSpec:
    """Return the fleet with other arrival rates, by service, that are certain."""
    services = tuple(
        service.model_copy(
            update={"load": service.load.model_copy(update={"arrival_rate_rps": rate})}
        )
        for service, rate in zip(spec.services, rates_rps.tolist(), strict=True)
    )
    return spec.model_copy(update={"services": services, "uncertainty": None})


def _rates(spec: FleetSpec, loads: LoadScenarioSpec | PeakLoadsSpec) -> list[float]:
    return [
        loads.rates_rps.get(service.name, service.load.arrival_rate_rps * loads.factor)
        for service in spec.services
    ]
