"""Stores of KV caches: what they hold, and how fast they are read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.fleet_facts import FleetFacts
from optimizer.fleet.plan import Allocation
from optimizer.fleet.resources.kind import ResourceKind
from optimizer.fleet.storage_use import kept_gb

__all__ = ["StorageBandwidth", "StorageCapacity"]


class StorageCapacity(ResourceKind):
    """Bytes kept in one store [GB]: once per service where it is shared, else once per replica."""

    name = "storage_gb"
    unit = "GB"

    def __init__(self, store: int) -> None:
        self.store = store

    def of_candidates(self, table: CandidateTable) -> NDArray[np.float64]:
        """Return what is kept for all replicas."""
        kept = kept_gb(table.spec, table.reuse, table.replicas)
        return np.where(table.reuse.store == self.store, kept, 0.0)

    def of_allocation(self, facts: FleetFacts, allocation: Allocation) -> float:
        """Return what is kept for it."""
        storage = facts.storage(allocation)
        if storage is None or storage.store != facts.spec.stores[self.store].name:
            return 0.0
        return storage.kept_gb


class StorageBandwidth(ResourceKind):
    """What is read from one shared store [GB/s]: admitted rate x hit rate x bytes of a context."""

    name = "storage_gb_per_s"
    unit = "GB/s"

    def __init__(self, store: int) -> None:
        self.store = store

    def of_candidates(self, table: CandidateTable) -> NDArray[np.float64]:
        """Return what all requests of the service read."""
        read = table.admitted_rps * table.reuse.read_gb
        return np.where(table.reuse.store == self.store, read, 0.0)

    def of_allocation(self, facts: FleetFacts, allocation: Allocation) -> float:
        """Return what its requests read."""
        storage = facts.storage(allocation)
        if storage is None or storage.store != facts.spec.stores[self.store].name:
            return 0.0
        return storage.read_gb_s
