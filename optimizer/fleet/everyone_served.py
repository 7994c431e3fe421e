"""Whether a fleet in which everyone must be served has a plan: what conflicts and repairs ask."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable

import numpy as np

from optimizer.fleet.problem import FleetProblem
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.options import SaturationPolicy, UnservedPolicy
from optimizer.spec.overriding import with_options
from optimizer.spec.service import ServiceSpec
from solvers import Reason, solve

__all__ = ["can_serve", "everyone_served", "with_services"]

# Whatever serves everyone will do: the cost does not matter.
_ANY_GAP = 1e9


def everyone_served(spec: FleetSpec) -> FleetSpec:
    """Return the fleet with unserved services forbidden."""
    return with_options(
        spec, unserved=UnservedPolicy.FORBIDDEN, saturation_policy=SaturationPolicy.NONE
    )


def with_services(spec: FleetSpec, services: Iterable[ServiceSpec]) -> FleetSpec:
    """Return the fleet with other services, each valid in it."""
    return spec.model_copy(update={"services": tuple(services)})


def can_serve(
    problem: FleetProblem, rows: Collection[str] | None = None, time_limit_s: float | None = None
) -> bool | None:
    """Whether some plan serves every service.

    Parameters
    ----------
    problem
        Of a fleet in which everyone must be served.
    rows
        Names of the capacities and limits to be kept; by default all.

    Returns
    -------
    bool or None
        None where time did not tell.
    """
    arrays = problem.arrays
    if arrays is None:
        return False
    if rows is not None:
        names = [problem.resources[row].name for row in problem.rows]
        counts = np.array([name in rows for name in names], dtype=np.bool_)
        capacity = np.where(counts, arrays.capacity, np.inf)
        arrays = dataclasses.replace(arrays, capacity=capacity)
    result = solve(arrays, relative_gap=_ANY_GAP, time_limit_s=time_limit_s)
    if result.x is not None:
        return True
    return False if result.termination.reason is Reason.INFEASIBLE else None
