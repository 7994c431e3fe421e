"""Plans for several loads as pages: over periods, and for loads that are not known."""

from __future__ import annotations

from typing import Any

import pytest

from optimizer.errors import PlanError
from optimizer.fleet import HorizonPlan, optimize_uncertain, plan_horizon
from optimizer.report.html import PlanReport, horizon_page, uncertain_page
from optimizer.spec import FleetSpec
from solvers import Reason
from tests.optimizer.fleet.fleets import fleet, service
from tests.optimizer.report.html.pages import Page
from tests.optimizer.report.html.test_plan_page import LOAD, NASTY, two

pytest.importorskip("jinja2", reason="the extra report is not installed")
pytest.importorskip("matplotlib", reason="the extra report is not installed")

PERIODS = {
    "period_hours": 2.0,
    "start_delay_periods": 1,
    "start_cost": 3.0,
    "periods": [{"name": "night", "factor": 0.1}, {"name": "<b>noon", "factor": 2.0}],
}
SCENARIOS = {
    "scenarios": [
        {"name": "usual", "probability": 0.7},
        {"name": "<b>rush", "probability": 0.3, "factor": 1.5},
    ]
}


def named(**changes: Any) -> FleetSpec:
    """Two services, one of them with a name that is markup, in a fleet with such a name."""
    data = two(first=NASTY.strip(), **changes).model_dump(by_alias=True, mode="json")
    return FleetSpec.model_validate(data | {"name": NASTY.strip()})


def is_harmless(page: Page) -> bool:
    """Whether names are text in it."""
    handlers = [a for _, a in page.tags if any(key.startswith("on") for key in a)]
    active = [tag for tag, _ in page.tags if tag in ("script", "img", "b")]
    return NASTY.strip() in "".join(page.texts) and not handlers and not active


def test_a_horizon_says_what_is_paid_for_and_what_runs_when() -> None:
    """Cost by purpose, replicas by period, each figure with its source; names are text."""
    plan = plan_horizon(named(horizon=PERIODS))
    page = Page(horizon_page(plan))
    assert page.leads_outside == []
    assert is_harmless(page)
    assert f"{plan.total_cost:,.2f} USD over 2 periods" in page.text
    assert plan.cost is not None
    for purpose, cost in (("on demand", plan.cost.running), ("starts", plan.cost.starts)):
        assert f"{purpose} {cost:,.2f}" in page.text
    assert "<b>noon" in page.text
    assert page.text.count("Source:") >= page.text.count("USD over the horizon")
    assert sum(tag == "figure" for tag, _ in page.tags) == 3


def test_a_gap_of_a_horizon_stands_in_its_first_line() -> None:
    """And is not called proven."""
    plan = plan_horizon(two(horizon=PERIODS))
    found = {"relative_gap": 0.0123, "termination": Reason.FEASIBLE}
    markup = horizon_page(plan.model_copy(update=found))
    assert "gap 1.2300%" in markup[markup.index("<h1>") : markup.index("</h1>")]
    assert "proven optimal" not in markup


def test_periods_without_a_service_are_named_in_runs() -> None:
    """Neighbouring periods are joined."""
    periods = [{"name": f"p{n}", "factor": 0.0 if n == 2 else 900.0} for n in range(5)]
    spec = fleet(
        services=[service("x", load=LOAD), service("y")],
        capacities=[{"type": "A", "cards": 1}, {"type": "B", "cards": 1}],
        optimizer={"queue_model": "mm1k-state-dependent"},
        horizon={"periods": periods},
    )
    page = Page(horizon_page(plan_horizon(spec)))
    assert "x p0 to p1, p3 to p4" in page.text
    assert "1 services" in page.text


def test_a_horizon_without_periods_is_no_plan() -> None:
    """A document that somebody has cut is refused in words."""
    document = plan_horizon(two(horizon=PERIODS)).to_json()
    plan = HorizonPlan.from_json(document)
    assert plan.to_json() == document
    with pytest.raises(PlanError, match="has a cost and periods"):
        HorizonPlan.from_json(plan.model_copy(update={"periods": ()}).to_json())


def test_an_impossible_horizon_has_a_page_too() -> None:
    """It says why, and shows no cost."""
    none = [{"type": "A", "cards": 0}, {"type": "B", "cards": 0}]
    plan = plan_horizon(two(horizon=PERIODS, capacities=none), unserved="forbidden")
    page = Page(horizon_page(plan))
    assert "two-types: infeasible" in page.text
    assert "USD" not in page.text


def test_uncertain_loads_show_every_load_and_the_costliest_in_full() -> None:
    """The promise, each load with its probability, and the plan at the tightest of them."""
    plan = optimize_uncertain(named(uncertainty=SCENARIOS))
    worst = plan.costliest
    assert worst is not None
    page = Page(uncertain_page(plan, PlanReport(plan=worst)))
    assert page.leads_outside == []
    assert is_harmless(page)
    assert "every objective holds in every scenario" in page.text
    assert "usual 70.0%" in page.text
    assert "<b>rush 30.0%" in page.text
    assert page.text.count("per hour") >= 2
    assert worst.provenance.spec_digest in page.text


def test_of_loads_that_cost_the_same_the_tightest_is_shown() -> None:
    """With fixed replicas every load costs the same."""
    plan = optimize_uncertain(two(uncertainty=SCENARIOS))
    usual, rush = plan.scenarios
    assert rush.plan is not None
    allocations = [a.model_copy(update={"margin": 0.01}) for a in rush.plan.allocations]
    tighter = rush.plan.model_copy(update={"allocations": tuple(allocations)})
    scenarios = (usual, rush.model_copy(update={"plan": tighter}))
    assert plan.model_copy(update={"scenarios": scenarios}).costliest is tighter


def test_replicas_that_follow_the_load_have_two_costs() -> None:
    """What is expected and the worst, and a bar for each load."""
    plan = optimize_uncertain(two(uncertainty=SCENARIOS | {"replicas": "adapt"}))
    page = Page(uncertain_page(plan, None))
    assert f"expected cost {plan.expected_cost_per_hour:,.2f}" in page.text
    assert f"worst cost {plan.worst_cost_per_hour:,.2f}" in page.text
    assert "by load and accelerator" in page.text
