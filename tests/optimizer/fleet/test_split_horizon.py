"""Services that split over the periods of a horizon: counts and rates in every period."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.errors import PlanError
from optimizer.fleet.horizon import HorizonPlan, check_horizon, plan_horizon
from optimizer.spec import FleetSpec, from_data
from tests.optimizer.fleet.fleets import service, two_types

DAY = (1.0, 3.0, 1.0)


def ahead(
    factors: tuple[float, ...] = DAY,
    *,
    mode: str = "split",
    cards: int = 5,
    own: dict[str, Any] | None = None,
    options: dict[str, Any] | None = None,
    **horizon: Any,
) -> FleetSpec:
    """Return x and y on A (10 per hour) or B (5 per hour, so many cards) over periods of an hour.

    A replica serves 9.09 requests/s, so a factor of 1 needs one replica of each service, 3 three.
    """
    load = {"arrival_rate_rps": 9.0, "input_tokens": 100, "output_tokens": 11}
    data = two_types()
    data["capacities"] = [{"type": "B", "cards": cards}]
    data["services"] = [
        service(name, **{"load": load, "max_batch": 1, "allocation": mode, **(own or {})})
        for name in ("x", "y")
    ]
    data["horizon"] = {"periods": [{"factor": factor} for factor in factors], **horizon}
    data["optimizer"] = options or {}
    return from_data(data)


def solved(spec: FleetSpec) -> HorizonPlan:
    """Plan to the end, and check the plan."""
    plan = plan_horizon(spec, relative_gap=0.0)
    assert plan.termination == "optimal"
    assert check_horizon(spec, plan).ok
    return plan


@pytest.mark.parametrize(
    ("said", "cost"),
    [
        # 2 B; 5 B and 1 A for 6; 2 B: 10 + 35 + 10. Choosing, one service is on A: 10 + 45 + 10.
        ({}, 55.0),
        ({"mode": "choose"}, 65.0),
        # With one configuration each it is as if they chose.
        ({"own": {"max_different": 1}}, 65.0),
        # A spare for each configuration used: 2 + 2 of B are 20; in the peak 4 + 4 are 5 of B and
        # 4 of A where none splits: 4 on A, 4 on B, 60; split, 3 A (2 carry) and 2 B (1 carries)
        # would be 5 in place of 4.
        ({"own": {"spares": 1}}, 20.0 + 60.0 + 20.0),
        # At least two replicas each: 4 B; 5 B and 1 A; 4 B.
        ({"own": {"replicas": {"min": 2}}}, 20.0 + 35.0 + 20.0),
        # Moves are of services that choose: starts are what splitting costs, 4 at 1 in the peak.
        ({"move_cost": 100, "start_cost": 1}, 55.0 + 4.0),
        # Started an hour ahead and paid from then on: 10 + 25 beside it, 35, 10.
        ({"start_delay_periods": 1}, 10.0 + 3 * 5.0 + 10.0 + 35.0 + 10.0),
        # Five B are paid all day at 2, one A in the peak at 10.
        ({"commitments": [{"accelerator": "B", "cost_per_hour": 1}]}, 15.0 + 10.0),
    ],
)
def test_what_splitting_is_worth_by_hand(said: dict[str, Any], cost: float) -> None:
    """Three periods that need 2, 6 and 2 replicas with five cards of B; see the comments."""
    plan = solved(ahead(**said))
    assert plan.total_cost == pytest.approx(cost)
    assert plan.primal_bound == pytest.approx(cost)


def test_a_service_without_requests_keeps_no_spares() -> None:
    """Nothing comes in the second hour: 2 + 2 replicas on B, then none."""
    own = {"spares": 1, "replicas": {"min": 0}}
    assert solved(ahead((1.0, 0.0), own=own)).total_cost == pytest.approx(20.0)


def test_rates_sum_to_the_load_in_every_period() -> None:
    """No replica gets more than it carries, and configurations that get nothing do not carry."""
    plan = solved(ahead())
    for period in plan.periods:
        for name, load in period.rates_rps.items():
            mine = [a for a in period.allocations if a.service == name and a.carries]
            assert sum(a.rate_rps or 0.0 for a in mine) == pytest.approx(load)
            assert all((a.rate_rps or 0.0) <= a.serving * 9.0909091 for a in mine)


def test_what_cannot_be_served_whole_is_unserved() -> None:
    """Two cards of B and none of A: both are served in the quiet hours, neither in the peak."""
    data = ahead(cards=2).model_dump(mode="json", by_alias=True, exclude_unset=True)
    data["capacities"].append({"type": "A", "cards": 0})
    penalty = {"unserved": "allowed", "priorities": "weighted", "unserved_penalty_per_hour": 50}
    spec = from_data({**data, "optimizer": penalty})
    plan = solved(spec)
    assert [period.unserved for period in plan.periods] == [(), ("x", "y"), ()]
    assert plan.primal_bound == pytest.approx(10.0 + 100.0 + 10.0)


def test_what_must_be_served_and_cannot_is_infeasible() -> None:
    """Nowhere to go in the peak, and nobody may stay unserved."""
    data = ahead(cards=2).model_dump(mode="json", by_alias=True, exclude_unset=True)
    data["capacities"].append({"type": "A", "cards": 0})
    spec = from_data({**data, "optimizer": {"unserved": "forbidden"}})
    assert plan_horizon(spec).termination == "infeasible"


def test_it_stands_beside_services_that_choose() -> None:
    """x may split and y not: in the peak y takes three B, x two B and one A: 55 again."""
    data = ahead().model_dump(mode="json", by_alias=True, exclude_unset=True)
    data["services"][1]["allocation"] = "choose"
    assert solved(from_data(data)).total_cost == pytest.approx(55.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rate_rps": 5.0}, "requests/s are served of"),
        ({"rate_rps": None}, "requests/s are served of"),
        ({"serving": 1, "needed": 1, "instances": 1}, "more arrives than can be served"),
    ],
)
def test_the_checker_recomputes_the_rates(change: dict[str, Any], words: str) -> None:
    """Rates that leave some of the load out, or that the replicas do not carry."""
    spec = ahead()
    plan = plan_horizon(spec)
    peak = plan.periods[1]
    first = next(a for a in peak.allocations if a.carries and a.serving > 1)
    changed = tuple(a.model_copy(update=change) if a is first else a for a in peak.allocations)
    periods = list(plan.periods)
    periods[1] = peak.model_copy(update={"allocations": changed})
    found = check_horizon(spec, plan.model_copy(update={"periods": tuple(periods)}))
    assert any(words in violation.message for violation in found.violations)


@given(
    factors=st.lists(st.sampled_from([0.0, 0.4, 1.0, 2.5]), min_size=1, max_size=3),
    cards=st.integers(1, 6),
    delay=st.integers(0, 1),
)
@settings(max_examples=10, deadline=None, derandomize=True)
def test_splitting_never_costs_more(factors: list[float], cards: int, delay: int) -> None:
    """One configuration in every period is a way to split."""
    said: dict[str, Any] = {"cards": cards, "start_delay_periods": delay, "start_cost": 1}
    split, choose = (
        solved(ahead(tuple(factors), mode=mode, **said)).total_cost for mode in ("split", "choose")
    )
    assert split is not None
    assert choose is not None
    assert split <= choose + 1e-6


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (
            {"length_buckets": {"shares": [[1.0]], "input_tokens": [100], "output_tokens": [11]}},
            "comes in length buckets; over a horizon describe it by load.input_tokens",
        ),
        ({"survive": "zone"}, "must survive the loss of any zone, which a horizon does not know"),
    ],
)
def test_what_horizons_do_not_know_says_what_to_try(own: dict[str, Any], words: str) -> None:
    """Length buckets and the loss of a zone."""
    data = ahead().model_dump(mode="json", by_alias=True, exclude_unset=True)
    for machine in data["accelerators"]:
        machine["zone"] = f"zone of {machine['name']}"
    data["services"] = [{**one, **own} for one in data["services"]]
    with pytest.raises(PlanError, match=words):
        plan_horizon(from_data(data))
