"""Why a service gets nothing, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable, Verdict
from optimizer.fleet.impossible import why_not
from optimizer.fleet.plan import UnservedService
from optimizer.fleet.problem import FleetProblem
from optimizer.fleet.resources import in_words
from optimizer.spec.options import PriorityMode
from solvers import CAPACITY_TOLERANCE

__all__ = ["why_impossible", "why_unserved"]

IntArray = NDArray[np.int64]

# A sentence lists this many different reasons, those nearest to serving first.
_SHOWN = 3


def why_impossible(table: CandidateTable, service: int) -> str:
    """Say why nothing can serve a service: the accelerators that came nearest, with reasons."""
    rows = table.rows_of(service)
    # The later the step that ruled a candidate out, the nearer it came.
    nearest = rows[np.argsort(-table.verdict[rows], kind="stable")]
    places: dict[str, list[str]] = {}
    for row in nearest.tolist():
        name = table.place_of(row)
        names = places.setdefault(why_not(table, row), [])
        if name not in names:
            names.append(name)
    reasons = [f"{', '.join(names)}: {reason}" for reason, names in places.items()]
    more = f"; and {len(reasons) - _SHOWN} more reasons" if len(reasons) > _SHOWN else ""
    return "; ".join(reasons[:_SHOWN]) + more


def why_unserved(
    problem: FleetProblem, service: int, free: Mapping[str, float | None]
) -> UnservedService:
    """Say why a plan leaves a service out, given what remains free."""
    table = problem.table
    spec = table.spec
    entry = spec.services[service]
    rows = table.rows_of(service)
    possible = rows[table.verdict[rows] == Verdict.POSSIBLE]
    alone = possible[table.shared[possible] < 0]
    possible = alone if alone.size else possible
    if not possible.size:
        reason, explanation = "no-candidate", why_impossible(table, service)
    else:
        fitting = [row for row in possible.tolist() if not _shortfalls(problem, row, free)]
        if not fitting:
            reason, explanation = "capacity", _no_room(problem, possible, free)
        elif spec.optimizer.priorities is PriorityMode.WEIGHTED:
            reason, explanation = "not-worth-it", _not_worth_it(problem, fitting)
        else:
            reason, explanation = "not-placed", _not_placed(table, fitting)
    classes = {c.name: c.priority for c in spec.classes}
    return UnservedService.model_validate(
        {
            "service": entry.name,
            "model": entry.model,
            "service_class": entry.service_class,
            "priority": classes[entry.service_class],
            "reason": reason,
            "explanation": explanation,
        }
    )


def _no_room(problem: FleetProblem, possible: IntArray, free: Mapping[str, float | None]) -> str:
    table = problem.table
    cheapest = int(possible[np.argmin(table.cost_per_hour[possible])])
    return f"no room: its cheapest candidate, {_what(table, cheapest)}, needs " + ", ".join(
        _shortfalls(problem, cheapest, free)
    )


def _not_placed(table: CandidateTable, fitting: list[int]) -> str:
    cheapest = min(fitting, key=lambda row: float(table.cost_per_hour[row]))
    return f"the solver did not place it, though {_what(table, cheapest)} would fit as it stands"


def _what(table: CandidateTable, row: int) -> str:
    return (
        f"{int(table.replicas[row])} replica(s) on "
        f"{table.place_of(row)} at "
        f"{table.cost_per_hour[row]:.4g} {table.spec.currency}/h"
    )


def _shortfalls(problem: FleetProblem, row: int, free: Mapping[str, float | None]) -> list[str]:
    """Return which capacities a candidate exceeds, in words, given what is free."""
    short = []
    for resource in problem.resources:
        left, needed = free[resource.name], float(resource.usage[row])
        if left is not None and needed > left + CAPACITY_TOLERANCE * resource.capacity:
            whole = resource.capacity
            room = (
                f"{left:.6g} of {whole:.6g} free"
                if needed <= whole
                else f"there are only {whole:.6g}"
            )
            short.append(f"{in_words(resource.requirement, needed)} ({room})")
    return short


def _not_worth_it(problem: FleetProblem, fitting: list[int]) -> str:
    table = problem.table
    cheapest = min(fitting, key=lambda row: float(table.cost_per_hour[row]))
    return (
        f"staying unserved is cheaper by the objective "
        f"'{table.spec.optimizer.objective}': {_what(table, cheapest)} would fit"
    )
