"""A plan for uncertain loads as a page: the promise, every load's cost, the costliest in full."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optimizer.fleet.uncertainty import ScenarioOutcome, UncertainPlan
from optimizer.report.html.charts import bar_chart, share_chart
from optimizer.report.html.pages import rendered
from optimizer.report.html.plan_page import PlanReport, plan_values
from optimizer.report.plan_words import accelerator_costs, accelerators_known
from optimizer.report.uncertain_text import minimised_words, promise_words, smallest_margin
from optimizer.spec.uncertainty import ReplicaTiming

__all__ = ["uncertain_body", "uncertain_page"]

# Beyond so many rows a chart is no longer read; the table holds all of them.
_MOST_ROWS = 40


def uncertain_page(plan: UncertainPlan, report: PlanReport | None) -> str:
    """Return the page.

    Parameters
    ----------
    plan
        The plan.
    report
        What is shown of its costliest load; None where no load is served.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    """
    return rendered("uncertain.html.j2", **_shown(plan, report))


def uncertain_body(plan: UncertainPlan, report: PlanReport | None) -> str:
    """Return all of the page but its frame, to stand in somebody else's; see `uncertain_page`.

    Raises
    ------
    MissingExtraError
        If jinja2 or matplotlib is not installed.
    """
    return rendered("uncertain_body.html.j2", **_shown(plan, report))


def _shown(plan: UncertainPlan, report: PlanReport | None) -> dict[str, Any]:
    head: dict[str, Any] = {"uncertain": plan, "at": report}
    if plan.found:
        served = [outcome for outcome in plan.scenarios if outcome.plan is not None]
        shown, costs = served[:_MOST_ROWS], {outcome.cost_per_hour for outcome in served}
        head |= {
            "promise": promise_words(plan),
            "asked_model": "" if plan.costliest is None else plan.costliest.queue_model,
            "minimised": minimised_words(plan),
            "fixed": plan.replicas is ReplicaTiming.FIXED,
            "outcomes": [(outcome, smallest_margin(outcome)) for outcome in plan.scenarios],
            "costs_chart": _costs_chart(plan, shown) if len(costs) > 1 else "",
            "used_chart": _used_chart(shown) if len(served) > 1 else "",
            "some_of": f", the first {len(shown)} of {len(served)}" if shown != served else "",
        }
    return head | (plan_values(report) if report is not None else {})


def _costs_chart(plan: UncertainPlan, shown: Sequence[ScenarioOutcome]) -> str:
    rows: list[tuple[str, dict[str, float]]] = []
    known: dict[str, None] = {}
    for outcome in shown:
        assert outcome.plan is not None
        rows.append((outcome.name, accelerator_costs(outcome.plan.allocations)))
        known |= dict.fromkeys(accelerators_known(outcome.plan))
    unit = f"{plan.currency} per hour"
    return bar_chart(rows, unit, "cost by load and accelerator", known=tuple(known))


def _used_chart(shown: Sequence[ScenarioOutcome]) -> str:
    pairs = [(outcome.name, smallest_margin(outcome)) for outcome in shown]
    rows = [(name, 1.0 - margin, margin >= 0) for name, margin in pairs if margin is not None]
    words = "share of what the tightest objective allows"
    return share_chart(rows, words, "tightest objective by load") if rows else ""
