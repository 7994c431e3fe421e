"""Services that split: whole replicas of several accelerators, shares, buckets, what is left."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import optimizer as fo
from optimizer.errors import SpecError
from optimizer.fleet import FleetPlan, build_problem, explain, plan_of
from optimizer.report import plan_view
from optimizer.spec import from_data
from solvers import AllocationProblem, Reason, Split

INFERNO = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "inferno"


def _fleet(**options: Any) -> dict[str, Any]:
    """Two accelerators with measured rates: A serves 8 requests/s at 5, B serves 2 at 1.5."""
    return {
        "accelerators": [
            {"name": "A", "cost_per_hour": 5.0},
            {"name": "B", "cost_per_hour": 1.5},
        ],
        "models": [{"name": "m"}],
        "classes": [{"name": "c", "priority": 1, "unserved_penalty_per_hour": 4.0}],
        "services": [
            {
                "name": "s",
                "model": "m",
                "class": "c",
                "load": {"arrival_rate_rps": 10.0, "input_tokens": 100.0, "output_tokens": 100.0},
                "allocation": "split",
                "length_buckets": {
                    "shares": [[1.0]],
                    "measured": [
                        {"accelerator": "A", "rates_rps": [[8.0]]},
                        {"accelerator": "B", "rates_rps": [[2.0]]},
                    ],
                },
            }
        ],
        "optimizer": options,
    }


def _modelled(rate: float = 40.0, **service: Any) -> dict[str, Any]:
    """Two accelerators whose rates the queue model finds, and a service on both."""
    timing = {"base_ms": 8.0, "decode_ms_per_token": 0.2, "prefill_ms_per_token": 0.02}
    slow = {"base_ms": 16.0, "decode_ms_per_token": 0.5, "prefill_ms_per_token": 0.05}
    return {
        "accelerators": [
            {"name": "fast", "cost_per_hour": 4.0},
            {"name": "slow", "cost_per_hour": 1.0},
        ],
        "models": [{"name": "m"}],
        "performance": [
            {"model": "m", "accelerator": "fast", "max_batch": 32, "iteration": timing},
            {"model": "m", "accelerator": "slow", "max_batch": 16, "iteration": slow},
        ],
        "classes": [
            {
                "name": "c",
                "priority": 1,
                "slos": [
                    {
                        "targets": [
                            {"metric": "ttft_ms", "bound": 400.0},
                            {"metric": "itl_ms", "bound": 40.0},
                        ]
                    }
                ],
            }
        ],
        "services": [
            {
                "name": "s",
                "model": "m",
                "class": "c",
                "load": {"arrival_rate_rps": rate, "input_tokens": 300.0, "output_tokens": 100.0},
                "allocation": "split",
                **service,
            }
        ],
    }


def _counts(plan: FleetPlan) -> dict[str | None, int]:
    return {a.accelerator: a.replicas for a in plan.allocations}


def test_splitting_costs_less_than_choosing() -> None:
    """10 requests/s: 2 A = 10, 5 B = 7.5, but 1 A + 1 B = 6.5; both are full."""
    plan = fo.optimize(from_data(_fleet()))
    assert plan.termination is Reason.OPTIMAL
    assert plan.total_cost_per_hour == 6.5
    assert plan.relative_gap == 0.0
    assert _counts(plan) == {"A": 1, "B": 1}
    shares = {a.accelerator: a.share for a in plan.allocations}
    assert shares == pytest.approx({"A": 0.8, "B": 0.2})
    assert [a.utilization for a in plan.allocations] == pytest.approx([1.0, 1.0])
    assert sum(a.admitted_rate_rps for a in plan.allocations) == pytest.approx(10.0)


@pytest.mark.parametrize("words", [{"max_different": 1}, {"allocation": "choose"}])
def test_one_accelerator_at_most(words: dict[str, Any]) -> None:
    """A limit of one, or choosing, gives the best single accelerator: 5 B at 1.5."""
    fleet = _fleet()
    fleet["services"][0].update(words)
    plan = fo.optimize(from_data(fleet))
    assert plan.total_cost_per_hour == 7.5
    assert _counts(plan) == {"B": 5}


def test_the_fleets_own_options_hold_where_a_service_says_nothing() -> None:
    """`optimizer.allocation` and `max_different` are defaults of the services."""
    fleet = _fleet(allocation="split", max_different=1)
    del fleet["services"][0]["allocation"]
    assert fo.optimize(from_data(fleet)).total_cost_per_hour == 7.5
    assert fo.optimize(from_data(fleet), max_different=2).total_cost_per_hour == 6.5
    assert fo.optimize(from_data(fleet), allocation="choose").total_cost_per_hour == 7.5


def test_length_buckets_and_what_cannot_be_served() -> None:
    """Long outputs (2 of 10 requests/s) fit A alone: 1 A at 5; a null is no tiny throughput.

    A serves 16 short ones or 4 long ones per second: 8/16 + 2/4 = 1 replica, exactly full.
    """
    fleet = _fleet()
    fleet["services"][0]["length_buckets"] = {
        "shares": [[0.8, 0.2]],
        "measured": [
            {"accelerator": "A", "rates_rps": [[16.0, 4.0]]},
            {"accelerator": "B", "rates_rps": [[2.0, None]]},
        ],
    }
    plan = fo.optimize(from_data(fleet))
    assert plan.total_cost_per_hour == 5.0
    (allocation,) = plan.allocations
    assert [(r.input_row, r.output_column) for r in allocation.routes] == [(0, 0), (0, 1)]
    assert [r.rate_rps for r in allocation.routes] == pytest.approx([8.0, 2.0])
    assert [r.share for r in allocation.routes] == pytest.approx([1.0, 1.0])


def test_replica_limits_hold_for_all_accelerators_together() -> None:
    """At least 4 replicas: 4 B would carry 8 of 10, so 1 A + 3 B = 9.5 costs more than 5 B."""
    fleet = _fleet()
    fleet["services"][0]["replicas"] = {"min": 4}
    assert fo.optimize(from_data(fleet)).total_cost_per_hour == 7.5
    fleet["services"][0]["replicas"] = {"min": 1, "max": 2}
    plan = fo.optimize(from_data(fleet))
    assert _counts(plan) == {"A": 1, "B": 1}


def test_served_whole_or_not_at_all_by_default() -> None:
    """One card of each carries 10 of 12: without shedding, the service stays unserved."""
    fleet = _fleet()
    fleet["services"][0]["load"]["arrival_rate_rps"] = 12.0
    fleet["capacities"] = [{"type": "A", "cards": 1}, {"type": "B", "cards": 1}]
    plan = fo.optimize(from_data(fleet))
    assert not plan.allocations
    assert [u.reason for u in plan.unserved] == ["capacity"]


def test_shedding_serves_what_the_cards_carry() -> None:
    """With partial_service: shed, 10 of 12 requests/s are admitted, and the stage says 1/6 left."""
    fleet = _fleet(partial_service="shed")
    fleet["services"][0]["load"]["arrival_rate_rps"] = 12.0
    fleet["capacities"] = [{"type": "A", "cards": 1}, {"type": "B", "cards": 1}]
    plan = fo.optimize(from_data(fleet))
    assert sum(a.admitted_rate_rps for a in plan.allocations) == pytest.approx(10.0)
    assert all(a.partial for a in plan.allocations)
    assert plan.stages[0].not_served_whole == 1
    assert plan.stages[0].proven
    assert plan.services_partly_served == ("s",)


def test_a_penalty_is_paid_for_the_share_that_is_left() -> None:
    """Weighted, 4 per hour for the whole: serving costs 6.5, so nothing is served."""
    fleet = _fleet(partial_service="shed", priorities="weighted")
    plan = fo.optimize(from_data(fleet))
    assert plan.primal_bound == pytest.approx(4.0)
    # At 80 for the whole all but nothing is served.
    fleet["classes"][0]["unserved_penalty_per_hour"] = 80.0
    assert fo.optimize(from_data(fleet)).total_cost_per_hour == 6.5


def test_splitting_serves_what_one_type_per_service_cannot() -> None:
    """ce3-no-mix: four replicas, two cards of each type; split takes 2 A and 2 B."""
    path = INFERNO / "instances" / "ce3-no-mix.json"
    if not path.exists():
        pytest.skip("the inferno instances are not beside the repository")
    fleet = fo.load_inferno(path)
    assert [u.service for u in fo.optimize(fleet).unserved] == ["X"]
    plan = fo.optimize(fleet, allocation="split")
    assert plan.termination is Reason.OPTIMAL
    assert not plan.unserved
    assert _counts(plan) == {"A": 2, "B": 2}
    assert plan.total_cost_per_hour == pytest.approx(2 * 0.10 + 2 * 0.05)


def test_latencies_are_those_of_the_load_routed_to_each_accelerator() -> None:
    """Modelled rates: every allocation is predicted at its own rate and keeps its objectives."""
    plan = fo.optimize(from_data(_modelled()))
    assert plan.termination is Reason.OPTIMAL
    assert sum(a.share for a in plan.allocations) == pytest.approx(1.0)
    for allocation in plan.allocations:
        assert allocation.slo_met
        assert allocation.ttft_ms is not None
        assert allocation.admitted_rate_rps <= allocation.max_rate_rps * (1 + 1e-6)
    chosen = fo.optimize(from_data(_modelled()), allocation="choose")
    one = fo.optimize(from_data(_modelled(allocation="choose")))
    assert plan.total_cost_per_hour is not None
    assert one.total_cost_per_hour is not None
    assert plan.total_cost_per_hour <= one.total_cost_per_hour + 1e-9
    assert chosen.total_cost_per_hour == plan.total_cost_per_hour  # the service itself says split


def test_modelled_buckets_are_checked_as_a_mix() -> None:
    """Short and long requests together keep the objectives by the queue model's own answer."""
    buckets = {
        "shares": [[0.5, 0.2], [0.2, 0.1]],
        "input_tokens": [100.0, 1500.0],
        "output_tokens": [50.0, 400.0],
    }
    plan = fo.optimize(from_data(_modelled(length_buckets=buckets)))
    assert plan.termination is Reason.OPTIMAL
    assert plan.allocations
    assert all(allocation.slo_met for allocation in plan.allocations)
    routed: dict[tuple[int, int], float] = {}
    for allocation in plan.allocations:
        for route in allocation.routes:
            cell = (route.input_row, route.output_column)
            routed[cell] = routed.get(cell, 0.0) + route.share
    assert routed == pytest.approx({(i, j): 1.0 for i in (0, 1) for j in (0, 1)})


def test_a_plan_comes_back_from_json_with_its_routes() -> None:
    """The document carries shares and routes, under a version."""
    plan = fo.optimize(from_data(_fleet()))
    again = FleetPlan.from_json(plan.to_json())
    assert again == plan
    assert again.schema_version == 1
    assert again.allocations_of("s")[0].routes


def test_explain_and_report_show_the_shares() -> None:
    """Words say over what a service splits; the table has a column of shares."""
    fleet = from_data(_fleet())
    problem = build_problem(fleet)
    plan = fo.optimize(fleet)
    verdict = explain(plan, problem, "s").verdict
    assert "1 replica(s) on A with 80.0% of the load" in verdict
    assert [o.state.value for o in explain(plan, problem, "s").options] == ["chosen", "chosen"]
    console = Console(width=120, record=True, file=None)
    with console.capture() as capture:
        console.print(plan_view(plan))
    text = capture.get()
    assert "share" in text
    assert "80%" in text
    assert "1 of 1 services served" in text


def test_an_objective_of_moves_is_refused() -> None:
    """inferno-value weighs one accelerator against another; beside it nothing splits."""
    with pytest.raises(SpecError, match=r"objective.*services that split"):
        from_data(_fleet(objective="inferno-value"))
    fleet = _fleet(objective="inferno-value")
    fleet["services"][0].pop("allocation")
    choosing = from_data(fleet)
    with pytest.raises(SpecError, match="services that split"):
        fo.optimize(choosing, allocation="split")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shares": [[0.5]]}, "must sum to 1, not 0.5"),
        ({"shares": [[0.5, 0.5], [0.0]]}, "rows of equal length"),
        ({"shares": [[0.5, 0.5]]}, "must have 1 rows of 2 rates"),
        ({"input_tokens": [10.0, 20.0]}, "has 2 lengths, 1 are wanted"),
        ({"measured": []}, "is missing"),
        (
            {"measured": [{"accelerator": "Z", "rates_rps": [[8.0]]}]},
            "there is no such accelerator",
        ),
        (
            {"measured": [{"accelerator": "A", "rates_rps": [[8.0]]}] * 2},
            "other measured rates are for this accelerator",
        ),
    ],
)
def test_faults_of_buckets_are_named(change: dict[str, Any], message: str) -> None:
    """Histograms and rates that do not fit together are refused at their place."""
    fleet = _fleet()
    fleet["services"][0]["length_buckets"].update(change)
    if change.get("measured") == []:
        del fleet["services"][0]["length_buckets"]["measured"]
    with pytest.raises(SpecError, match=message):
        from_data(fleet)


def test_rates_that_a_mix_cannot_carry_are_lowered() -> None:
    """Rates a third too high make a plan that misses an objective; it is found, and repaired."""
    fleet = from_data(_modelled())
    honest = build_problem(fleet)
    assert honest.arrays is not None
    assert honest.arrays.split is not None
    arrays, split = honest.arrays, honest.arrays.split
    given: dict[str, Any] = dict(split.arrays())
    hopeful = Split(**{**given, "edge_rate": split.edge_rate * 4 / 3})
    problem = dataclasses.replace(
        honest,
        arrays=AllocationProblem(arrays.cost, arrays.usage, arrays.capacity, arrays.group,
                                 priority=arrays.priority, unserved=arrays.unserved, split=hopeful),
    )  # fmt: skip
    plan = plan_of(problem)
    assert plan.termination is Reason.OPTIMAL
    assert all(allocation.slo_met for allocation in plan.allocations)
    assert any("lowered by" in note for note in plan.notes)
    assert plan.total_cost_per_hour == fo.optimize(fleet).total_cost_per_hour
    assert fo.optimize(fleet).notes == ()
