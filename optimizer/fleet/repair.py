"""What would let everyone be served: the cheapest repair, and what else would do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from optimizer.fleet.conflict import Conflict, Demand, conflict
from optimizer.fleet.elastic import ElasticRepair, elastic_repair
from optimizer.fleet.everyone_served import can_serve, everyone_served, with_services
from optimizer.fleet.problem import FleetProblem, build_problem
from optimizer.fleet.relaxation import Relaxation, RelaxationKind, relax_service
from optimizer.fleet.unserved import why_impossible
from optimizer.spec.assignment import Assignment, Operation, assigned
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["Repair", "RepairStudy", "RepairTold", "repair"]

# What a service that nothing serves gives up, the first that is enough.
_OWN = (RelaxationKind.PINNED, RelaxationKind.MOST_REPLICAS, RelaxationKind.OBJECTIVES)
_DEMANDS = {
    RelaxationKind.OBJECTIVES: Demand.OBJECTIVES,
    RelaxationKind.MOST_REPLICAS: Demand.MOST_REPLICAS,
    RelaxationKind.PINNED: Demand.PINNED,
}


@dataclass(frozen=True, slots=True)
class Repair:
    """Changes with which everyone can be served.

    Parameters
    ----------
    relaxations
        What services give up.
    resources
        What more there has to be; None where what is there is enough.
    """

    relaxations: tuple[Relaxation, ...] = ()
    resources: ElasticRepair | None = None

    @property
    def assignments(self) -> tuple[Assignment, ...]:
        """The changes as the fleet's description has them, ready for `assigned` or `whatif`."""
        extensions = () if self.resources is None else self.resources.extensions
        return (
            *(change for relaxation in self.relaxations for change in relaxation.assignments),
            *(Assignment(e.path, Operation.ADD, _whole(e.more)) for e in extensions if e.path),
        )

    @property
    def price_per_hour(self) -> float:
        """What the resources count for."""
        return 0.0 if self.resources is None else self.resources.price


@dataclass(frozen=True, slots=True)
class RepairStudy:
    """Why not everyone can be served, and what would change that.

    Parameters
    ----------
    feasible
        Whether everyone can be served as it is; None where time did not tell. The rest is empty
        then.
    conflict
        Requirements that contradict each other, none of which can go.
    repairs
        The first is the cheapest in resources; then what services of the conflict could give up
        instead, one at a time. Each is enough by itself.
    beyond
        Services that no number repairs, with what they lack.
    """

    feasible: bool | None
    conflict: Conflict | None = None
    repairs: tuple[Repair, ...] = ()
    beyond: tuple[tuple[str, str], ...] = ()


RepairTold = Callable[[str, float, RepairStudy], None]
"""Told what is being looked for, the rough share that is done, and what was found so far."""


def repair(
    spec: FleetSpec, time_limit_s: float | None = None, told: RepairTold | None = None
) -> RepairStudy:
    """Find out why not everyone can be served, and the least that would change it.

    Parameters
    ----------
    spec
        A validated fleet; whether its services may stay unserved does not matter.
    time_limit_s
        Of each question to the solver; by default the fleet's own limit.
    told
        Called before each step.
    """
    tell = told or _tell_nobody
    limit = time_limit_s if time_limit_s is not None else spec.optimizer.time_limit_s
    fleet = everyone_served(spec)
    problem = build_problem(fleet)
    feasible = can_serve(problem, None, limit)
    if feasible is not False:
        return RepairStudy(feasible)
    tell("what contradicts what", 0.1, RepairStudy(False))
    found = conflict(problem, limit)
    study = RepairStudy(False, found)
    tell("the cheapest repair", 0.4, study)
    own, beyond = _own_repairs(problem, limit)
    if beyond:
        return replace(study, beyond=beyond)
    study = replace(study, repairs=tuple(_with_resources(problem, own, limit)))
    for place, name in enumerate(found.services):
        tell(f"what {name} could give up", 0.5 + 0.5 * place / len(found.services), study)
        more = _alternatives(problem, found, name, limit)
        study = replace(study, repairs=tuple(dict.fromkeys((*study.repairs, *more))))
    return study


def _tell_nobody(_step: str, _share: float, _study: RepairStudy) -> None:
    """Do nothing."""


def _own_repairs(
    problem: FleetProblem, limit: float | None
) -> tuple[tuple[Relaxation, ...], tuple[tuple[str, str], ...]]:
    """Find what services that nothing serves have to give up, were each alone.

    One after the other: what one gives up of its class's objectives may be enough for the next.
    """
    spec = problem.table.spec
    relaxations: list[Relaxation] = []
    beyond: list[tuple[str, str]] = []
    for index in problem.impossible:
        alone = build_problem(with_services(spec, [spec.services[index]]))
        if alone.arrays is not None:
            continue
        first = next(_own_relaxations(alone, limit), None)
        if first is None:
            beyond.append((spec.services[index].name, why_impossible(problem.table, index)))
        else:
            relaxations.append(first)
            spec = assigned(spec, first.assignments)
    return tuple(relaxations), tuple(beyond)


def _own_relaxations(alone: FleetProblem, limit: float | None) -> Iterator[Relaxation]:
    """Yield what the only service of a fleet can give up: within all rows, then without them."""
    (service,) = alone.table.spec.services
    for rows in (None, frozenset[str]()):
        for kind in _OWN:
            found = relax_service(alone, service, kind, rows=rows, time_limit_s=limit)
            if found is not None:
                yield found


def _with_resources(
    problem: FleetProblem, own: Sequence[Relaxation], limit: float | None
) -> Iterator[Repair]:
    """Yield the cheapest repair, if any: what has to be given up anyway, and resources."""
    if own:
        changes = [change for relaxation in own for change in relaxation.assignments]
        problem = build_problem(assigned(problem.table.spec, changes))
        if can_serve(problem, None, limit):
            yield Repair(tuple(own))
            return
    if problem.arrays is not None:
        resources = elastic_repair(problem, limit)
        if resources is not None:
            yield Repair(tuple(own), resources)


def _alternatives(
    problem: FleetProblem, found: Conflict, name: str, limit: float | None
) -> Iterator[Repair]:
    """Yield what one service of the conflict could give up alone."""
    service = next(service for service in problem.table.spec.services if service.name == name)
    for kind in RelaxationKind:
        if kind in _DEMANDS and (name, _DEMANDS[kind]) not in found.demands:
            continue
        relaxation = relax_service(problem, service, kind, time_limit_s=limit)
        if relaxation is not None:
            yield Repair((relaxation,))


def _whole(value: float) -> float:
    """Return whole numbers as such: counts take no others."""
    return int(value) if value.is_integer() else value
