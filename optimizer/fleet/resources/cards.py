"""Cards: what capacities count, and quotas of tenants."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.fleet_facts import FleetFacts
from optimizer.fleet.plan import Allocation
from optimizer.fleet.resources.kind import ResourceKind

__all__ = ["Cards"]


class Cards(ResourceKind):
    """Cards of accelerators, whole ones."""

    name = "cards"
    unit = "cards"
    is_whole = True

    def of_candidates(self, table: CandidateTable) -> NDArray[np.float64]:
        """Return the cards of all replicas."""
        return table.cards.astype(np.float64)

    def of_allocation(self, facts: FleetFacts, allocation: Allocation) -> float:
        """Return instances times the cards in one."""
        return facts.instances(allocation) * facts.machine(allocation).cards
