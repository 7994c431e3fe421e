"""Plans as pages: what stands in them, and that names are only names."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from optimizer.fleet import FleetPlan, difference, optimize, shadow_prices, tornado
from optimizer.fleet.pareto import pareto_front
from optimizer.fleet.pareto_measure import ParetoMeasure
from optimizer.fleet.plan import StorageUse
from optimizer.report.html import PlanReport, plan_fragment, plan_page
from optimizer.spec import FleetSpec
from solvers import Reason
from tests.optimizer.fleet.fleets import fleet, service
from tests.optimizer.report.html.pages import Page

pytest.importorskip("jinja2", reason="the extra report is not installed")
pytest.importorskip("matplotlib", reason="the extra report is not installed")

LOAD = {"arrival_rate_rps": 400.0, "input_tokens": 100, "output_tokens": 11}
# Ends a script, closes an attribute, opens an element, is a formula to matplotlib, to a
# spreadsheet, and half of one; a control for right-to-left text.
NASTY = "</script><img src=x onerror=alert(1)>\"'&lt;{{ 7*7 }}{% raw %} $x^$ =1+1 \u202e"


def two(first: str = "x", **changes: Any) -> FleetSpec:
    """Two services, one of them with load and an objective."""
    return fleet(
        services=[service(first, load=LOAD), service("y")],
        classes=[
            {
                "name": "gold",
                "priority": 1,
                "slos": [{"targets": [{"metric": "itl_ms", "bound": 12.0}]}],
            }
        ],
        optimizer={"queue_model": "mm1k-state-dependent"},
        **changes,
    )


@cache
def plan_of_two() -> FleetPlan:
    """Solve it once."""
    return optimize(two())


def test_the_page_says_what_the_plan_says_and_fetches_nothing() -> None:
    """Cost, proof, services, cards, where it comes from; well-formed; no address outside."""
    plan = plan_of_two()
    page = Page(plan_page(PlanReport(plan=plan)))
    assert page.leads_outside == []
    assert f"two-types: {plan.total_cost_per_hour:,.2f} USD per hour" in page.text
    assert "cost proven optimal" in page.text
    assert "2 of 2 services served" in page.text
    assert "itl_ms <= 12" in page.text
    assert plan.provenance.spec_digest in page.text
    assert sum(tag == "svg" for tag, _ in page.tags) == 2
    assert "not asked for" not in page.text
    assert "What the cost hangs on" not in page.text


def test_equal_plans_give_equal_bytes() -> None:
    """No clock, no counter, no order of hashing."""
    report = PlanReport(plan=plan_of_two())
    assert plan_page(report) == plan_page(report)


def test_ids_of_drawings_do_not_meet() -> None:
    """An id stands once in a page, and what refers to one finds it."""
    page = Page(plan_page(PlanReport(plan=plan_of_two())))
    ids = [attributes["id"] for _, attributes in page.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    uses = [a["xlink:href"] for _, a in page.tags if a.get("xlink:href")]
    assert uses
    assert {str(use).removeprefix("#") for use in uses} <= set(ids)


def test_a_gap_stands_in_the_first_line() -> None:
    """A plan that is not proven optimal is not called so."""
    found = {"relative_gap": 0.0123, "termination": Reason.FEASIBLE}
    plan = plan_of_two().model_copy(update=found)
    text = plan_page(PlanReport(plan=plan))
    heading = text[text.index("<h1>") : text.index("</h1>")]
    assert "gap 1.2300%" in heading
    assert "proven optimal" not in text


def test_an_infeasible_fleet_has_a_page_too() -> None:
    """It says why, and shows no cost."""
    none = [{"type": "A", "cards": 0}, {"type": "B", "cards": 0}]
    plan = optimize(two(capacities=none), unserved="forbidden")
    assert not plan.found
    page = Page(plan_page(PlanReport(plan=plan)))
    assert "two-types: infeasible" in page.text
    assert "USD per hour" not in page.text


def test_everything_that_can_be_asked_for_stands_in_the_page() -> None:
    """Front, tornado, prices, difference: each with a heading, a unit and a source."""
    plan, spec = plan_of_two(), two()
    dearer = optimize(
        two(
            accelerators=[{"name": "A", "cost_per_hour": 10.0}, {"name": "B", "cost_per_hour": 7.0}]
        )
    )
    page = Page(
        plan_page(
            PlanReport(
                plan=plan,
                previous=difference(dearer, plan),
                front=pareto_front(spec, ParetoMeasure.CARDS),
                tornado=tornado(spec, plan, jobs=1),
                prices=shadow_prices(spec),
            )
        )
    )
    for heading in (
        "Cost against cards", "What the cost hangs on", "price of one more", "What changes from",
    ):  # fmt: skip
        assert heading in page.text
    assert "repriced" in page.text
    assert page.text.count("Source:") >= 5


def test_names_are_text_wherever_they_stand() -> None:
    """A service, a fleet and an accelerator with names that are markup, script and formula."""
    name = NASTY.strip()
    data = two(first=name).model_dump(by_alias=True, mode="json")
    plan = optimize(FleetSpec.model_validate(data | {"name": name}))
    for markup in (plan_page(PlanReport(plan=plan)), plan_fragment(plan)):
        page = Page(markup)
        assert name in "".join(page.texts)
        assert not [tag for tag, _ in page.tags if tag in ("script", "img")]
        assert not [a for _, a in page.tags if any(key.startswith("on") for key in a)]
    assert "49" not in Page(plan_fragment(plan)).text.split("{{")[0]


def test_a_notebook_shows_verdict_and_services() -> None:
    """A fragment, not a page of its own."""
    shown = plan_of_two()._repr_html_()
    assert shown is not None
    assert "<html" not in shown
    assert "2 of 2 services served" in Page(shown).text


def test_long_names_and_names_of_any_script_leave_the_charts_whole() -> None:
    """Long ones are cut in charts and whole in tables; glyphs are the browser's to find."""
    name = "聊天🚀" * 40
    data = two(first=name).model_dump(by_alias=True, mode="json")
    markup = plan_page(PlanReport(plan=optimize(FleetSpec.model_validate(data))))
    drawn = markup[markup.index("<svg") : markup.index("</svg>")]
    assert name in markup
    assert name not in drawn
    assert "聊天🚀" in drawn


def test_where_kv_caches_are_kept_stands_in_the_page() -> None:
    """The store of each service, in its row and with what it takes; elsewhere nothing of stores."""
    use = StorageUse(
        store="<i>nvme", recompute_ratio=0.25, reused_share=0.5, loading_ms=12.5, kept_gb=300.0,
        read_gb_s=1.5, cost_per_hour=0.75,
    )  # fmt: skip
    plan = plan_of_two()
    assert "KV caches" not in plan_page(PlanReport(plan=plan))
    first, *rest = plan.allocations
    kept = plan.model_copy(
        update={"allocations": (first.model_copy(update={"storage": use}), *rest)}
    )
    page = Page(plan_page(PlanReport(plan=kept)))
    assert "<i>nvme, 25% recomputed" in page.text
    assert "x <i>nvme 25.0% 50.0% 12.5 300 1.5 - 0.75" in page.text
