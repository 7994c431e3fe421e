"""A plan as a page: verdict, costs, margins, capacities, and what was asked for beside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from optimizer.engine import PlanSimulation
from optimizer.fleet.difference import PlanDifference
from optimizer.fleet.pareto import ParetoFront
from optimizer.fleet.plan import Allocation, FleetPlan, TargetOutcome
from optimizer.fleet.shadow_prices import ShadowPrice
from optimizer.fleet.tornado import Tornado
from optimizer.report.html.charts import bar_chart, share_chart
from optimizer.report.html.difference_section import difference_values
from optimizer.report.html.front_section import front_values
from optimizer.report.html.pages import rendered
from optimizer.report.html.tornado_section import tornado_values
from optimizer.report.plan_words import (
    WHOLE_SHARE,
    accelerator_costs,
    accelerators_known,
    load_words,
    place_words,
    replicas_words,
    store_words,
    target_words,
    tightest_target,
    used_share,
    verdict_lines,
)

__all__ = ["PlanReport", "plan_body", "plan_fragment", "plan_page", "plan_values"]

# Beyond so many rows a chart is no longer read; tables hold all of them.
_MOST_ROWS = 40
_DEAREST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanReport:
    """What a page shows; None where it was not asked for.

    Parameters
    ----------
    plan
        The plan.
    previous
        What changes from an earlier plan.
    front
        Plans that trade cost for a measure.
    tornado
        What the cost hangs on.
    prices
        Shadow prices of the relaxation.
    simulation
        The plan simulated.
    """

    plan: FleetPlan
    previous: PlanDifference | None = None
    front: ParetoFront | None = None
    tornado: Tornado | None = None
    prices: Sequence[ShadowPrice] | None = None
    simulation: PlanSimulation | None = None


def plan_page(report: PlanReport) -> str:
    """Return the page.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    """
    return rendered("plan.html.j2", **plan_values(report))


def plan_body(report: PlanReport) -> str:
    """Return all of the page but its frame, to stand in somebody else's.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    """
    return rendered("plan_body.html.j2", **plan_values(report))


def plan_fragment(plan: FleetPlan) -> str:
    """Return verdict and services to stand in somebody else's page, such as a notebook's.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    """
    return rendered("plan_fragment.html.j2", **_verdict(plan), **_services(plan))


def plan_values(report: PlanReport) -> dict[str, Any]:
    """Return what the template of a plan's body speaks of."""
    plan = report.plan
    tightest = _tightest(plan)
    return {
        **_verdict(plan),
        **(front_values(report.front) if report.front else {"front": None}),
        **(tornado_values(report.tornado) if report.tornado else {"tornado": None}),
        **(difference_values(report.previous) if report.previous else {"difference": None}),
        **_services(plan),
        **_cost_charts(plan),
        "margins_chart": _margins_chart(tightest),
        "margins_shown": min(len(tightest), _MOST_ROWS),
        "margins_left_out": max(len(tightest) - _MOST_ROWS, 0),
        "prices": _prices(report.prices),
        "simulation": report.simulation,
    }


def _verdict(plan: FleetPlan) -> dict[str, Any]:
    served = len(plan.services_served)
    margins = [(a.margin, a.service) for a in plan.allocations if a.margin is not None]
    margin, service = min(margins, default=(None, ""))
    return {
        "plan": plan,
        "verdict": ["".join(words for words, _ in line) for line in verdict_lines(plan)],
        "served_whole": served - len(plan.services_partly_served),
        "services": served + len(plan.unserved),
        "cards": sum(allocation.cards for allocation in plan.allocations),
        "smallest_margin": margin,
        "tightest_service": service,
    }


def _services(plan: FleetPlan) -> dict[str, Any]:
    return {
        "rows": [_row(allocation) for allocation in plan.allocations],
        "stores": [(a, a.storage) for a in plan.allocations if a.storage is not None],
        "split": any(0 < a.share < WHOLE_SHARE for a in plan.allocations),
    }


def _row(a: Allocation) -> dict[str, Any]:
    tightest = tightest_target(a)
    return {
        "service": a.service,
        "service_class": f"{a.service_class} ({a.priority})",
        "place": place_words(a),
        "store": "-" if a.storage is None else store_words(a.storage),
        "replicas": replicas_words(a),
        "batch": "-" if a.max_batch is None else a.max_batch,
        "cost": a.cost_per_hour,
        "rate": a.admitted_rate_rps,
        "share": a.share,
        "load": load_words(a),
        "ttft_ms": a.ttft_ms,
        "itl_ms": a.itl_ms,
        "target": "-" if tightest is None else target_words(tightest),
        "margin": a.margin,
        "kept": a.slo_met,
    }


def _cost_charts(plan: FleetPlan) -> dict[str, Any]:
    """Draw the cost by service, where there are many by class, and of the dearest services."""
    rows = _costs_by(plan, lambda allocation: allocation.service)
    many = len(rows) > _MOST_ROWS
    shown = rows[:_DEAREST] if many else rows
    classes = _costs_by(plan, lambda allocation: allocation.service_class) if many else []
    return {
        "cost_chart": _cost_chart(plan, shown, "cost by service and accelerator"),
        "class_cost_chart": _cost_chart(plan, classes, "cost by class and accelerator"),
        "costs_shown": len(shown),
        "costs_left_out": len(rows) - len(shown),
        "cost_left_out": sum(sum(costs.values()) for _, costs in rows[len(shown) :]),
    }


def _costs_by(
    plan: FleetPlan, name_of: Callable[[Allocation], str]
) -> list[tuple[str, dict[str, float]]]:
    """Return costs by accelerator of what has any, the dearest first."""
    members: dict[str, list[Allocation]] = {}
    for allocation in plan.allocations:
        members.setdefault(name_of(allocation), []).append(allocation)
    rows = [(name, accelerator_costs(mine)) for name, mine in members.items()]
    return sorted((row for row in rows if row[1]), key=lambda row: -sum(row[1].values()))


def _cost_chart(plan: FleetPlan, rows: Sequence[tuple[str, dict[str, float]]], title: str) -> str:
    if not rows:
        return ""
    return bar_chart(rows, f"{plan.currency} per hour", title, known=accelerators_known(plan))


def _tightest(plan: FleetPlan) -> list[tuple[Allocation, TargetOutcome]]:
    pairs = ((a, tightest_target(a)) for a in plan.allocations)
    found = [(a, target) for a, target in pairs if target is not None and target.value is not None]
    return sorted(found, key=lambda pair: -used_share(pair[1]))


def _margins_chart(tightest: Sequence[tuple[Allocation, TargetOutcome]]) -> str:
    several = Counter(a.service for a, _ in tightest)
    rows = [
        (
            f"{a.service}{f' on {place_words(a)}' if several[a.service] > 1 else ''}: "
            f"{target_words(target)}",
            used_share(target),
            target.met,
        )
        for a, target in tightest[:_MOST_ROWS]
    ]
    if not rows:
        return ""
    return share_chart(rows, "share of what the objective allows", "objectives and predictions")


def _prices(prices: Sequence[ShadowPrice] | None) -> dict[str, float] | None:
    if prices is None:
        return None
    return {str(price.requirement.name): price.price_per_hour for price in prices}
