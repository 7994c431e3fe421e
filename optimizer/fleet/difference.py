"""What tells two plans apart, service by service, and what about the fleets made it so."""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from optimizer.errors import PlanError
from optimizer.fleet.difference_causes import Causes
from optimizer.fleet.plan import Allocation, FleetPlan, PoolRole

__all__ = [
    "Change",
    "Placement",
    "PlanDifference",
    "ResourceDifference",
    "ServiceDifference",
    "difference",
]

# Money and shares that differ by less, relative to the larger, are the same: sums of floats.
_SAME = 1e-9


class Change(StrEnum):
    """What became of a service, the weightiest first."""

    DROPPED = "dropped"  # was served, is not
    GONE = "gone"  # no longer in the fleet
    SERVED = "served"  # was not served, is now
    NEW = "new"  # was not in the fleet
    MOVED = "moved"  # to other accelerators
    SCALED = "scaled"  # other numbers of replicas on the same accelerators
    RESIZED = "resized"  # another configuration, store, batch, share of the load or company
    REPRICED = "repriced"  # the same, at another cost


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Placement(_Part):
    """Replicas of one kind that serve a service, or a share of it."""

    accelerator: str | None = Field(description="null: scaled to zero.")
    configuration: str = Field(default="", description="Of the model on it, in words.")
    store: str | None = Field(default=None, description="That KV caches are loaded from.")
    role: PoolRole = Field(default=PoolRole.AGGREGATED, description="Of prefill and decode pools.")
    replicas: int
    max_batch: int | None
    share: float = Field(description="Share of the service's load, 0 to 1.")
    replicas_of: str | None = Field(
        default=None, description="Service with which the replicas stand that serve this one too."
    )
    shared_with: tuple[str, ...] = Field(
        default=(), description="Services that the same replicas serve."
    )
    cost_per_hour: float

    @classmethod
    def of(cls, allocation: Allocation) -> Placement:
        """Take from an allocation what tells placements apart."""
        given = {n: getattr(allocation, n) for n in cls.model_fields if n != "store"}
        storage = allocation.storage
        return cls(**given, store=None if storage is None else storage.store)


class ServiceDifference(_Part):
    """One service whose plan changed."""

    service: str
    change: Change
    before: tuple[Placement, ...]
    after: tuple[Placement, ...]
    cost_delta_per_hour: float
    causes: tuple[str, ...] = Field(
        description="What the two plans show to be different that bears on it."
    )


class ResourceDifference(_Part):
    """A resource whose capacity or use changed; null: not limited, or not there."""

    name: str
    capacity_before: float | None
    capacity_after: float | None
    used_before: float | None
    used_after: float | None


class PlanDifference(_Part):
    """Two plans side by side; `services` holds only those that changed."""

    schema_version: int = 1
    before: str = Field(description="Fleet of the first plan.")
    after: str
    currency: str
    cost_before: float | None = Field(description="Per hour; null where no plan was found.")
    cost_after: float | None
    cost_delta_per_hour: float | None
    services: tuple[ServiceDifference, ...]
    unchanged: int = Field(description="Services that are served as before.")
    resources: tuple[ResourceDifference, ...]
    causes: tuple[str, ...] = Field(description="Differences that concern the whole fleet.")

    @property
    def is_empty(self) -> bool:
        """Whether everything is served as before at the same cost."""
        return not self.services and not self.resources and not self.cost_delta_per_hour


def difference(before: FleetPlan, after: FleetPlan) -> PlanDifference:
    """Say what changed from one plan to another.

    Raises
    ------
    PlanError
        If the plans count in different currencies.
    """
    if before.currency != after.currency:
        raise PlanError(
            f"one plan counts in {before.currency}, the other in {after.currency}: "
            f"their costs cannot be compared"
        )
    causes = Causes.of(before, after)
    old, new = _placements(before), _placements(after)
    names = list(dict.fromkeys((*old, *new)))
    changes = {n: change for n in names if (change := _change(old.get(n), new.get(n)))}
    found = [
        _service(name, old.get(name, ()), new.get(name, ()), changes, causes) for name in changes
    ]
    rank = {change: position for position, change in enumerate(Change)}
    found.sort(key=lambda d: (rank[d.change], -abs(d.cost_delta_per_hour)))
    costs = before.total_cost_per_hour, after.total_cost_per_hour
    return PlanDifference(
        before=before.fleet,
        after=after.fleet,
        currency=after.currency,
        cost_before=costs[0],
        cost_after=costs[1],
        cost_delta_per_hour=None if None in costs else _delta(costs[0] or 0.0, costs[1] or 0.0),
        services=tuple(found),
        unchanged=len(names) - len(found),
        resources=tuple(_resources(before, after)),
        causes=causes.of_fleet,
    )


def _placements(plan: FleetPlan) -> dict[str, tuple[Placement, ...]]:
    """Return what serves each service that the plan knows; nothing where it is unserved."""
    found = {name: tuple(map(Placement.of, mine)) for name, mine in plan.by_service.items()}
    return found | {u.service: () for u in plan.unserved if u.service not in found}


def _delta(before: float, after: float) -> float:
    delta = after - before
    return 0.0 if abs(delta) <= _SAME * max(abs(before), abs(after)) else delta


def _cost(placements: tuple[Placement, ...]) -> float:
    return math.fsum(placement.cost_per_hour for placement in placements)


def _service(
    name: str,
    old: tuple[Placement, ...],
    new: tuple[Placement, ...],
    changes: dict[str, Change],
    causes: Causes,
) -> ServiceDifference:
    return ServiceDifference(
        service=name,
        change=changes[name],
        before=old,
        after=new,
        cost_delta_per_hour=_delta(_cost(old), _cost(new)),
        causes=causes.of_service(name, changes),
    )


def _change(old: tuple[Placement, ...] | None, new: tuple[Placement, ...] | None) -> Change | None:
    """Compare what serves a service; None: the plan does not know it."""
    if old is None:
        return Change.NEW
    if new is None:
        return Change.GONE
    if not old or not new:
        return (Change.SERVED if new else Change.DROPPED) if old or new else None
    if _replicas(old).keys() != _replicas(new).keys():
        return Change.MOVED
    if _replicas(old) != _replicas(new):
        return Change.SCALED
    if not all(map(_alike, _sorted(old), _sorted(new))):
        return Change.RESIZED
    return Change.REPRICED if _delta(_cost(old), _cost(new)) else None


def _replicas(placements: tuple[Placement, ...]) -> dict[str | None, int]:
    """Return the replicas on each accelerator."""
    count: dict[str | None, int] = {}
    for placement in placements:
        count[placement.accelerator] = count.get(placement.accelerator, 0) + placement.replicas
    return count


def _sorted(placements: tuple[Placement, ...]) -> list[Placement]:
    return sorted(
        placements, key=lambda p: (p.accelerator or "", p.role, p.max_batch or 0, p.share)
    )


def _alike(one: Placement, other: Placement) -> bool:
    """Whether two placements on one accelerator differ in nothing but cost."""
    same_share = math.isclose(one.share, other.share, abs_tol=1e-6)
    kept = ("configuration", "store", "role", "max_batch", "replicas", "replicas_of", "shared_with")
    return same_share and all(getattr(one, name) == getattr(other, name) for name in kept)


def _resources(before: FleetPlan, after: FleetPlan) -> Iterator[ResourceDifference]:
    old = {resource.name: resource for resource in before.resources}
    new = {resource.name: resource for resource in after.resources}
    for name in dict.fromkeys((*old, *new)):
        one, other = old.get(name), new.get(name)
        found = ResourceDifference(
            name=name,
            capacity_before=None if one is None else one.capacity,
            capacity_after=None if other is None else other.capacity,
            used_before=None if one is None else one.used,
            used_after=None if other is None else other.used,
        )
        same_capacity = found.capacity_before == found.capacity_after
        if not same_capacity or found.used_before != found.used_after:
            yield found
