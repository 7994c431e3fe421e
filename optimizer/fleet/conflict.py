"""Why not everyone can be served: requirements that contradict each other, none of which can go.

Whether a set of requirements can be kept together is asked of an exact solver, with everything
else left out; blocks of requirements are deleted while what is left is still impossible (a deletion
filter, Chinneck, Feasibility and Infeasibility in Optimization, 2008, section 6.2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from optimizer.fleet.changed_problem import changed_problem
from optimizer.fleet.everyone_served import can_serve, with_services
from optimizer.fleet.part_of_table import part_of_table
from optimizer.fleet.problem import FleetProblem, problem_of
from optimizer.fleet.targets import targets_of
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.service import ServiceSpec

__all__ = ["Conflict", "Demand", "conflict", "irreducible"]

T = TypeVar("T")


class Demand(StrEnum):
    """What a service asks for beside being served."""

    OBJECTIVES = "objectives"
    MOST_REPLICAS = "replicas.max"
    PINNED = "accelerator"


@dataclass(frozen=True, slots=True)
class Conflict:
    """Requirements that cannot be kept together; without any one of them the others can.

    Parameters
    ----------
    services
        Names of services that must be served.
    demands
        What of them cannot be given up either, by service.
    rows
        Names of capacities and limits.
    irreducible
        Whether every part was proven to matter; False where time ran out.
    """

    services: tuple[str, ...]
    demands: tuple[tuple[str, Demand], ...]
    rows: tuple[str, ...]
    irreducible: bool


def conflict(problem: FleetProblem, time_limit_s: float | None = None) -> Conflict:
    """Find an irreducible conflict of a fleet in which not everyone can be served.

    Parameters
    ----------
    problem
        Of a fleet in which everyone must be served; infeasible.
    time_limit_s
        Of each question to the solver.
    """
    spec = problem.table.spec
    if problem.arrays is None:
        # A service that nothing serves is a conflict by itself: the others do not matter.
        kept, rows, sure = [problem.impossible[0]], list[str](), True
    else:
        kept, rows, sure = _services_and_rows(problem, time_limit_s)
    services = [spec.services[index] for index in kept]
    alone = problem_of(part_of_table(problem.table, kept))
    demands, sure_of_demands = _demands(alone, rows, time_limit_s)
    return Conflict(
        services=tuple(service.name for service in services),
        demands=tuple(demands),
        rows=tuple(rows),
        irreducible=sure and sure_of_demands,
    )


def irreducible(
    items: Sequence[T], is_impossible: Callable[[Sequence[T]], bool | None]
) -> tuple[list[T], bool]:
    """Delete items while the rest stays impossible.

    Parameters
    ----------
    items
        Impossible together.
    is_impossible
        Whether some of them are; None: unknown, and the block in question stays.

    Returns
    -------
    tuple
        The items left, in order, and whether each was proven to matter.

    Notes
    -----
    Blocks are halved until they are single items, so that few of many items are found with few
    questions: about k log2(n / k) for k of n.
    """
    kept = list(items)
    sure = True
    block = max(len(kept) // 2, 1)
    while True:
        start = 0
        while start < len(kept):
            rest = kept[:start] + kept[start + block :]
            answer = is_impossible(rest)
            if answer:
                kept = rest
                continue
            sure = sure and (answer is not None or block > 1)
            start += block
        if block == 1:
            return kept, sure
        block = max(block // 2, 1)


def _services_and_rows(
    problem: FleetProblem, time_limit_s: float | None
) -> tuple[list[int], list[str], bool]:
    table = problem.table
    everyone = range(len(table.spec.services))
    # Rows go last into the filter: a conflict of few services says more than one of few rows.
    items: list[int | str] = [*everyone, *(problem.resources[r].name for r in problem.rows)]

    def is_impossible(kept: Sequence[int | str]) -> bool | None:
        services = [item for item in kept if isinstance(item, int)]
        if not services:
            return False
        part = problem_of(part_of_table(table, services))
        answer = can_serve(part, {str(item) for item in kept}, time_limit_s)
        return None if answer is None else not answer

    kept, sure = irreducible(items, is_impossible)
    return (
        [item for item in kept if isinstance(item, int)],
        [item for item in kept if isinstance(item, str)],
        sure,
    )


def _demands(
    alone: FleetProblem, rows: Sequence[str], time_limit_s: float | None
) -> tuple[list[tuple[str, Demand]], bool]:
    """Return which demands of the conflict's services, alone in a fleet, it cannot do without."""
    spec = alone.table.spec
    services = spec.services
    asked = [(s.name, demand) for s in services for demand in Demand if _asks(spec, s, demand)]

    def is_impossible(kept: Sequence[tuple[str, Demand]]) -> bool | None:
        changed = changed_problem(alone, _with_demands(spec, services, kept))
        answer = can_serve(changed, rows, time_limit_s)
        return None if answer is None else not answer

    return irreducible(asked, is_impossible)


def _asks(spec: FleetSpec, service: ServiceSpec, demand: Demand) -> bool:
    match demand:
        case Demand.OBJECTIVES:
            service_class = next(c for c in spec.classes if c.name == service.service_class)
            return bool(targets_of(service_class, service.model))
        case Demand.MOST_REPLICAS:
            return service.replicas.max is not None
        case Demand.PINNED:
            return service.accelerator is not None


def _with_demands(
    spec: FleetSpec, services: Sequence[ServiceSpec], kept: Sequence[tuple[str, Demand]]
) -> FleetSpec:
    """Return the fleet of some services that ask for nothing else but what is kept."""
    # A service without objectives is of a class of its own, since classes hold them.
    free = {
        entry.name: entry.model_copy(
            update={"name": f"{entry.name} without objectives", "slos": ()}
        )
        for entry in spec.classes
    }
    changed = []
    for service in services:
        update: dict[str, object] = {}
        if (service.name, Demand.OBJECTIVES) not in kept:
            update["service_class"] = free[service.service_class].name
        if (service.name, Demand.MOST_REPLICAS) not in kept:
            update["replicas"] = service.replicas.model_copy(update={"max": None})
        if (service.name, Demand.PINNED) not in kept:
            update["accelerator"] = None
        changed.append(service.model_copy(update=update))
    classes = (*spec.classes, *free.values())
    return with_services(spec.model_copy(update={"classes": classes}), changed)
