"""Replicas shared over several loads: services that are busy at different times."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import optimizer as fo
from optimizer.errors import SpecError
from optimizer.fleet import UncertainPlan, explain_uncertain
from optimizer.fleet.check import check_plan
from optimizer.fleet.horizon import HorizonPlan, check_horizon, plan_horizon
from optimizer.fleet.uncertainty import ScenarioLoads, with_rates
from optimizer.report.horizon_text import horizon_view
from optimizer.spec import FleetSpec, from_data
from tests.optimizer.fleet.test_shared_replicas import data, service

# A replica of these fleets carries 9.09 requests/s and costs 5 per hour.
OPPOSITE = [
    {"name": "day", "rates_rps": {"a": 9.0, "b": 0.05}},
    {"name": "night", "rates_rps": {"a": 0.05, "b": 9.0}},
]


def two(*, pool: bool = True, rates: tuple[float, float] = (4.0, 4.0), **parts: Any) -> FleetSpec:
    """Return services a and b, with a common pool or without."""
    own = {} if pool else {"replica_pool": None}
    described = data(*(service(name, rate, **own) for name, rate in zip("ab", rates, strict=True)))
    return from_data({**described, **parts})


def over(periods: list[dict[str, Any]], *, pool: bool = True, **horizon: Any) -> HorizonPlan:
    """Plan periods to the end, with the gap proven."""
    spec = two(pool=pool, horizon={"periods": periods, **horizon})
    plan = plan_horizon(spec, relative_gap=0.0)
    assert plan.termination == "optimal"
    assert check_horizon(spec, plan).ok
    return plan


def test_busy_by_day_and_busy_by_night_share_one_replica() -> None:
    """9 + 0.05 requests/s by day and 0.05 + 9 by night are 9.05 of 9.09: one replica, 2 h at 5.

    By themselves each keeps one in both periods: 20. Sized for the largest of both loads at once,
    18 requests/s, sharing would gain nothing.
    """
    plan = over(OPPOSITE)
    assert plan.total_cost == pytest.approx(10.0)
    assert over(OPPOSITE, pool=False).total_cost == pytest.approx(20.0)
    for period in plan.periods:
        first, second = period.allocations
        assert (first.service, first.serving, first.shared_with) == ("a", 1, ("b",))
        assert (second.service, second.serving, second.replicas_of) == ("b", 0, "a")
        assert second.carries
        assert second.instances == 0


def test_as_many_as_apart_are_worth_sharing_for_the_night() -> None:
    """Two replicas by day, shared or not, for 9 + 9 requests/s; by night one for 1 + 1: 15.

    Where moves cost money they share by day too, which changes nothing: 15 again, and no move.
    """
    periods = [{"rates_rps": {"a": 9.0, "b": 9.0}}, {"rates_rps": {"a": 1.0, "b": 1.0}}]
    assert over(periods).total_cost == pytest.approx(15.0)
    dear = over(periods, move_cost=4)
    assert dear.total_cost == pytest.approx(15.0)
    assert not any(period.moved for period in dear.periods)


def test_a_member_without_requests_asks_for_nothing() -> None:
    """b alone wants 18 requests/s by night and nothing by day, when a has 9: 1 + 2 replicas."""
    periods = [{"rates_rps": {"a": 9.0, "b": 0.0}}, {"rates_rps": {"a": 0.0, "b": 18.0}}]
    assert over(periods).total_cost == pytest.approx(15.0)


def test_shared_replicas_start_before_they_serve() -> None:
    """One replica at first, two by 18.1 requests/s: started and paid a period ahead, at 1 a start.

    5 + (5 + 5 + 1) + 10: without the pool three replicas, 2 + 1, were needed in the last hour.
    """
    periods = [
        {"rates_rps": {"a": 4.0, "b": 4.0}},
        {"rates_rps": {"a": 4.0, "b": 4.0}},
        {"rates_rps": {"a": 9.5, "b": 8.6}},
    ]
    plan = over(periods, start_delay_periods=1, start_cost=1)
    assert plan.total_cost == pytest.approx(26.0)
    assert [p.allocations[0].starting for p in plan.periods] == [0, 1, 0]


def test_todays_replicas_of_the_first_service_go_on() -> None:
    """a runs one replica on B: shared from the first period on, it needs no start at 3."""
    parts: dict[str, Any] = {
        "horizon": {"periods": OPPOSITE, "starts_from": "current", "start_cost": 3}
    }
    described = data(
        service("a", 4.0, current={"accelerator": "B", "replicas": 1}), service("b", 4.0)
    )
    spec = from_data({**described, **parts})
    plan = plan_horizon(spec, relative_gap=0.0)
    assert plan.total_cost == pytest.approx(10.0)
    assert check_horizon(spec, plan).ok


@pytest.mark.parametrize(
    ("service_", "change", "words"),
    [
        ("a", {"serving": 0, "instances": 0}, "0 replicas serve, 1 are needed"),
        ("b", {"replicas_of": None}, "is not said to be served by the replicas of a"),
        ("b", {"shared_with": ()}, "does not share with"),
        ("b", {"max_batch": 7}, "is not where the replicas of a are"),
    ],
)
def test_the_checker_finds_false_words(service_: str, change: dict[str, Any], words: str) -> None:
    """Replicas left out, or members that are said to be elsewhere."""
    spec = two(horizon={"periods": OPPOSITE})
    plan = plan_horizon(spec)
    first = plan.periods[0]
    changed = tuple(
        a.model_copy(update=change) if a.service == service_ else a for a in first.allocations
    )
    periods = (first.model_copy(update={"allocations": changed}), *plan.periods[1:])
    found = check_horizon(spec, plan.model_copy(update={"periods": periods}))
    assert any(words in violation.message for violation in found.violations)


def test_the_checker_asks_about_the_requests_of_all() -> None:
    """One replica said to be enough for 9 + 9 requests/s: more arrives than can be served."""
    spec = two(horizon={"periods": OPPOSITE})
    plan = plan_horizon(spec)
    rates = {"a": 9.0, "b": 9.0}
    busier = two(horizon={"periods": [{"name": "day", "rates_rps": rates}, OPPOSITE[1]]})
    first = plan.periods[0].model_copy(update={"rates_rps": rates})
    found = check_horizon(busier, plan.model_copy(update={"periods": (first, plan.periods[1])}))
    assert {v.message.split(" at ")[0] for v in found.violations if v.kind == "slo"} == {
        "more arrives than can be served"
    }


@given(
    rates=st.lists(
        st.tuples(st.sampled_from([0.0, 0.5, 3.0, 9.5]), st.sampled_from([0.0, 1.0, 8.5])),
        min_size=2,
        max_size=4,
    ).filter(lambda found: all(any(column) for column in zip(*found, strict=True))),
    move_cost=st.sampled_from([0.0, 2.0]),
)
@settings(max_examples=12, deadline=None, derandomize=True)
def test_pooling_never_costs_more_over_periods(
    rates: list[tuple[float, float]], move_cost: float
) -> None:
    """Staying apart is a choice that a pool leaves."""
    periods = [{"rates_rps": {"a": a, "b": b}} for a, b in rates]
    shared, apart = (
        over(periods, pool=pool, move_cost=move_cost, start_cost=1).total_cost
        for pool in (True, False)
    )
    assert shared is not None
    assert apart is not None
    assert shared <= apart + 1e-6


def test_the_view_says_whose_replicas() -> None:
    """A line for the replicas, and one for the service that they serve too."""
    from rich.console import Console

    console = Console(width=100)
    with console.capture() as shown:
        console.print(horizon_view(over(OPPOSITE)))
    assert "B, shared with b" in shown.get()
    assert "B, those of a" in shown.get()


def uncertain(*, pool: bool = True, **said: Any) -> UncertainPlan:
    """Plan for scenarios to the end, and check every scenario's plan against the fleet at it."""
    spec = two(pool=pool, uncertainty=said)
    plan = fo.optimize_uncertain(spec, relative_gap=0.0)
    assert plan.termination == "optimal"
    loads = ScenarioLoads.of(spec)
    for outcome, rates in zip(plan.scenarios, loads.rates_rps, strict=True):
        assert outcome.plan is not None
        assert check_plan(with_rates(spec, rates), outcome.plan).ok
    return plan


@pytest.mark.parametrize("said", [{}, {"replicas": "adapt"}, {"minimize": "worst"}])
def test_opposite_scenarios_share_one_replica(said: dict[str, Any]) -> None:
    """As over periods: one replica for 9.05 requests/s in either scenario, 5; apart two, 10."""
    plan = uncertain(scenarios=OPPOSITE, **said)
    assert plan.total_cost_per_hour == pytest.approx(5.0)
    assert plan.expected_cost_per_hour == pytest.approx(5.0)
    assert uncertain(pool=False, scenarios=OPPOSITE, **said).total_cost_per_hour == 10.0


def test_replicas_that_follow_are_shared_in_every_scenario() -> None:
    """1, 1 and, for a's 18.1 requests/s, 2 shared replicas: 20/3 expected, 10 at worst.

    Apart: 2, 2 and 2 + 1 replicas, 35/3 and 15.
    """
    three = [*OPPOSITE, {"name": "launch", "rates_rps": {"a": 18.1, "b": 0.0}}]
    plan = uncertain(scenarios=three, replicas="adapt")
    assert plan.total_cost_per_hour == pytest.approx(20.0 / 3)
    assert plan.worst_cost_per_hour == pytest.approx(10.0)
    worst = uncertain(scenarios=three, replicas="adapt", minimize="worst")
    assert worst.total_cost_per_hour == pytest.approx(10.0)
    apart = uncertain(pool=False, scenarios=three, replicas="adapt")
    assert apart.total_cost_per_hour == pytest.approx(35.0 / 3)


def test_fixed_replicas_are_those_of_the_scenario_that_wants_most() -> None:
    """Two shared replicas for 18.1 requests/s of a, the same in every scenario."""
    three = [*OPPOSITE, {"name": "launch", "rates_rps": {"a": 18.1, "b": 0.0}}]
    plan = uncertain(scenarios=three)
    assert plan.total_cost_per_hour == pytest.approx(10.0)
    for outcome in plan.scenarios:
        assert outcome.plan is not None
        assert [a.replicas for a in outcome.plan.allocations] == [2, 0]


def test_what_is_chosen_is_among_the_options_of_the_load_that_binds() -> None:
    """Two shared replicas at 9.05 requests/s each: as many as apart would be, and chosen."""
    both = [*OPPOSITE, {"name": "both", "rates_rps": {"a": 9.05, "b": 9.05}}]
    spec = two(uncertainty={"scenarios": both, "replicas": "adapt"})
    found = explain_uncertain(spec, "b", fo.optimize_uncertain(spec))
    assert found.binding_load == "both"
    assert [o.shared_with for o in found.options if o.state == "chosen"] == [("a",)]


@given(
    rates=st.lists(
        st.tuples(st.sampled_from([0.0, 0.5, 9.5]), st.sampled_from([1.0, 8.5, 18.0])),
        min_size=1,
        max_size=3,
    ),
    adapt=st.booleans(),
)
@settings(max_examples=12, deadline=None, derandomize=True)
def test_pooling_never_costs_more_under_scenarios(
    rates: list[tuple[float, float]], *, adapt: bool
) -> None:
    """Staying apart is a choice that a pool leaves; either plan is checked at every scenario."""
    scenarios = [
        {"name": str(place), "rates_rps": {"a": a, "b": b}} for place, (a, b) in enumerate(rates)
    ]
    said: dict[str, Any] = {"replicas": "adapt"} if adapt else {}
    shared, apart = (
        uncertain(pool=pool, scenarios=scenarios, **said).total_cost_per_hour
        for pool in (True, False)
    )
    assert shared is not None
    assert apart is not None
    assert shared <= apart + 1e-6


def test_an_idle_service_that_keeps_a_replica_may_share_it() -> None:
    """b has no requests and keeps one replica all the same: a's serves for it, 5 in place of 10."""
    assert fo.optimize(two(rates=(4.0, 0.0))).total_cost_per_hour == 5.0
    assert fo.optimize(two(pool=False, rates=(4.0, 0.0))).total_cost_per_hour == 10.0


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"peaks": {"at_once": 1, "factor": 2}}, "give scenarios of the loads that come together"),
        ({"spread": {"relative": 0.2}}, "give scenarios of the loads that come together"),
        (
            {"scenarios": OPPOSITE, "serve_probability": 0.5},
            "serve every scenario and leave out those to be given up",
        ),
    ],
)
def test_what_pools_do_not_know_says_what_to_try(said: dict[str, Any], words: str) -> None:
    """Peaks, spreads and scenarios that are given up are about services one by one."""
    with pytest.raises(SpecError, match=words):
        two(uncertainty=said)
