"""The named rows: one per stated capacity and limit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.inventory import Inventory
from optimizer.fleet.resources.carbon import Carbon
from optimizer.fleet.resources.cards import Cards
from optimizer.fleet.resources.changes import ReplicasStarted, ReplicasStopped, ServicesMoved
from optimizer.fleet.resources.cost import Cost
from optimizer.fleet.resources.kind import ResourceKind
from optimizer.fleet.resources.power import Power
from optimizer.fleet.resources.scope import Scope
from optimizer.fleet.resources.storage import StorageBandwidth, StorageCapacity
from optimizer.fleet.stores import stores_of
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.options import CapacityMode

__all__ = ["KINDS", "Requirement", "ResourceRow", "requirements", "resource_rows"]

KINDS: dict[str, ResourceKind] = {
    kind.name: kind
    for kind in (
        Cards(),
        Cost(),
        Power(),
        Carbon(),
        ServicesMoved(),
        ReplicasStarted(),
        ReplicasStopped(),
    )
}
"""Every kind of resource, by name. A new one is a file in this package and an entry here."""

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Requirement:
    """What the fleet's description says of one row, and all that the checker needs to know.

    Parameters
    ----------
    name
        Unique, as in `H100@us-east` or `cost_per_hour@tenant:search`.
    kind, unit
        What is counted, and in what.
    scope
        For which services and accelerators.
    capacity
        How much there is; `inf`: no limit, counted for the reader.
    """

    name: str
    kind: ResourceKind
    unit: str
    scope: Scope
    capacity: float


@dataclass(frozen=True, eq=False)
class ResourceRow:
    """A requirement with what each candidate uses of it.

    Parameters
    ----------
    requirement
        What the row stands for.
    usage
        (candidates,), of all the replicas of each; of a service that splits, one replica uses an
        equal part.
    unserved
        (services,), of leaving each unserved; None: nothing.
    """

    requirement: Requirement
    usage: FloatArray
    unserved: FloatArray | None = None

    @property
    def name(self) -> str:
        """Unique name."""
        return self.requirement.name

    @property
    def capacity(self) -> float:
        """How much there is; `inf` without a limit."""
        return self.requirement.capacity


def resource_rows(table: CandidateTable) -> tuple[ResourceRow, ...]:
    """Return the row of every requirement of the fleet."""
    halves = table.halves
    of_halves: dict[ResourceKind, list[FloatArray]] = {}
    rows = []
    for requirement in requirements(table.spec):
        kind = requirement.kind
        if kind not in of_halves:
            asked = halves if kind.by_pool else (table,)
            of_halves[kind] = [kind.of_candidates(half) for half in asked]
        usage = np.zeros(len(table))
        for half, used in zip(halves, of_halves[kind], strict=False):
            usage += np.where(requirement.scope.candidates(half), used, 0.0)
        rows.append(ResourceRow(requirement, usage, kind.of_unserved(table)))
    return tuple(rows)


def requirements(spec: FleetSpec) -> tuple[Requirement, ...]:
    """Return every requirement of a fleet.

    Capacities, cards without a limit, limits, stores, changes from today's plan.
    """
    return (*_capacities(spec), *_limits(spec), *_stores(spec), *_changes(spec))


def _capacities(spec: FleetSpec) -> Iterator[Requirement]:
    cards = KINDS["cards"]
    limited = spec.optimizer.capacity is CapacityMode.LIMITED
    stated = {Scope.of(entry): float(entry.cards) for entry in spec.capacities}
    scopes = list(stated)
    inventory = Inventory.of(spec)
    for type_, pool in zip(inventory.types, inventory.pools, strict=True):
        scope = Scope(type=type_, pool=pool)
        if scope not in scopes and Scope(type=type_) not in stated:
            scopes.append(scope)
    for scope in scopes:
        capacity = stated.get(scope, np.inf) if limited else np.inf
        yield Requirement(_name_of_cards(scope), cards, cards.unit, scope, capacity)


def _name_of_cards(scope: Scope) -> str:
    """Return the name of a capacity: the type, and where; pools need no word before them."""
    places = [
        place if key == "pool" else f"{key}:{place}"
        for key in ("pool", "zone", "region")
        if (place := getattr(scope, key)) is not None
    ]
    return f"{scope.type}@{','.join(places)}" if places else f"{scope.type}"


def _stores(spec: FleetSpec) -> Iterator[Requirement]:
    """Yield what each store holds and how fast it is read."""
    for place, store in enumerate(stores_of(spec)):
        kept = StorageCapacity(place)
        holds = store.device.free_gb if store.is_shared else store.total_gb
        yield Requirement(store.name, kept, kept.unit, Scope(), np.inf if holds is None else holds)
        if store.is_shared:
            read = StorageBandwidth(place)
            most = store.device.bandwidth_gb_s
            yield Requirement(f"{store.name} bandwidth", read, read.unit, Scope(), most)


def _limits(spec: FleetSpec) -> Iterator[Requirement]:
    for limit in spec.limits:
        scope = Scope.of(limit)
        where = f"@{scope}" if str(scope) else ""
        kind = KINDS[limit.measure.value]
        yield Requirement(
            name=limit.name or f"{kind.name}{where}",
            kind=kind,
            unit=kind.unit or f"{spec.currency}/h",
            scope=scope,
            capacity=limit.at_most,
        )


def _changes(spec: FleetSpec) -> Iterator[Requirement]:
    limits = spec.optimizer.transition
    for name, most in (
        ("services_moved", limits.most_moved),
        ("replicas_started", limits.most_started),
        ("replicas_stopped", limits.most_stopped),
    ):
        if most is not None:
            yield Requirement(name, KINDS[name], KINDS[name].unit, Scope(), float(most))
