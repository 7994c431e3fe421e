"""Uncertain loads: every promise worked out by hand, held to each load by the checker."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import optimizer as fo
from optimizer.errors import PlanError, SpecError
from optimizer.fleet import UncertainPlan, check_plan
from optimizer.fleet.uncertainty import ScenarioLoads, with_rates
from optimizer.spec import FleetSpec, from_data
from tests.optimizer.fleet.fleets import service, two_types

THREE = [
    {"name": "usual"},
    {"name": "double", "factor": 2},
    {"name": "launch", "rates_rps": {"x": 36}},
]


def busy(rate: float = 9.0, cards: int = 100, **uncertainty: Any) -> FleetSpec:
    """Two services, x and y, on A (10 per hour) or B (5 per hour, so many cards).

    A replica serves one request at a time in 110 ms, so 9.09 per second: 9 requests/s need one
    replica, 18 two, 27 three, 36 four. There is no objective but to keep up.
    """
    load = {"arrival_rate_rps": rate, "input_tokens": 100, "output_tokens": 11}
    data = two_types()
    data["capacities"] = [{"type": "B", "cards": cards}]
    data["services"] = [service(name, load=load, max_batch=1) for name in ("x", "y")]
    data["uncertainty"] = uncertainty
    return from_data(data)


@pytest.mark.parametrize(
    ("said", "cost"),
    [
        # x for 36 requests/s: 4 replicas; y for 18: 2. 6 x 5.
        ({}, 30.0),
        # Two of three scenarios are enough: usual and double want 2 + 2; with launch 4 + 1.
        ({"serve_probability": 0.6}, 20.0),
        # Each by itself: x up to double (2), y, which launch leaves at 9, up to that (1).
        ({"serve_probability": 0.6, "probability_of": "service"}, 15.0),
        # Replicas follow: 2, 4 and 5 replicas, equally likely.
        ({"replicas": "adapt"}, (10.0 + 20.0 + 25.0) / 3),
        ({"replicas": "adapt", "minimize": "worst"}, 25.0),
    ],
)
def test_each_promise_costs_what_it_does_by_hand(said: dict[str, Any], cost: float) -> None:
    """Three equally likely scenarios (9, 9), (18, 18), (36, 9); see the comments."""
    plan = fo.optimize_uncertain(busy(scenarios=THREE, **said))
    assert plan.termination == "optimal"
    assert plan.total_cost_per_hour == pytest.approx(cost)
    assert plan.relative_gap == pytest.approx(0.0, abs=1e-6)
    holds(busy(scenarios=THREE, **said), plan)


@pytest.mark.parametrize(("at_once", "cost"), [(0, 10.0), (1, 20.0), (2, 30.0), (9, 30.0)])
def test_a_budget_of_peaks_by_hand(at_once: int, cost: float) -> None:
    """Peaks of 27 requests/s: 2 replicas in all and 2 more for each service that peaks."""
    plan = fo.optimize_uncertain(busy(peaks={"at_once": at_once, "factor": 3}))
    assert plan.total_cost_per_hour == pytest.approx(cost)
    assert plan.at_once == at_once


def test_a_row_holds_whoever_peaks() -> None:
    """With 3 cards of B both on B would take 4 when one peaks; so one goes to A.

    By hand: x on B and y on A cost 5 + 10; when y peaks it takes 3 x 10 more in place of 10: 35.
    Both on A would cost 10 + 30 = 40. With 4 cards of B both stay there: 20.
    """
    tight = fo.optimize_uncertain(busy(cards=3, peaks={"at_once": 1, "factor": 3}))
    assert tight.total_cost_per_hour == pytest.approx(35.0)
    assert {a.accelerator for a in tight.allocations} == {"A", "B"}
    room = fo.optimize_uncertain(busy(cards=4, peaks={"at_once": 1, "factor": 3}))
    assert room.total_cost_per_hour == pytest.approx(20.0)


def test_capacities_hold_in_every_scenario_for_replicas_that_follow() -> None:
    """Four cards of B: the launch wants 4 + 1, so one service goes to A.

    By hand, x on B and y on A: (5 + 10 + 10 + 20 + 20 + 10) / 3 = 25. The other way round x alone
    would cost 10 x (1 + 2 + 4) / 3.
    """
    spec = busy(cards=4, scenarios=THREE, replicas="adapt")
    plan = fo.optimize_uncertain(spec)
    assert plan.total_cost_per_hour == pytest.approx(25.0)
    holds(spec, plan)


def test_services_that_split_route_each_load_anew() -> None:
    """Three cards of B and 36 requests/s: x has 3 on B and 1 on A in all scenarios, 25 + y's 10.

    y is split too and wants 2; the cards are decided once, the shares by the load.
    """
    data = busy(cards=3, scenarios=THREE).model_dump(mode="json", by_alias=True)
    data["optimizer"]["allocation"] = "split"
    spec = from_data(data)
    plan = fo.optimize_uncertain(spec)
    assert plan.total_cost_per_hour == pytest.approx(3 * 5.0 + 3 * 10.0)
    counts = [
        sorted((a.service, a.accelerator, a.replicas) for a in o.plan.allocations)
        for o in plan.scenarios
        if o.plan is not None
    ]
    assert len(counts) == 3
    assert counts[0] == counts[1] == counts[2]
    admitted = [
        sum(a.admitted_rate_rps for a in o.plan.allocations) for o in plan.scenarios if o.plan
    ]
    assert admitted == pytest.approx([18.0, 36.0, 45.0])
    holds(spec, plan)


def holds(spec: FleetSpec, plan: UncertainPlan) -> None:
    """Every load that is said to be served is, by the checker, with what was decided."""
    loads = ScenarioLoads.of(spec)
    for outcome, rates in zip(plan.scenarios, loads.rates_rps, strict=True):
        if outcome.plan is None:
            assert outcome.short
            continue
        check = check_plan(with_rates(spec, rates), outcome.plan)
        assert check.violations == ()
        assert not outcome.plan.unserved
        if plan.replicas == "fixed":
            decided = {
                (a.service, a.accelerator, a.max_batch): a.replicas for a in plan.allocations
            }
            found = {
                (a.service, a.accelerator, a.max_batch): a.replicas
                for a in outcome.plan.allocations
            }
            assert found == decided


FACTORS = st.lists(
    st.tuples(st.floats(0.2, 4.0), st.floats(0.2, 4.0)), min_size=2, max_size=3, unique=True
)


def of_factors(factors: list[tuple[float, float]]) -> list[dict[str, Any]]:
    return [
        {"name": f"s{i}", "rates_rps": {"x": 9 * one, "y": 9 * other}}
        for i, (one, other) in enumerate(factors)
    ]


@settings(deadline=None, max_examples=6, derandomize=True)
@given(FACTORS, st.sampled_from([0.3, 0.5, 0.7, 0.9]))
def test_the_best_scenarios_are_given_up(
    factors: list[tuple[float, float]], probability: float
) -> None:
    """Joint service costs what the cheapest set of enough scenarios does, tried one by one."""
    spec = busy(cards=4, scenarios=of_factors(factors), serve_probability=probability)
    plan = fo.optimize_uncertain(spec)
    loads = ScenarioLoads.of(spec)
    costs = []
    for size in range(1, len(factors) + 1):
        for kept in itertools.combinations(range(len(factors)), size):
            if loads.probability[list(kept)].sum() >= probability - 1e-9:
                worst = loads.rates_rps[list(kept)].max(axis=0)
                costs.append(fo.optimize(with_rates(spec, worst)).total_cost_per_hour or 0.0)
    assert plan.total_cost_per_hour == pytest.approx(min(costs))
    assert (plan.served_probability or 0.0) >= probability - 1e-9
    holds(spec, plan)


@settings(deadline=None, max_examples=6, derandomize=True)
@given(FACTORS)
def test_more_scenarios_never_cost_less(factors: list[tuple[float, float]]) -> None:
    """One more load to serve, whatever it is, saves nothing; replicas that follow cost least."""
    scenarios = of_factors(factors)
    before = fo.optimize_uncertain(busy(cards=5, scenarios=scenarios[:-1]))
    after = fo.optimize_uncertain(busy(cards=5, scenarios=scenarios))
    assert (after.total_cost_per_hour or 0) >= (before.total_cost_per_hour or 0) - 1e-9
    follow = fo.optimize_uncertain(
        busy(cards=5, scenarios=scenarios, replicas="adapt", minimize="worst")
    )
    assert (follow.total_cost_per_hour or 0) <= (after.total_cost_per_hour or 0) + 1e-9
    holds(busy(cards=5, scenarios=scenarios, replicas="adapt"), follow)


@settings(deadline=None, max_examples=6, derandomize=True)
@given(
    st.tuples(st.floats(1, 4), st.floats(1, 4)),
    st.integers(0, 2),
    st.integers(2, 8),
)
def test_a_budget_survives_every_set_of_peaks(
    factors: tuple[float, float], at_once: int, cards: int
) -> None:
    """Whichever services peak, the configurations decided keep every row and cost no more."""
    peaks = {"at_once": at_once, "rates_rps": {"x": 9 * factors[0], "y": 9 * factors[1]}}
    spec = busy(cards=cards, peaks=peaks)
    plan = fo.optimize_uncertain(spec)
    place = {a.service: a.accelerator for a in plan.allocations}
    for peaking in itertools.combinations(range(2), min(at_once, 2)):
        rates = np.array([9.0, 9.0])
        rates[list(peaking)] *= np.array(factors)[list(peaking)]
        sized = fo.optimize(pinned(with_rates(spec, rates), place))
        assert not sized.unserved
        assert (sized.total_cost_per_hour or 0) <= (plan.total_cost_per_hour or 0) + 1e-6


def pinned(spec: FleetSpec, place: dict[str, str | None]) -> FleetSpec:
    services = tuple(s.model_copy(update={"accelerator": place[s.name]}) for s in spec.services)
    return spec.model_copy(update={"services": services})


def test_a_plan_of_known_loads_is_refused_and_the_way_is_named() -> None:
    """`optimize` does not quietly plan for the usual loads alone."""
    with pytest.raises(PlanError, match="optimize_uncertain"):
        fo.optimize(busy(scenarios=THREE))


def splitting(cards: int = 100, spares: int = 0, **uncertainty: Any) -> dict[str, Any]:
    """`busy`, of which every service splits."""
    data = busy(cards=cards, **uncertainty).model_dump(mode="json", by_alias=True)
    data["optimizer"]["allocation"] = "split"
    for entry in data["services"]:
        entry["spares"] = spares
    return data


@pytest.mark.parametrize(
    ("cards", "spares", "probability", "cost"),
    [
        # Usual and double: 2 + 2 replicas of B.
        (100, 0, 0.6, 20.0),
        # One card of B less: x and y share 3 of B and one A.
        (3, 0, 0.6, 25.0),
        # Usual alone: 1 + 1.
        (100, 0, 0.3, 10.0),
        # A spare each, on every accelerator that they use: 3 + 3 on B.
        (100, 1, 0.6, 30.0),
        # With 4 cards of B: 3 there for one service, and 3 of A for the other.
        (4, 1, 0.6, 45.0),
        # Every scenario: x for 36 (4), y for 18 (2).
        (100, 0, 1.0, 30.0),
    ],
)
def test_shares_are_the_recourse_of_services_that_split(
    cards: int, spares: int, probability: float, cost: float
) -> None:
    """Replicas for the best scenarios of the probability, shares anew in each; see the comments."""
    spec = from_data(splitting(cards, spares, scenarios=THREE, serve_probability=probability))
    plan = fo.optimize_uncertain(spec)
    assert plan.termination == "optimal"
    assert plan.total_cost_per_hour == pytest.approx(cost)
    assert plan.relative_gap == pytest.approx(0.0, abs=1e-6)
    assert (plan.served_probability or 0.0) >= probability - 1e-9
    holds(spec, plan)


@settings(deadline=None, max_examples=5, derandomize=True)
@given(
    rates=st.lists(
        st.tuples(st.sampled_from([5.0, 14.0, 30.0]), st.sampled_from([5.0, 20.0])),
        min_size=2, max_size=4,
    ),
    cards=st.integers(1, 6),
    wanted=st.sampled_from([0.5, 0.7]),
)  # fmt: skip
def test_shares_as_recourse_are_the_best_of_all_choices(
    rates: list[tuple[float, float]], cards: int, wanted: float
) -> None:
    """Enumerated: each set of scenarios of enough probability, sized for its largest loads."""
    scenarios = [
        {"name": f"w{place}", "rates_rps": dict(zip("xy", pair, strict=True))}
        for place, pair in enumerate(rates)
    ]
    spec = from_data(splitting(cards, scenarios=scenarios, serve_probability=wanted))
    least = float("inf")
    need = math.ceil(wanted * len(rates) - 1e-9)
    for kept in itertools.combinations(rates, need):
        replicas = sum(math.ceil(max(pair[s] for pair in kept) * 0.11) for s in (0, 1))
        least = min(least, 5.0 * min(replicas, cards) + 10.0 * max(replicas - cards, 0))
    plan = fo.optimize_uncertain(spec)
    assert plan.total_cost_per_hour == pytest.approx(least)
    holds(spec, plan)


def test_what_shares_cannot_follow_is_refused() -> None:
    """Services that choose beside others that split, and power by loads; the message says more."""
    said: dict[str, Any] = {"scenarios": THREE, "serve_probability": 0.6}
    mixed = splitting(**said)
    mixed["services"][0]["allocation"] = "choose"
    powered = splitting(**said)
    powered["limits"] = [{"measure": "power_kw", "at_most": 9.0}]
    for machine in powered["accelerators"]:
        machine["power"] = {"idle_w": 1, "full_w": 2}
    for data, message in ((mixed, "'x' chooses"), (powered, "power or carbon is counted")):
        with pytest.raises(PlanError, match=f"{message}.*probability_of: service"):
            fo.optimize_uncertain(from_data(data))


def test_an_impossible_fleet_is_a_result_with_words() -> None:
    """Replicas limited to 2 cannot serve 36 requests/s; nothing may stay unserved."""
    data = busy(scenarios=THREE, replicas="adapt").model_dump(mode="json", by_alias=True)
    data["services"][0]["replicas"] = {"min": 1, "max": 2}
    data["optimizer"]["unserved"] = "forbidden"
    plan = fo.optimize_uncertain(from_data(data))
    assert plan.termination == "infeasible"
    assert "x" in plan.detail
    assert UncertainPlan.model_validate_json(plan.to_json()) == plan


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({}, "uncertainty.scenarios: is missing"),
        ({"scenarios": THREE, "peaks": {"at_once": 1}}, "keep one of them"),
        ({"scenarios": [{"name": "a", "rates_rps": {"z": 1}}]}, "no such service"),
        ({"scenarios": [{"name": "a", "probability": 0.4}]}, "sum to 0.4"),
        ({"scenarios": [{"name": "a", "probability": 0.4}, {"name": "b"}]}, "give it to all"),
        ({"scenarios": [{"name": "a"}, {"name": "a"}]}, "another scenario has this name"),
        ({"scenarios": [{"name": "a", "factor": -1}]}, "factor"),
        ({"scenarios": [{"name": "a", "factr": 1}]}, "factor"),
        ({"peaks": {"at_once": 1}, "replicas": "fixed"}, "sized for its own peak"),
        ({"peaks": {"at_once": 1}, "serve_probability": 0.5}, "needs scenarios"),
        ({"peaks": {"at_once": 1, "rates_rps": {"x": 1}}}, "at least the usual rate"),
        ({"scenarios": THREE, "serve_probability": 0}, "serve_probability"),
    ],
)
def test_faults_are_named(said: dict[str, Any], message: str) -> None:
    """What is wrong in `uncertainty` is said with its place."""
    with pytest.raises(SpecError, match=message):
        busy(**said)


def bought(**uncertainty: Any) -> FleetSpec:
    """As `busy`, of B two reserved at 1 and the rest on demand at 5."""
    data = busy(**uncertainty).model_dump(mode="json", by_alias=True, exclude_unset=True)
    data["accelerators"][1]["tiers"] = [
        {"tier": "reserved", "instances": 2, "cost_per_hour": 1.0},
        {"tier": "on-demand"},
    ]
    return from_data(data)


@pytest.mark.parametrize(
    ("said", "cost"),
    [
        # 2, 4 and 5 replicas: 2, 2 + 10 and 2 + 15, equally likely.
        ({}, (2.0 + 12.0 + 17.0) / 3),
        ({"minimize": "worst"}, 17.0),
    ],
)
def test_what_every_load_buys_is_decided_for_it(said: dict[str, Any], cost: float) -> None:
    """Reserved instances first, in every scenario again; see the comments."""
    spec = bought(scenarios=THREE, replicas="adapt", **said)
    plan = fo.optimize_uncertain(spec)
    assert plan.termination == "optimal"
    assert plan.total_cost_per_hour == pytest.approx(cost)
    assert plan.relative_gap == pytest.approx(0.0, abs=1e-6)
    holds(spec, plan)
    for outcome in plan.scenarios:
        assert outcome.plan is not None
        assert {p.tier: p.instances for p in outcome.plan.purchases}["reserved"] == 2


def test_purchases_are_refused_where_loads_are_not_told_apart() -> None:
    """Peaks are a budget over sets of services: what each set would buy is not known."""
    with pytest.raises(PlanError, match="purchase tiers, which is not done with peaks"):
        fo.optimize_uncertain(bought(peaks={"at_once": 1, "factor": 3}))


@pytest.mark.parametrize(("measure", "cost"), [("expected", 7.5), ("worst", 10.0)])
def test_a_service_without_requests_in_a_scenario_is_served_in_the_others(
    measure: str, cost: float
) -> None:
    """x rests in one of two scenarios and keeps no replica then: 10 and 5 per hour."""
    data = busy(scenarios=THREE).model_dump(mode="json", by_alias=True, exclude_unset=True)
    for entry in data["services"]:
        entry["replicas"] = {"min": 0}
    scenarios = [{"name": "usual"}, {"name": "x rests", "rates_rps": {"x": 0}}]
    data["uncertainty"] = {"scenarios": scenarios, "replicas": "adapt", "minimize": measure}
    plan = fo.optimize_uncertain(from_data(data))
    assert not plan.unserved
    assert plan.total_cost_per_hour == pytest.approx(cost)
    assert [outcome.cost_per_hour for outcome in plan.scenarios] == [10.0, 5.0]
