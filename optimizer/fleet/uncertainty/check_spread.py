"""The checker's part for loads that spread: use of every capacity, load by load, by a plan's words.

Shares nothing with the arrays that were solved but the sizes of replicas at a load, whose
objectives the checker of plans asks the queue model about.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.check import check_plan
from optimizer.fleet.fleet_facts import FleetFacts
from optimizer.fleet.plan import Allocation, FleetPlan
from optimizer.fleet.resources import Requirement, requirements
from optimizer.fleet.uncertainty.decided import plan_following
from optimizer.fleet.uncertainty.loads import with_rates
from optimizer.fleet.uncertainty.spread_loads import (
    SpreadLoads,
    kept_probability,
    room_factor,
    spread_of,
)
from optimizer.fleet.uncertainty.uncertain_plan import CapacityOutlook
from optimizer.fleet.violation import Violation
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["SpreadCheck", "check_spread"]

FloatArray = NDArray[np.float64]

# Relative tolerance of a row, of floating-point programmes with cones.
_KEPT = 1e-6


@dataclass(frozen=True)
class SpreadCheck:
    """What the checker found.

    Parameters
    ----------
    violations
        Empty where everything holds.
    capacities
        Use of every capacity and limit over the loads.
    expected_cost_per_hour
        Mean over the levels of the loads.
    """

    violations: tuple[Violation, ...]
    capacities: tuple[CapacityOutlook, ...]
    expected_cost_per_hour: float


def check_spread(spec: FleetSpec, decided: Sequence[Allocation]) -> SpreadCheck:
    """Follow the loads with what was decided, and count what every capacity has to hold.

    Parameters
    ----------
    spec
        A fleet whose loads spread.
    decided
        Allocations at any load: their configurations count, not their replicas.

    Raises
    ------
    PlanError
        If an allocation's configuration cannot serve its service at a level of its load.
    """
    plans = []
    faults: list[Violation] = []
    for rates in SpreadLoads.of(spec).levels_rps:
        at_level = with_rates(spec, rates)
        plan = plan_following(at_level, decided)
        plans.append(plan)
        found = check_plan(at_level, plan).violations
        faults += [fault for fault in found if fault.kind != "resource"]
    limited = [row for row in requirements(spec) if math.isfinite(row.capacity)]
    capacities = tuple(_outlook(spec, row, plans) for row in limited)
    faults += _broken(spec, capacities)
    cost = math.fsum(plan.total_cost_per_hour or 0.0 for plan in plans) / len(plans)
    return SpreadCheck(tuple(dict.fromkeys(faults)), capacities, cost)


def _outlook(spec: FleetSpec, row: Requirement, plans: Sequence[FleetPlan]) -> CapacityOutlook:
    """Return the use of a capacity, of which every service has a mean and a deviation."""
    spread, facts = spread_of(spec), FleetFacts(spec)
    used = np.array(
        [
            [
                row.kind.used(facts, row.scope, plan.allocations_of(service.name))
                for service in spec.services
            ]
            for plan in plans
        ]
    )
    mean, std = float(used.mean(axis=0).sum()), used.std(axis=0)
    together = spread.together * float(std.sum()) ** 2
    deviation = math.sqrt(together + (1.0 - spread.together) * float((std**2).sum()))
    return CapacityOutlook(
        name=row.name,
        unit=row.unit,
        capacity=row.capacity,
        expected_use=mean,
        standard_deviation=deviation,
        kept_probability=kept_probability(spread, row.capacity - mean, deviation),
    )


def _broken(spec: FleetSpec, capacities: Sequence[CapacityOutlook]) -> Iterator[Violation]:
    spread = spread_of(spec)
    z = room_factor(spread)
    for row in capacities:
        needed = row.expected_use + z * row.standard_deviation
        if needed > row.capacity * (1.0 + _KEPT):
            yield Violation(
                "resource",
                row.name,
                f"{needed:.9g} {row.unit} needed for a probability of {spread.keep_probability:g}, "
                f"of {row.capacity:.9g}",
            )
