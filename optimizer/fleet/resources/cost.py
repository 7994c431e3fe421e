"""Money per hour: budgets of the fleet, of tenants and of places."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.fleet_facts import FleetFacts
from optimizer.fleet.plan import Allocation
from optimizer.fleet.resources.kind import ResourceKind

__all__ = ["Cost"]


class Cost(ResourceKind):
    """What instances and stores cost per hour, in the fleet's currency."""

    name = "cost_per_hour"
    unit = ""

    def of_candidates(self, table: CandidateTable) -> NDArray[np.float64]:
        """Return the price of all replicas."""
        return table.cost_per_hour

    def of_allocation(self, facts: FleetFacts, allocation: Allocation) -> float:
        """Return the price of its instances, each in its tier, and what a store costs."""
        return facts.cost(allocation)
