"""The work on one scenario, on whatever machine: the fleet is changed, solved, and summed up."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from optimizer.errors import SpecError
from optimizer.fleet.optimize import optimize
from optimizer.fleet.plan import FleetPlan
from optimizer.spec.assignment import Assignment, assigned
from optimizer.spec.fleet_spec import FleetSpec
from solvers import CancelFlag

__all__ = ["Figures", "ScenarioTask", "figures_of", "solve_scenario"]

Figures = dict[str, Any]
"""What a plan comes to, as JSON has it; without times, so that equal runs give equal figures."""


@dataclass(frozen=True, slots=True)
class ScenarioTask:
    """A scenario as it travels to a worker.

    Parameters
    ----------
    fleet_json
        The fleet as it is, one JSON document.
    changes
        Made one after the other.
    stop_after_s
        Wall-clock seconds after which the solver is asked to return what it has.
    with_plan
        Whether the whole plan comes back among the figures.
    """

    fleet_json: str
    changes: tuple[Assignment, ...]
    stop_after_s: float | None = None
    with_plan: bool = False


def solve_scenario(task: ScenarioTask) -> Figures:
    """Solve a scenario.

    A combination of changes that makes no valid fleet is an answer, `status: invalid`.

    Raises
    ------
    solvers.SolverError, queue_models.QueueModelError, PlanError
        As from `optimize`.
    """
    try:
        fleet = assigned(_fleet(task.fleet_json), task.changes)
    except SpecError as error:
        return {"status": "invalid", "detail": str(error)}
    cancel = CancelFlag()
    timer = None if task.stop_after_s is None else threading.Timer(task.stop_after_s, cancel.set)
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        plan = optimize(fleet, cancel=cancel)
    finally:
        if timer is not None:
            timer.cancel()
    figures = figures_of(plan, len(fleet.services))
    return figures | {"plan": plan.model_dump(mode="json")} if task.with_plan else figures


# Every scenario of a worker is, most often, of one and the same fleet.
@lru_cache(maxsize=4)
def _fleet(document: str) -> FleetSpec:
    return FleetSpec.model_validate_json(document, by_alias=True, by_name=False)


def figures_of(plan: FleetPlan, services: int) -> Figures:
    """Sum a plan up.

    Parameters
    ----------
    plan
        Of a scenario.
    services
        How many the fleet has.
    """
    cards: Counter[str] = Counter()
    for allocation in plan.allocations:
        if allocation.accelerator is not None:
            cards[allocation.accelerator] += allocation.cards
    served = plan.services_served
    partly = plan.services_partly_served
    margins = [a.margin for a in plan.allocations if a.margin is not None]
    return {
        "status": str(plan.termination),
        "detail": plan.detail,
        "currency": plan.currency,
        "total_cost_per_hour": plan.total_cost_per_hour,
        "primal_bound": plan.primal_bound,
        "dual_bound": plan.dual_bound,
        "relative_gap": plan.relative_gap,
        "power_kw": plan.power_kw,
        "carbon_kg_per_hour": plan.carbon_kg_per_hour,
        "services": services,
        "served": len(served) - len(partly),
        "partly_served": len(partly),
        "unserved": [service.service for service in plan.unserved],
        "replicas": sum(a.replicas for a in plan.allocations),
        "cards": dict(sorted(cards.items())),
        "smallest_margin": min(margins, default=None),
        "slo_met": all(a.slo_met for a in plan.allocations),
        "solver": plan.solver,
        "queue_model": plan.queue_model,
    }
