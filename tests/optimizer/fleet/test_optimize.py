"""Golden plans, worked out by hand."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer import InfeasibleError, SpecError, optimize
from optimizer.fleet import FleetPlan
from tests.optimizer.fleet.fleets import CONSTANT, fleet, service, two_types

EXACT = ("milp", "cp-sat", "auto")


def multi_model(units: dict[str, tuple[int, int]]) -> dict:
    """Services that need given instances of A or B per replica."""
    data = two_types()
    data["models"] = [{"name": f"model-{name}"} for name in units]
    data["performance"] = [
        {
            "model": f"model-{name}",
            "accelerator": accelerator,
            "instances": count,
            "max_batch": 32,
            "prefill_decode": CONSTANT,
        }
        for name, pair in units.items()
        for accelerator, count in zip("AB", pair, strict=True)
    ]
    data["services"] = [service(name, model=f"model-{name}") for name in units]
    return data


@pytest.mark.parametrize("solver", EXACT)
def test_regret_trap_is_solved_to_the_optimum(solver: str) -> None:
    """X needs 2 A (20) or 10 B (50), Y and Z 1 A (10) or 7 B (35); 2 A: X on B is best, 70."""
    data = multi_model({"x": (2, 10), "y": (1, 7), "z": (1, 7)})
    plan = optimize(fleet(data), solver=solver)
    assert plan.termination == "optimal"
    assert plan.total_cost_per_hour == pytest.approx(70.0)
    assert plan.dual_bound == pytest.approx(70.0)
    assert {a.service: a.accelerator for a in plan.allocations} == {"x": "B", "y": "A", "z": "A"}


@pytest.mark.parametrize("solver", [*EXACT, "greedy"])
def test_more_small_services_are_served_than_one_big(solver: str) -> None:
    """Only 2 A: X needs both, Y and Z one each. Two of three can be served, the greedy trap one."""
    data = multi_model({"x": (2, 1), "y": (1, 1), "z": (1, 1)})
    data["capacities"] = [{"type": "A", "cards": 2}, {"type": "B", "cards": 0}]
    plan = optimize(fleet(data), solver=solver)
    assert {a.service for a in plan.allocations} == {"y", "z"}
    assert [u.service for u in plan.unserved] == ["x"]
    assert plan.unserved[0].reason == "capacity"
    assert plan.stages[0].not_served_whole == 1


@pytest.mark.parametrize("solver", [*EXACT, "greedy"])
def test_priority_comes_before_number_and_cost(solver: str) -> None:
    """A gold service that takes both cards leaves two silver ones unserved."""
    data = multi_model({"x": (2, 1), "y": (1, 1), "z": (1, 1)})
    data["capacities"] = [{"type": "A", "cards": 2}, {"type": "B", "cards": 0}]
    for entry in data["services"][1:]:
        entry["class"] = "silver"
    plan = optimize(fleet(data), solver=solver)
    assert {a.service for a in plan.allocations} == {"x"}
    assert {u.service for u in plan.unserved} == {"y", "z"}


@pytest.mark.parametrize("solver", EXACT)
def test_weighted_penalties_trade_service_for_money(solver: str) -> None:
    """At a penalty of 15, leaving X (20 or 50 an hour) unserved is cheaper than serving it."""
    data = multi_model({"x": (2, 10), "y": (1, 7)})
    data["optimizer"] = {"priorities": "weighted", "unserved_penalty_per_hour": 15.0}
    plan = optimize(fleet(data), solver=solver)
    assert plan.total_cost_per_hour == pytest.approx(10.0)
    assert plan.primal_bound == pytest.approx(25.0)
    assert [(u.service, u.reason) for u in plan.unserved] == [("x", "not-worth-it")]


def test_forbidden_unserved_makes_capacity_hard() -> None:
    """Where nobody may stay unserved, too few cards are a proof of infeasibility."""
    data = multi_model({"x": (2, 1), "y": (1, 1)})
    data["capacities"] = [{"type": "A", "cards": 2}, {"type": "B", "cards": 0}]
    data["optimizer"] = {"unserved": "forbidden"}
    plan = optimize(fleet(data), solver="milp")
    assert plan.termination == "infeasible"
    assert plan.total_cost_per_hour is None
    with pytest.raises(InfeasibleError):
        plan.require()


def test_forbidden_unserved_names_the_service_that_nothing_serves() -> None:
    """A service without any possible candidate is named, with the reason, without a solver."""
    data = two_types()
    data["classes"][0]["slos"] = [{"targets": [{"metric": "ttft_ms", "bound": 5}]}]
    data["services"] = [
        service("x", load={"arrival_rate_rps": 1, "input_tokens": 100, "output_tokens": 11})
    ]
    plan = optimize(fleet(data), unserved="forbidden")
    assert plan.termination == "infeasible"
    assert plan.detail.endswith("no room or no way is left for: x")
    assert "A, B: ttft_ms mean at best 10" in plan.unserved[0].explanation
    assert "the SLO wants 5" in plan.unserved[0].explanation


def test_scale_to_zero_is_kept_with_zero_replicas() -> None:
    """A service without load and without a minimum is allocated nothing, at no cost."""
    plan = optimize(fleet(services=[service("x", replicas={"min": 0}), service("y")]))
    idle = plan.allocation("x")
    assert (idle.accelerator, idle.replicas, idle.cost_per_hour) == (None, 0, 0.0)
    assert plan.total_cost_per_hour == pytest.approx(5.0)
    assert not plan.unserved


def test_unlimited_capacity_ignores_the_rows() -> None:
    """Without limits every service takes its cheapest candidate."""
    data = multi_model({"x": (1, 10), "y": (1, 7), "z": (1, 7)})
    plan = optimize(fleet(data), capacity="unlimited")
    assert {a.accelerator for a in plan.allocations} == {"A"}
    assert plan.termination == "optimal"
    assert all(r.capacity is None for r in plan.resources)


def test_pools_are_rows_of_their_own() -> None:
    """One card of a type in each of two pools serves two services, one in each."""
    data = two_types()
    data["accelerators"] = [
        {"name": "A-east", "type": "A", "pool": "east", "cost_per_hour": 10.0},
        {"name": "A-west", "type": "A", "pool": "west", "cost_per_hour": 12.0},
    ]
    data["capacities"] = [
        {"type": "A", "pool": "east", "cards": 1},
        {"type": "A", "pool": "west", "cards": 5},
        {"type": "A", "cards": 2},
    ]
    data["performance"] = [
        {"model": "m", "accelerator": name, "max_batch": 8, "prefill_decode": CONSTANT}
        for name in ("A-east", "A-west")
    ]
    data["services"] = [service("x"), service("y"), service("z")]
    plan = optimize(fleet(data), solver="milp")
    assert plan.total_cost_per_hour == pytest.approx(22.0)
    assert len(plan.unserved) == 1
    assert {r.name: (r.used, r.free) for r in plan.resources} == {
        "A@east": (1, 0),
        "A@west": (1, 4),
        "A": (2, 0),
    }


def test_pinned_service_stays_where_it_is() -> None:
    """A pin beats a cheaper accelerator."""
    plan = optimize(fleet(services=[service("x", accelerator="A")]))
    assert plan.allocation("x").accelerator == "A"


def test_inferno_value_keeps_a_service_where_moving_costs_more() -> None:
    """From A (10) to B (5): 0.1 x 15 - 5 = -3.5 moves; at 0.5 x 15 - 5 = +2.5 it stays."""
    moving = service("x", current={"accelerator": "A", "replicas": 1})
    plan = optimize(fleet(services=[moving]), objective="inferno-value", capacity="unlimited")
    assert plan.allocation("x").accelerator == "B"
    assert plan.primal_bound == pytest.approx(-3.5)
    plan = optimize(
        fleet(services=[moving]),
        objective="inferno-value",
        capacity="unlimited",
        transition_penalty=0.5,
    )
    assert plan.allocation("x").accelerator == "A"
    assert plan.total_cost_per_hour == pytest.approx(10.0)


def test_replicas_follow_the_load() -> None:
    """M/M/c/K aside, n is the least number whose rate carries the load: checked by neighbours."""
    busy = service("x", load={"arrival_rate_rps": 500, "input_tokens": 100, "output_tokens": 11})
    plan = optimize(fleet(services=[busy]), queue_model="mm1k-state-dependent")
    allocation = plan.allocation("x")
    per_replica = allocation.max_rate_rps / allocation.replicas
    assert (allocation.replicas - 1) * per_replica < 500 <= allocation.max_rate_rps * (1 + 1e-9)
    assert allocation.stable
    assert allocation.ttft_ms is not None


def test_maximum_replicas_rule_a_candidate_out() -> None:
    """A load that needs more replicas than allowed leaves the service unserved, saying so."""
    busy = service(
        "x",
        load={"arrival_rate_rps": 5000, "input_tokens": 100, "output_tokens": 11},
        replicas={"min": 1, "max": 2},
    )
    plan = optimize(fleet(services=[busy]))
    assert "replicas, at most 2 are allowed" in plan.unserved[0].explanation


def test_a_better_bound_never_comes_from_another_order_of_services() -> None:
    """Permuting the services permutes the plan and keeps its cost."""
    data = multi_model({"x": (2, 10), "y": (1, 7), "z": (1, 7)})
    plan = optimize(fleet(data), solver="milp")
    data["services"].reverse()
    mirrored = optimize(fleet(data), solver="milp")
    assert mirrored.total_cost_per_hour == plan.total_cost_per_hour
    assert [a.service for a in mirrored.allocations] == [
        a.service for a in reversed(plan.allocations)
    ]


@settings(max_examples=20, deadline=None, derandomize=True)
@given(scale=st.floats(0.01, 100))
def test_scaling_every_price_scales_the_optimum(scale: float) -> None:
    """The cost of the optimum is homogeneous of degree one in prices."""
    data = multi_model({"x": (2, 10), "y": (1, 7), "z": (1, 7)})
    for entry in data["accelerators"]:
        entry["cost_per_hour"] *= scale
    plan = optimize(fleet(data), solver="milp")
    assert plan.total_cost_per_hour == pytest.approx(70.0 * scale)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(cards=st.integers(0, 12), more=st.integers(0, 12))
def test_more_capacity_never_hurts(cards: int, more: int) -> None:
    """Unserved counts, then cost, can only fall when cards are added."""

    def outcome(available: int) -> tuple[int, float]:
        data = multi_model({"x": (2, 10), "y": (1, 7), "z": (1, 7)})
        data["capacities"] = [{"type": "A", "cards": available}, {"type": "B", "cards": 17}]
        plan = optimize(fleet(data), solver="milp")
        return len(plan.unserved), round(plan.total_cost_per_hour or 0.0, 6)

    assert outcome(cards + more) <= outcome(cards)


def test_unknown_option_is_a_spec_error() -> None:
    """An option that does not exist is refused, with the nearest that does."""
    with pytest.raises(SpecError, match="relative_gap"):
        optimize(fleet(), relative_gapp=0.1)


def test_plan_round_trips_through_json() -> None:
    """A plan read back equals the plan, statistics apart."""
    plan = optimize(fleet(multi_model({"x": (2, 10), "y": (1, 7), "z": (1, 7)})))
    assert FleetPlan.from_json(plan.to_json()) == plan


def test_equal_runs_give_equal_bytes_across_hash_seeds() -> None:
    """Ten interpreters with different hash seeds write the same plan."""
    code = (
        "import sys; from optimizer import load, optimize;"
        "sys.stdout.write(optimize(load('examples/fleet.yaml')).to_json())"
    )
    documents = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            env={"PYTHONHASHSEED": str(seed), "PATH": "/usr/bin:/bin"},
        ).stdout
        for seed in range(10)
    }
    assert len(documents) == 1
