"""Carbon emitted by the accelerators' electricity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.fleet_facts import FleetFacts
from optimizer.fleet.plan import Allocation
from optimizer.fleet.resources.kind import ResourceKind
from optimizer.fleet.resources.power import Power

__all__ = ["Carbon"]

_G_PER_KG = 1000.0


class Carbon(ResourceKind):
    """Carbon [kg CO2e/h]: power times the carbon intensity of the region it is drawn in."""

    name = "carbon_kg_per_hour"
    unit = "kg CO2e/h"

    def of_candidates(self, table: CandidateTable) -> NDArray[np.float64]:
        """Return power times intensity."""
        return Power().of_candidates(table) * self.per_kw(table)

    def per_kw(self, table: CandidateTable) -> NDArray[np.float64]:
        """Return the intensity where each runs."""
        intensity = {r.name: r.carbon_g_per_kwh / _G_PER_KG for r in table.spec.regions}
        per_kwh = np.array([intensity.get(a.region or "", 0.0) for a in table.spec.accelerators])
        placed = table.accelerator >= 0
        return np.where(placed, per_kwh[table.accelerator], 0.0)

    def of_allocation(self, facts: FleetFacts, allocation: Allocation) -> float:
        """Return power times intensity."""
        return Power().of_allocation(facts, allocation) * facts.carbon_kg_per_kwh(allocation)
