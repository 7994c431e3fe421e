"""What if a load, a price, a bound or a quota were another: the fleet solved anew for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from optimizer.errors import Fault, SpecError
from optimizer.fleet.plan import FleetPlan
from optimizer.fleet.scenarios import solve_each
from optimizer.fleet.uncertainty import UncertainPlan
from optimizer.spec.assignment import Assignment, assigned
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["Case", "WhatIf", "cases_of", "what_if"]


@dataclass(frozen=True, slots=True)
class Case:
    """One changed fleet and its plan.

    Parameters
    ----------
    swept
        The changes that tell this case from the others.
    plan
        Of the fleet with these and the common changes.
    """

    swept: tuple[Assignment, ...]
    plan: FleetPlan | UncertainPlan


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A fleet as it is, and as it would be.

    Parameters
    ----------
    base
        Plan of the fleet as it is.
    common
        Changes that all cases share.
    cases
        One per combination of swept values, the last range running fastest; with no range, one.
    """

    base: FleetPlan | UncertainPlan
    common: tuple[Assignment, ...]
    cases: tuple[Case, ...]


def cases_of(ranges: Sequence[Sequence[Assignment]]) -> tuple[tuple[Assignment, ...], ...]:
    """Combine every value of each range with every value of the others."""
    return tuple(product(*ranges))


def what_if(
    fleet: FleetSpec,
    common: Sequence[Assignment] = (),
    ranges: Sequence[Sequence[Assignment]] = (),
    *,
    jobs: int | None = None,
    told: Callable[[int, FleetPlan | UncertainPlan], None] | None = None,
) -> WhatIf:
    """Solve a fleet as it is and with changes; nothing is extrapolated.

    Parameters
    ----------
    fleet
        A validated fleet.
    common
        Changes made in every case, in order, before those of the ranges.
    ranges
        Alternatives for each swept value, as from `parse_range`.
    jobs
        Processes, see `solve_each`.
    told
        Called with position and plan whenever one is there; position 0 is the fleet as it is.

    Raises
    ------
    SpecError
        With the faults of every case that is no valid fleet, before anything is solved.
    solvers.SolverError, queue_models.QueueModelError, PlanError
        As from `optimize`.
    """
    swept = cases_of(ranges)
    fleets = [fleet]
    faults: list[Fault] = []
    for changes in swept:
        try:
            fleets.append(assigned(fleet, (*common, *changes)))
        except SpecError as error:
            faults += error.faults
    if faults:
        raise SpecError(faults)
    base, *plans = solve_each(fleets, jobs=jobs, told=told)
    return WhatIf(
        base=base,
        common=tuple(common),
        cases=tuple(Case(*case) for case in zip(swept, plans, strict=True)),
    )
