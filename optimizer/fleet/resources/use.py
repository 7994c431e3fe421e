"""What a plan uses of every resource, counted from its words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict

from optimizer.fleet.fleet_facts import FleetFacts
from optimizer.fleet.plan import Allocation, ResourceUse
from optimizer.fleet.resources.rows import Requirement, requirements
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["in_words", "resource_uses", "used"]


def used(
    facts: FleetFacts, requirement: Requirement, allocations: Sequence[Allocation]
) -> int | float:
    """Return what allocations use of a resource; whole cards as a whole number.

    Raises
    ------
    KeyError
        If the fleet does not have what an allocation names.
    """
    total = requirement.kind.used(facts, requirement.scope, allocations)
    return _whole(total, requirement)


def resource_uses(spec: FleetSpec, allocations: Sequence[Allocation]) -> tuple[ResourceUse, ...]:
    """Return the use of every requirement of the fleet, in their order."""
    facts = FleetFacts(spec)
    uses = []
    for requirement in requirements(spec):
        taken = used(facts, requirement, allocations)
        limited = math.isfinite(requirement.capacity)
        capacity = _whole(requirement.capacity, requirement) if limited else None
        uses.append(
            ResourceUse(
                name=requirement.name,
                kind=requirement.kind.name,
                unit=requirement.unit,
                **asdict(requirement.scope),
                capacity=capacity,
                used=taken,
                free=None if capacity is None else capacity - taken,
            )
        )
    return tuple(uses)


def in_words(requirement: Requirement, amount: float) -> str:
    """Word an amount of a resource, as `8 H100@us-east` or `4.2 kW of power_kw@region:eu`."""
    if requirement.kind.name == "cards" and requirement.scope.type is not None:
        return f"{amount:.6g} {requirement.name}"
    return f"{amount:.6g} {requirement.unit} of {requirement.name}"


def _whole(amount: float, requirement: Requirement) -> int | float:
    return int(amount) if requirement.kind.is_whole and amount == int(amount) else amount
