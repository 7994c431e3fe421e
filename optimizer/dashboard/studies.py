"""What can be studied of a fleet beside its plan; each is run by `run_study`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from optimizer.control.lab import Series, run_scenario
from optimizer.control.spec import ScenarioSpec
from optimizer.fleet import (
    FleetPlan,
    ParetoMeasure,
    ParetoPoint,
    RepairStudy,
    pareto_front,
    repair,
    tornado,
)
from optimizer.report.html import front_fragment, lab_fragment, repair_fragment, tornado_fragment
from optimizer.spec import FleetSpec

__all__ = ["front_study", "lab_study", "repair_study", "tornado_study"]

_S_PER_H = 3600.0

Told = Callable[..., None]
"""Told what is being done, the share of it that is done, figures and a page of it so far."""


def front_study(
    fleet: FleetSpec, measure: ParetoMeasure, points: int, told: Told
) -> dict[str, Any]:
    """Return the front of cost against a measure, with its plans."""
    found = 0

    def seen(point: ParetoPoint) -> None:
        nonlocal found
        found += 1
        told(f"plans found: {found}, the last at {point.cost_per_hour:,.2f} {fleet.currency}/h")

    told("the cheapest plan")
    front = pareto_front(fleet, measure, points, told=seen)
    return {
        "html": front_fragment(front),
        "plans": [point.plan.model_dump(mode="json") for point in front.points],
    }


def repair_study(fleet: FleetSpec, told: Told) -> dict[str, Any]:
    """Return why not everyone can be served, and what would change it."""

    def seen(step: str, share: float, study: RepairStudy) -> None:
        html = repair_fragment(study, fleet.currency) if study.conflict else None
        told(step, share, html=html)

    told("whether everyone can be served", 0.0)
    return {"html": repair_fragment(repair(fleet, told=seen), fleet.currency)}


def tornado_study(fleet: FleetSpec, plan: FleetPlan, share: float, told: Told) -> dict[str, Any]:
    """Return what the cost hangs on."""

    def seen(done: float) -> None:
        told("every figure less and more", done)

    seen(0.0)
    # A process that is ended from outside must not have started others.
    return {"html": tornado_fragment(tornado(fleet, plan, share=share, jobs=1, told=seen))}


def lab_study(scenario: ScenarioSpec, fleet: FleetSpec, folder: str, told: Told) -> dict[str, Any]:
    """Return a run of the laboratory."""

    def seen(policy: str, share: float, series: Series) -> None:
        hours = [time / _S_PER_H for time in series.time_s]
        kept = [100.0 * value for value in series.kept]
        told(policy, share, {"time_h": hours, "cards": series.cards, "kept_percent": kept})

    result = run_scenario(scenario, fleet, Path(folder), seen)
    return {"html": lab_fragment(result, fleet.currency)}
