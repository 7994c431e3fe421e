"""Changes from today's plan: services moved, replicas started and stopped in one step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.fleet_facts import FleetFacts
from optimizer.fleet.plan import Allocation
from optimizer.fleet.resources.kind import ResourceKind
from optimizer.fleet.resources.scope import Scope
from optimizer.fleet.today import Today
from optimizer.fleet.transition import changes

__all__ = ["ReplicasStarted", "ReplicasStopped", "ServicesMoved"]

FloatArray = NDArray[np.float64]


class _Changes(ResourceKind):
    """Changes are counted over the whole fleet: what an allocation leaves unsaid is stopped."""

    is_whole = True
    by_pool = False

    def of_allocation(self, facts: FleetFacts, allocation: Allocation) -> float:
        """Return nothing: one allocation does not tell what is stopped elsewhere."""
        del facts, allocation
        return 0.0


class ServicesMoved(_Changes):
    """Services that run today, and are put on an accelerator where they do not."""

    name = "services_moved"
    unit = "services"

    def of_candidates(self, table: CandidateTable) -> FloatArray:
        """Return 1 where the candidate moves its service."""
        return Today.of(table).moved

    def used(self, facts: FleetFacts, scope: Scope, allocations: Sequence[Allocation]) -> float:
        """Count them."""
        del scope
        return float(sum(change.moved for change in changes(facts, allocations)))


class ReplicasStarted(_Changes):
    """Replicas that do not run today."""

    name = "replicas_started"
    unit = "replicas"

    def of_candidates(self, table: CandidateTable) -> FloatArray:
        """Return those of each candidate beyond what goes on."""
        return Today.of(table).started

    def used(self, facts: FleetFacts, scope: Scope, allocations: Sequence[Allocation]) -> float:
        """Count them."""
        del scope
        return float(sum(change.started for change in changes(facts, allocations)))


class ReplicasStopped(_Changes):
    """Replicas that run today and do not go on."""

    name = "replicas_stopped"
    unit = "replicas"

    def of_candidates(self, table: CandidateTable) -> FloatArray:
        """Return what of the service's replicas does not go on as each candidate."""
        return Today.of(table).stopped

    def of_unserved(self, table: CandidateTable) -> FloatArray:
        """Return all of a service's replicas."""
        return Today.of(table).left

    def used(self, facts: FleetFacts, scope: Scope, allocations: Sequence[Allocation]) -> float:
        """Count them."""
        del scope
        return float(sum(change.stopped for change in changes(facts, allocations)))
