"""The least that a service has to give up so that everyone can be served."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

from optimizer.errors import SpecError
from optimizer.fleet.changed_problem import changed_problem
from optimizer.fleet.everyone_served import can_serve
from optimizer.fleet.problem import FleetProblem
from optimizer.spec.assignment import Assignment, Operation, assigned, named_entry
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.service import ServiceSpec

__all__ = ["Relaxation", "RelaxationKind", "relax_service"]

# What is given up is found to this relative precision, and rounded up to as many digits: what is
# said suffices, and what is 2 % less does not.
_PRECISION = 0.01
_DIGITS = 3
# Less is not told from nothing.
_LEAST = 1e-6
# Objectives loosened by more than this are no objectives.
_LOOSEST = 1e4
_MOST_REPLICAS = 10**6


class RelaxationKind(StrEnum):
    """What is given up."""

    LOAD = "load"
    OBJECTIVES = "objectives"
    MOST_REPLICAS = "replicas"
    PINNED = "accelerator"


@dataclass(frozen=True, slots=True)
class Relaxation:
    """A change of one service, or of the objectives it shares with its class.

    Parameters
    ----------
    service
        Its name.
    kind
        What is given up.
    factor
        Of the load (below 1), of the bounds (above 1) or of the most replicas; 1 for a pin.
    assignments
        The change as the fleet's description has it.
    """

    service: str
    kind: RelaxationKind
    factor: float
    assignments: tuple[Assignment, ...]


def relax_service(
    problem: FleetProblem,
    service: ServiceSpec,
    kind: RelaxationKind,
    *,
    rows: Collection[str] | None = None,
    time_limit_s: float | None = None,
) -> Relaxation | None:
    """Find the least relaxation of one kind that lets everyone be served.

    Parameters
    ----------
    problem
        Of a fleet in which everyone must be served, and cannot be.
    service
        The one that gives something up.
    rows
        Names of the capacities and limits to be kept; by default all.
    time_limit_s
        Of each question to the solver; one that is not answered counts as a no.

    Returns
    -------
    Relaxation or None
        None where no relaxation of this kind is enough, or the service has nothing of it to give.
    """
    spec = problem.table.spec

    def suffices(assignments: tuple[Assignment, ...]) -> bool:
        try:
            changed = assigned(spec, assignments)
        except SpecError:
            return False  # beyond what a fleet may say, such as a million replicas
        return can_serve(changed_problem(problem, changed), rows, time_limit_s) is True

    match kind:
        case RelaxationKind.LOAD:
            found = _least_load(service, suffices)
        case RelaxationKind.OBJECTIVES:
            found = _least_loosening(spec, service, suffices)
        case RelaxationKind.MOST_REPLICAS:
            found = _least_replicas(service, suffices)
        case RelaxationKind.PINNED:
            found = _unpinned(service, suffices)
    return found


Suffices = Callable[[tuple[Assignment, ...]], bool]


def _least_load(service: ServiceSpec, suffices: Suffices) -> Relaxation | None:
    """Find the largest share of the load that can be served beside the others."""
    if service.load.arrival_rate_rps <= 0:
        return None
    path = f"{named_entry('services', service.name)}.load.arrival_rate_rps"

    def with_share(share: float) -> tuple[Assignment, ...]:
        return (Assignment(path, Operation.MULTIPLY, share),)

    refused, enough = 0.0, 1.0 - _LEAST
    if not suffices(with_share(1.0 - enough)):
        return None
    given_up = _least_enough(refused, enough, lambda part: suffices(with_share(1.0 - part)))
    share = float(f"{1.0 - min(given_up, enough):.9g}")
    return Relaxation(service.name, RelaxationKind.LOAD, share, with_share(share))


def _least_loosening(
    spec: FleetSpec, service: ServiceSpec, suffices: Suffices
) -> Relaxation | None:
    """Find the least common factor by which the service's bounds are too tight."""
    bounds = list(_bounds(spec, service))
    if not bounds:
        return None

    def by_factor(factor: float) -> tuple[Assignment, ...]:
        return tuple(
            Assignment(path, Operation.MULTIPLY, factor if is_latency else 1 / factor)
            for path, is_latency in bounds
        )

    # Most often nothing of this kind is enough, which one question tells.
    if not suffices(by_factor(1.0 + _LOOSEST)):
        return None
    refused, enough = 0.0, 1.0
    while enough < _LOOSEST and not suffices(by_factor(1.0 + enough)):
        refused, enough = enough, enough * 2
    enough = min(enough, _LOOSEST)
    more = _least_enough(refused, enough, lambda part: suffices(by_factor(1.0 + part)))
    factor = float(f"{1.0 + more:.9g}")
    for bound in list(bounds):
        # Bounds that need not be loosened stay.
        bounds.remove(bound)
        if not suffices(by_factor(factor)):
            bounds.append(bound)
    return Relaxation(service.name, RelaxationKind.OBJECTIVES, factor, by_factor(factor))


def _least_replicas(service: ServiceSpec, suffices: Suffices) -> Relaxation | None:
    most = service.replicas.max
    if most is None:
        return None
    path = f"{named_entry('services', service.name)}.replicas.max"

    def up_to(replicas: int) -> tuple[Assignment, ...]:
        return (Assignment(path, Operation.SET, replicas),)

    if not suffices(up_to(_MOST_REPLICAS)):
        return None
    low, high = most, _MOST_REPLICAS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(up_to(middle)) else (middle, high)
    factor = high / most if most else math.inf
    return Relaxation(service.name, RelaxationKind.MOST_REPLICAS, factor, up_to(high))


def _unpinned(service: ServiceSpec, suffices: Suffices) -> Relaxation | None:
    if service.accelerator is None:
        return None
    change = (
        Assignment(f"{named_entry('services', service.name)}.accelerator", Operation.SET, None),
    )
    if not suffices(change):
        return None
    return Relaxation(service.name, RelaxationKind.PINNED, 1.0, change)


def _bounds(spec: FleetSpec, service: ServiceSpec) -> Iterator[tuple[str, bool]]:
    """Yield where the bounds of the service stand, and whether each is of a latency."""
    slos = next(c.slos for c in spec.classes if c.name == service.service_class)
    entry = named_entry("classes", service.service_class)
    own = [n for n, slo in enumerate(slos) if slo.model == service.model]
    general = [n for n, slo in enumerate(slos) if slo.model is None]
    for n in own[:1] or general[-1:]:
        for k, target in enumerate(slos[n].targets):
            yield f"{entry}.slos[{n}].targets[{k}].bound", target.metric.is_latency


def _least_enough(refused: float, enough: float, suffices: Callable[[float], bool]) -> float:
    """Close in on the least amount that suffices, and round it up to what a person would write."""
    while enough - refused > max(_PRECISION * enough, _LEAST):
        middle = (refused + enough) / 2
        refused, enough = (refused, middle) if suffices(middle) else (middle, enough)
    step = 10.0 ** (math.floor(math.log10(enough)) + 1 - _DIGITS)
    return float(f"{math.ceil(enough / step - 1e-9) * step:.{_DIGITS}g}")
