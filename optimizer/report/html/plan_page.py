"""A plan as a page: verdict, costs, margins, capacities, and what was asked for beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optimizer.engine import PlanSimulation
from optimizer.fleet.difference import Placement, PlanDifference
from optimizer.fleet.pareto import ParetoFront
from optimizer.fleet.plan import Allocation, FleetPlan, TargetOutcome
from optimizer.fleet.shadow_prices import ShadowPrice
from optimizer.fleet.tornado import Tornado, TornadoBar
from optimizer.report.html.charts import bar_chart, share_chart, staircase, tornado_chart
from optimizer.report.html.pages import rendered
from optimizer.report.pareto_text import measure_words
from optimizer.report.plan_words import (
    WHOLE_SHARE,
    load_words,
    place_words,
    replicas_words,
    target_words,
    tightest_target,
    verdict_lines,
)

__all__ = ["PlanReport", "plan_fragment", "plan_page"]

# Beyond so many rows a chart is no longer read; tables hold all of them.
_MOST_ROWS = 40


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
    plan = report.plan
    tightest = _tightest(plan)
    return rendered(
        "plan.html.j2",
        **_verdict(plan),
        **_front(report.front),
        **_tornado(report.tornado),
        **_services(plan),
        cost_chart=_cost_chart(plan),
        margins_chart=_margins_chart(tightest),
        margins_shown=min(len(tightest), _MOST_ROWS),
        margins_left_out=max(len(tightest) - _MOST_ROWS, 0),
        prices=_prices(report.prices),
        simulation=report.simulation,
        difference=report.previous,
        placements=_placements,
    )


def plan_fragment(plan: FleetPlan) -> str:
    """Return verdict and services to stand in somebody else's page, such as a notebook's.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    """
    return rendered("plan_fragment.html.j2", **_verdict(plan), **_services(plan))


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
        "split": any(0 < a.share < WHOLE_SHARE for a in plan.allocations),
    }


def _row(a: Allocation) -> dict[str, Any]:
    tightest = tightest_target(a)
    return {
        "service": a.service,
        "service_class": f"{a.service_class} ({a.priority})",
        "place": place_words(a),
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


def _cost_chart(plan: FleetPlan) -> str:
    costs: dict[str, dict[str, float]] = {}
    for a in plan.allocations:
        if a.cost_per_hour:
            _add(costs.setdefault(a.service, {}), a.accelerator or "none", a.cost_per_hour)
    rows = sorted(costs.items(), key=lambda row: -sum(row[1].values()))
    rest = rows[_MOST_ROWS:]
    others: dict[str, float] = {}
    for _, amounts in rest:
        for accelerator, cost in amounts.items():
            _add(others, accelerator, cost)
    shown = [*rows[:_MOST_ROWS], *([(f"{len(rest)} others", others)] if rest else [])]
    if not shown:
        return ""
    return bar_chart(shown, f"{plan.currency} per hour", "cost by service and accelerator")


def _add(amounts: dict[str, float], name: str, amount: float) -> None:
    amounts[name] = amounts.get(name, 0.0) + amount


def _tightest(plan: FleetPlan) -> list[tuple[Allocation, TargetOutcome]]:
    pairs = ((a, tightest_target(a)) for a in plan.allocations)
    found = [(a, target) for a, target in pairs if target is not None and target.value is not None]
    return sorted(found, key=lambda pair: -_used(pair[1]))


def _margins_chart(tightest: Sequence[tuple[Allocation, TargetOutcome]]) -> str:
    rows = [
        (f"{a.service}: {target_words(target)}", _used(target), target.met)
        for a, target in tightest[:_MOST_ROWS]
    ]
    if not rows:
        return ""
    return share_chart(rows, "share of what the objective allows", "objectives and predictions")


def _used(target: TargetOutcome) -> float:
    """Return how much of what an objective allows is used; rates, which are floors, inverted."""
    value = target.value or 0.0
    if target.metric.is_latency:
        return value / target.bound
    return target.bound / value if value else 10.0


def _front(front: ParetoFront | None) -> dict[str, Any]:
    if front is None:
        return {"front": None}
    words = measure_words(front.measure)
    chart = staircase(
        [point.cost_per_hour for point in front.points],
        [point.value for point in front.points],
        [point.proven for point in front.points],
        (f"{front.points[0].plan.currency} per hour", words),
    )
    return {"front": front, "front_measure": words, "front_chart": chart}


def _tornado(found: Tornado | None) -> dict[str, Any]:
    if found is None:
        return {"tornado": None}
    base = found.base.total_cost_per_hour or 0.0
    rows = [
        (bar.figure, bar.less.total_cost_per_hour, bar.more.total_cost_per_hour)
        for bar in found.bars[:_MOST_ROWS]
    ]
    ends = (f"{found.share:.0%} less", f"{found.share:.0%} more")
    unit = f"{found.base.currency} per hour"
    return {
        "tornado": found,
        "tornado_chart": tornado_chart(base, rows, unit, ends) if rows else "",
        "served_words": [_served_words(bar, found.base) for bar in found.bars],
    }


def _served_words(bar: TornadoBar, base: FleetPlan) -> str:
    """Say who is served at one end and not in the base, or the other way round."""
    words = []
    mine = set(base.services_served)
    for end, plan in (("less", bar.less), ("more", bar.more)):
        if plan.found:
            more = sorted(set(plan.services_served) - mine)
            fewer = sorted(mine - set(plan.services_served))
            words += [f"with {end} also {', '.join(more)}"] if more else []
            words += [f"with {end} not {', '.join(fewer)}"] if fewer else []
    return "; ".join(words)


def _prices(prices: Sequence[ShadowPrice] | None) -> dict[str, float] | None:
    if prices is None:
        return None
    return {str(price.requirement.name): price.price_per_hour for price in prices}


def _placements(placements: Sequence[Placement]) -> str:
    return (
        ", ".join(
            f"{p.replicas} x {p.accelerator} {p.configuration}".strip()
            if p.accelerator is not None
            else "scaled to zero"
            for p in placements
        )
        or "not served"
    )
