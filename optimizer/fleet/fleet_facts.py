"""Look-ups in a fleet's description, for those who count from a plan's words alone."""

from __future__ import annotations

import math

import numpy as np

from optimizer.fleet.inventory import Inventory
from optimizer.fleet.plan import Allocation, StorageUse
from optimizer.fleet.reuse import Reuse, reuse_options
from optimizer.fleet.storage_use import use_of_store
from optimizer.fleet.stores import stores_of
from optimizer.spec.accelerator import AcceleratorSpec
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.model import PerformanceSpec
from optimizer.spec.service import ServiceSpec

__all__ = ["FleetFacts"]

_G_PER_KG = 1000.0


class FleetFacts:
    """What the names in an allocation stand for.

    Every method raises `KeyError` for a name that the fleet does not have.
    """

    def __init__(self, spec: FleetSpec) -> None:
        self.spec = spec
        inventory = Inventory.of(spec)
        self._machines = {a.name: a for a in spec.accelerators}
        self._services = {s.name: s for s in spec.services}
        self._stores = {store.name: place for place, store in enumerate(spec.stores)}
        self._prices = dict(zip(inventory.names, inventory.cost_per_hour.tolist(), strict=True))
        self._memory = dict(zip(inventory.names, inventory.memory_gb.tolist(), strict=True))
        self._carbon = {r.name: r.carbon_g_per_kwh / _G_PER_KG for r in spec.regions}
        self._entries = {(p.model, p.accelerator, p.configuration): p for p in spec.performance}
        self._measured = {
            (service.name, entry.accelerator): entry.instances
            for service in spec.services
            if service.length_buckets is not None
            for entry in service.length_buckets.measured
        }

    def service(self, allocation: Allocation) -> ServiceSpec:
        """Return the service that is served."""
        return self._services[allocation.service]

    def machine(self, allocation: Allocation) -> AcceleratorSpec:
        """Return the accelerator that serves it."""
        return self._machines[allocation.accelerator or ""]

    def performance(self, allocation: Allocation) -> PerformanceSpec | None:
        """Return the configuration that serves it; None where its rates were measured instead."""
        if (allocation.service, allocation.accelerator) in self._measured:
            return None
        key = (allocation.model, allocation.accelerator or "", allocation.configuration)
        return self._entries[key]

    def instances(self, allocation: Allocation) -> int:
        """Return the accelerator instances of all its replicas."""
        return self.instances_per_replica(allocation) * allocation.replicas

    def instances_per_replica(self, allocation: Allocation) -> int:
        """Return the accelerator instances of one of its replicas."""
        machine, service = self.machine(allocation), self.service(allocation)
        measured = self._measured.get((service.name, machine.name))
        if measured is not None:
            return measured
        key = (allocation.model, machine.name, allocation.configuration)
        return self._entries[key].instances

    def storage(self, allocation: Allocation) -> StorageUse | None:
        """Return what its store, ratio and replicas amount to; None where nothing is loaded."""
        reuse = self.reuse(allocation)
        if reuse is None:
            return None
        return use_of_store(self.spec, reuse, allocation.replicas, allocation.admitted_rate_rps)

    def reuse(self, allocation: Allocation) -> Reuse | None:
        """Return what is loaded, by its store and ratio alone; None where nothing is."""
        said = allocation.storage
        if said is None:
            return None
        key = (allocation.model, allocation.accelerator or "", allocation.configuration)
        service = self.spec.services.index(self.service(allocation))
        _, options = reuse_options(
            self.spec,
            stores_of(self.spec),
            np.array([service]),
            np.array([self.spec.performance.index(self._entries[key])]),
            np.array([said.recompute_ratio]),
        )
        found = np.flatnonzero(options.store == self._stores[said.store])
        if not found.size:
            raise KeyError(said.store)
        return options.take(found)

    def price(self, allocation: Allocation) -> float:
        """Return the price of one instance per hour."""
        return float(self._prices[self.machine(allocation).name])

    def cost(self, allocation: Allocation) -> float:
        """Return the price of its instances per hour, each in its tier, and what a store costs."""
        machine, storage = self.machine(allocation), self.storage(allocation)
        stored = 0.0 if storage is None else storage.cost_per_hour
        if not machine.tiers:
            return self.instances(allocation) * self.price(allocation) + stored
        return stored + math.fsum(
            count * self.tier_price(machine.name, tier) for tier, count in allocation.tiers.items()
        )

    def tier_price(self, accelerator: str, tier: str) -> float:
        """Return the price of one instance of an accelerator per hour in one of its tiers."""
        machine = self._machines[accelerator]
        price = {t.tier: t.cost_per_hour for t in machine.tiers}[tier]
        return float(self._prices[accelerator]) if price is None else price

    def start_up_s(self, allocation: Allocation) -> float:
        """Return the time until a new replica serves [s]."""
        entry = self.performance(allocation)
        if entry is None or entry.start_up_s is None:
            return self.spec.optimizer.transition.start_up_s
        return entry.start_up_s

    def memory_gb(self, allocation: Allocation) -> float:
        """Return the memory of one replica [GB]; NaN where unknown."""
        instances = self.instances_per_replica(allocation)
        return float(self._memory[self.machine(allocation).name] * instances)

    def carbon_kg_per_kwh(self, allocation: Allocation) -> float:
        """Return the carbon intensity where it runs; 0 where nothing is said."""
        return self._carbon.get(self.machine(allocation).region or "", 0.0)
