"""Why a service gets nothing, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from optimizer.fleet.candidates import CandidateTable, Verdict
from optimizer.fleet.impossible import why_not
from optimizer.fleet.plan import UnservedService
from optimizer.fleet.problem import FleetProblem
from optimizer.spec.options import PriorityMode

__all__ = ["why_impossible", "why_unserved"]

# A sentence lists the accelerators nearest to serving up to this many.
_SHOWN = 3


def why_impossible(table: CandidateTable, service: int) -> str:
    """Say why nothing can serve a service: the accelerators that came nearest, with reasons."""
    rows = table.rows_of(service)
    # The later the step that ruled a candidate out, the nearer it came.
    nearest = rows[np.argsort(-table.verdict[rows], kind="stable")]
    names = [table.inventory.names[int(a)] for a in table.accelerator[nearest]]
    reasons = [
        f"{name}: {why_not(table, int(row))}"
        for name, row in zip(names[:_SHOWN], nearest[:_SHOWN], strict=True)
    ]
    more = f"; and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    return f"{table.spec.services[service].name}: " + "; ".join(reasons) + more


def why_unserved(
    problem: FleetProblem, service: int, free: Mapping[str, int | None]
) -> UnservedService:
    """Say why a plan leaves a service out, given the cards that remain free."""
    table = problem.table
    spec = table.spec
    entry = spec.services[service]
    rows = table.rows_of(service)
    possible = rows[table.verdict[rows] == Verdict.POSSIBLE]
    reason, explanation = "no-candidate", why_impossible(table, service)
    if possible.size:
        cheapest = int(possible[np.argmin(table.cost_per_hour[possible])])
        short = _shortfalls(problem, cheapest, free)
        fitting = [row for row in possible.tolist() if not _shortfalls(problem, row, free)]
        weighted = spec.optimizer.priorities is PriorityMode.WEIGHTED
        if fitting and weighted:
            reason, explanation = "not-worth-it", _not_worth_it(problem, fitting)
        else:
            name = table.inventory.names[int(table.accelerator[cheapest])]
            reason = "capacity"
            explanation = (
                f"no room: its cheapest candidate, {int(table.replicas[cheapest])} replica(s) on "
                f"{name} at {table.cost_per_hour[cheapest]:.4g} {spec.currency}/h, needs "
                + (", ".join(short) or "cards that the plan gives to others")
            )
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


def _shortfalls(problem: FleetProblem, row: int, free: Mapping[str, int | None]) -> list[str]:
    """Return which capacities a candidate exceeds, in words, given what is free."""
    short = []
    for resource in problem.resources:
        left, needed = free[resource.name], int(resource.usage[row])
        if left is not None and needed > left:
            whole = int(resource.capacity)
            room = f"{left} of {whole} free" if needed <= whole else f"there are only {whole}"
            short.append(f"{needed} {resource.name} ({room})")
    return short


def _not_worth_it(problem: FleetProblem, fitting: list[int]) -> str:
    table = problem.table
    cheapest = min(fitting, key=lambda row: float(table.cost_per_hour[row]))
    return (
        f"serving it would cost {table.cost_per_hour[cheapest]:.4g} {table.spec.currency}/h "
        f"on {table.inventory.names[int(table.accelerator[cheapest])]}, "
        f"more than its penalty for staying unserved"
    )
