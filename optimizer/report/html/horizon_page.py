"""A plan over periods as a page: what it costs and for what, what serves when, what changes."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

from optimizer.fleet.horizon import HorizonPlan, PeriodAllocation, PeriodPlan
from optimizer.report.html.charts import bar_chart, curve_chart
from optimizer.report.html.pages import rendered
from optimizer.report.plan_words import period_place

__all__ = ["horizon_body", "horizon_page"]

# Columns of a table that fit on a screen; further periods follow in tables of their own.
_ACROSS = 16
# Curves that are told apart.
_MOST_CURVES = 8


def horizon_page(plan: HorizonPlan) -> str:
    """Return the page.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    """
    return rendered("horizon.html.j2", **_shown(plan))


def horizon_body(plan: HorizonPlan) -> str:
    """Return all of the page but its frame, to stand in somebody else's.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    """
    return rendered("horizon_body.html.j2", **_shown(plan))


def _shown(plan: HorizonPlan) -> dict[str, Any]:
    if not plan.found:
        return {"plan": plan}
    names = [period.name for period in plan.periods]
    instances = [_instances(period) for period in plan.periods]
    return {
        "plan": plan,
        "hours": plan.period_hours * len(plan.periods),
        "purposes": _purposes(plan),
        "purposes_chart": _purposes_chart(plan),
        "instances_chart": _over_time(plan, instances, "instances paid"),
        "loads_chart": _over_time(plan, [p.rates_rps for p in plan.periods], "requests/s"),
        "loads_shown": _MOST_CURVES,
        "periods": [_period(*pair) for pair in zip(plan.periods, instances, strict=True)],
        "tables": [
            _replicas(plan.periods[first : first + _ACROSS])
            for first in range(0, len(names), _ACROSS)
        ],
        "unserved": _unserved(plan),
    }


def _purposes(plan: HorizonPlan) -> dict[str, float]:
    cost = plan.cost
    assert cost is not None
    return {
        "on demand": cost.running,
        "committed": cost.committed,
        "starts": cost.starts,
        "stops": cost.stops,
        "moves": cost.moves,
    }


def _purposes_chart(plan: HorizonPlan) -> str:
    purposes = _purposes(plan)
    paid = {purpose: cost for purpose, cost in purposes.items() if cost}
    unit = f"{plan.currency} over the horizon"
    return (
        bar_chart([("cost", paid)], unit, "cost by purpose", known=tuple(purposes)) if paid else ""
    )


def _instances(period: PeriodPlan) -> dict[str, float]:
    counts: Counter[str] = Counter()
    for allocation in period.allocations:
        counts[allocation.accelerator] += allocation.instances
    return dict(counts)


def _over_time(plan: HorizonPlan, amounts: list[dict[str, float]], unit: str) -> str:
    """Draw the largest of some amounts through time, each held until its period ends."""
    peaks: dict[str, float] = {}
    for period in amounts:
        for name, amount in period.items():
            peaks[name] = max(peaks.get(name, 0.0), amount)
    hours = [place * plan.period_hours for place in range(len(amounts) + 1)]
    curves = [
        (name, hours, [values[0], *values[1:], values[-1]])
        for name in sorted(peaks, key=lambda name: -peaks[name])[:_MOST_CURVES]
        if (values := [period.get(name, 0.0) for period in amounts])
    ]
    return curve_chart(
        curves, ("time from the first period's begin [h]", unit), steps=True, from_zero=True
    )


def _period(period: PeriodPlan, instances: dict[str, float]) -> dict[str, Any]:
    return {
        "name": period.name,
        "rate": sum(period.rates_rps.values()),
        "instances": ", ".join(f"{n:.0f} {name}" for name, n in instances.items() if n) or "none",
        "started": sum(a.started for a in period.allocations),
        "stopped": sum(a.stopped for a in period.allocations),
        "starting": sum(a.starting for a in period.allocations),
        "moved": ", ".join(period.moved),
        "unserved": ", ".join(period.unserved),
    }


def _replicas(periods: tuple[PeriodPlan, ...]) -> dict[str, Any]:
    """Return a table of replicas, a column per period."""
    lines: dict[tuple[str, str], list[PeriodAllocation | None]] = {}
    for place, period in enumerate(periods):
        for a in period.allocations:
            key = (a.service, period_place(a))
            lines.setdefault(key, [None] * len(periods))[place] = a
    return {
        "names": [period.name for period in periods],
        "rows": [(*key, [_cell(a) for a in cells]) for key, cells in sorted(lines.items())],
    }


def _cell(allocation: PeriodAllocation | None) -> str:
    """Return replicas that serve, `+n` for those that start, and `=` for another service's."""
    if allocation is not None and allocation.carries and allocation.replicas_of is not None:
        return "="
    if allocation is None or not allocation.serving + allocation.starting:
        return "-"
    more = f"+{allocation.starting}" if allocation.starting else ""
    idle = "" if allocation.carries or not allocation.serving else " idle"
    return f"{allocation.serving}{more}{idle}"


def _unserved(plan: HorizonPlan) -> dict[str, str]:
    """Return the periods in which services are not served, runs of them joined."""
    missing: dict[str, list[int]] = {}
    for place, period in enumerate(plan.periods):
        for service in period.unserved:
            missing.setdefault(service, []).append(place)
    return {service: ", ".join(_runs(plan, places)) for service, places in missing.items()}


def _runs(plan: HorizonPlan, places: list[int]) -> list[str]:
    breaks = [0, *(n + 1 for n, (a, b) in enumerate(pairwise(places)) if b > a + 1), len(places)]
    runs = [places[first:last] for first, last in pairwise(breaks)]
    names = [period.name for period in plan.periods]
    return [
        names[run[0]] if len(run) == 1 else f"{names[run[0]]} to {names[run[-1]]}" for run in runs
    ]
