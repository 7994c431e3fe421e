"""Cost against a measure as part of a page, with the line that the objectives draw."""

from __future__ import annotations

from typing import Any

from optimizer.fleet.pareto import ParetoFront
from optimizer.fleet.plan import FleetPlan
from optimizer.report.html.charts import staircase
from optimizer.report.html.pages import rendered
from optimizer.report.pareto_text import measure_words
from optimizer.report.plan_words import tightest_target, used_share

__all__ = ["front_fragment", "front_values"]


def front_fragment(front: ParetoFront) -> str:
    """Return a front to stand in somebody else's page, with a button to pin each plan.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    """
    return rendered("plan_front.html.j2", **(front_values(front) | {"pinnable": True}))


def front_values(front: ParetoFront) -> dict[str, Any]:
    """Return what the template speaks of."""
    words = measure_words(front.measure)
    currency = front.points[0].plan.currency
    costs = [point.cost_per_hour for point in front.points]
    proven = [point.proven for point in front.points]
    slo, services = _weighted_bound(front)
    used = [_most_used(point.plan) for point in front.points]
    shares = [share for share in used if share is not None]
    return {
        "front": front,
        "front_currency": currency,
        "front_measure": words,
        "front_slo": slo,
        "front_slo_services": services,
        "front_used": used,
        "front_chart": staircase(
            costs,
            [point.value for point in front.points],
            proven,
            (f"{currency} per hour", words),
            line=None if slo is None else (slo, "SLO"),
        ),
        "front_used_chart": staircase(
            costs,
            shares,
            proven,
            (f"{currency} per hour", "tightest objective used"),
            line=(1.0, "SLO"),
        )
        if len(shares) == len(used)
        else "",
        "pinnable": False,
    }


def _most_used(plan: FleetPlan) -> float | None:
    """Return how much the tightest objective of all services uses of what it allows."""
    found = (tightest_target(allocation) for allocation in plan.allocations)
    return max((used_share(target) for target in found if target is not None), default=None)


def _weighted_bound(front: ParetoFront) -> tuple[float | None, int]:
    """Return the measure if every service just kept its objective, and how many have one.

    A mean over all requests has such a line only where all that are served have an objective on
    that latency; else None.
    """
    weights = bounds = 0.0
    count = 0
    for allocation in front.points[0].plan.allocations:
        rate = allocation.admitted_rate_rps
        if not rate:
            continue
        mine = [t.bound for t in allocation.targets if t.metric.value == front.measure.value]
        if not mine:
            return None, 0
        weights, bounds, count = weights + rate, bounds + rate * min(mine), count + 1
    return (bounds / weights, count) if weights else (None, 0)
