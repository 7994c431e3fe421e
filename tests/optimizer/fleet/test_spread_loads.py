"""Loads with a standard deviation: rooms worked out by hand, and by enumeration; the checker."""

from __future__ import annotations

import itertools
import math
from statistics import NormalDist, fmean, pstdev
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import optimizer as fo
from optimizer.errors import PlanError, SpecError
from optimizer.fleet import UncertainPlan, check_spread, explain_uncertain
from optimizer.spec import FleetSpec, from_data
from tests.optimizer.fleet.fleets import service, two_types

# One request at a time in 110 ms.
_PER_REPLICA = 1 / 0.11
# Nine equally likely levels of a standard normal load, of variance 1.
_QUANTILES = [NormalDist().inv_cdf((place + 0.5) / 9) for place in range(9)]
_LEVELS = [q / math.sqrt(fmean(other**2 for other in _QUANTILES)) for q in _QUANTILES]


def spread(replicas: list[float], deviation: float, cards: int, **said: Any) -> dict[str, Any]:
    """Services of so many replicas on average, of A (10 per hour) or B (5, so many cards)."""
    data = two_types()
    data["capacities"] = [{"type": "B", "cards": cards}]
    data["services"] = [
        service(
            f"s{number}",
            max_batch=1,
            load={
                "arrival_rate_rps": mean * _PER_REPLICA,
                "input_tokens": 100,
                "output_tokens": 11,
            },
        )
        for number, mean in enumerate(replicas)
    ]
    std = dict.fromkeys((s["name"] for s in data["services"]), deviation * _PER_REPLICA)
    data["uncertainty"] = {"spread": {"keep_probability": 0.95, "std_rps": std, **said}}
    return data


def counts(mean: float, deviation: float) -> list[int]:
    """Replicas at each level of a load; one at least."""
    return [max(math.ceil(max(mean + deviation * level, 0.0)), 1) for level in _LEVELS]


@pytest.mark.parametrize(
    ("cards", "said", "cost"),
    [
        (5, {}, 30.0),
        (6, {}, 20.0),
        (6, {"together": 1.0}, 30.0),
        (7, {"together": 1.0}, 20.0),
        (8, {"law": "any"}, 30.0),
        (9, {"law": "any"}, 20.0),
        (4, {"keep_probability": 0.5}, 20.0),
    ],
)
def test_room_for_deviations_by_hand(cards: int, said: dict[str, Any], cost: float) -> None:
    """Two services of 1.5 replicas on average, and half a replica of deviation.

    Their levels take 1, 1, 2, 2, 2, 2, 2, 3, 3 replicas: 2 on average, with a deviation of 2/3.
    Both on B use 4 on average and, independent, 0.943 of deviation: with 95 % 4 + 1.645 x 0.943 =
    5.55 cards. Rising as one: 4 + 1.645 x 4/3 = 6.19. By any law: 4 + 4.359 x 0.943 = 8.11. With
    50 % the mean is enough. Both on B cost 20, one on A 10 more.
    """
    assert counts(1.5, 0.5) == [1, 1, 2, 2, 2, 2, 2, 3, 3]
    spec = from_data(spread([1.5, 1.5], 0.5, cards, **said))
    plan = fo.optimize_uncertain(spec)
    assert plan.termination == "optimal"
    assert plan.total_cost_per_hour == pytest.approx(cost)
    assert plan.relative_gap == pytest.approx(0.0, abs=1e-6)
    (row,) = plan.capacities
    on_b = sum(a.accelerator == "B" for a in plan.allocations)
    assert row.expected_use == pytest.approx(2.0 * on_b)
    both = 4 / 3 if said.get("together") else math.sqrt(8) / 3
    assert row.standard_deviation == pytest.approx(both if on_b == 2 else 2 / 3)
    assert row.kept_probability >= plan.keep_probability - 1e-9  # type: ignore[operator]
    assert UncertainPlan.from_json(plan.to_json()) == plan


@settings(deadline=None, max_examples=4, derandomize=True)
@given(
    means=st.lists(st.sampled_from([0.6, 1.3, 2.4, 3.7]), min_size=2, max_size=3),
    deviation=st.sampled_from([0.0, 0.4, 1.1]),
    cards=st.integers(1, 9),
    together=st.sampled_from([0.0, 0.5]),
)
def test_the_plan_is_the_best_of_all_choices(
    means: list[float], deviation: float, cards: int, together: float
) -> None:
    """Enumerated: every way to put the services on A or B, with its room in plain arithmetic."""
    spec = from_data(spread(means, deviation, cards, together=together))
    use = [counts(mean, deviation) for mean in means]
    least = math.inf
    for on_b in itertools.product([False, True], repeat=len(means)):
        mine = [levels for levels, here in zip(use, on_b, strict=True) if here]
        stds = [pstdev(levels) for levels in mine]
        variance = together * sum(stds) ** 2 + (1 - together) * sum(std**2 for std in stds)
        need = sum(map(fmean, mine)) + NormalDist().inv_cdf(0.95) * math.sqrt(variance)
        at_mean = sum(max(math.ceil(m), 1) for m, here in zip(means, on_b, strict=True) if here)
        if max(need, at_mean) <= cards + 1e-9:
            cost = sum(
                fmean(levels) * (5.0 if here else 10.0)
                for levels, here in zip(use, on_b, strict=True)
            )
            least = min(least, cost)
    plan = fo.optimize_uncertain(spec)
    assert plan.total_cost_per_hour == pytest.approx(least)


def test_the_checker_finds_what_is_short() -> None:
    """Decided for 9 cards, held against 5: the row is named, with what it needs."""
    roomy = fo.optimize_uncertain(from_data(spread([1.5, 1.5], 0.5, 9)))
    assert {a.accelerator for a in roomy.allocations} == {"B"}
    found = check_spread(from_data(spread([1.5, 1.5], 0.5, 5)), roomy.allocations)
    (fault,) = found.violations
    assert (fault.kind, fault.where) == ("resource", "B")
    assert "5.55" in fault.message
    assert found.capacities[0].kept_probability < 0.95


def test_what_spreads_is_explained_at_its_levels() -> None:
    """The mean load and the highest level, each with its rate."""
    spec = from_data(spread([1.5, 1.5], 0.5, 6))
    explained = explain_uncertain(spec, "s0", fo.optimize_uncertain(spec))
    assert [load.load for load in explained.loads] == ["mean load", "high load"]
    assert explained.loads[0].replicas == 2
    assert explained.loads[1].arrival_rate_rps == pytest.approx(2.355 * _PER_REPLICA, rel=1e-3)


def test_nothing_to_choose_from_is_a_result() -> None:
    """At most two replicas, and a load that needs three at its highest level."""
    data = spread([1.5], 0.5, 9)
    data["services"][0]["replicas"] = {"min": 1, "max": 2}
    data["optimizer"] = {"unserved": "forbidden"}
    plan = fo.optimize_uncertain(from_data(data))
    assert plan.termination == "infeasible"
    assert "s0" in plan.detail


def test_services_that_split_are_refused() -> None:
    """Replicas of services that split do not follow a load one by one."""
    data = spread([1.5, 1.5], 0.5, 9)
    data["optimizer"] = {"allocation": "split"}
    with pytest.raises(PlanError, match="not done where loads spread"):
        fo.optimize_uncertain(from_data(data))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"spread": {"keep_probability": 0.3}}, "keep_probability"),
        ({"spread": {"keep_probability": 1.0}}, "keep_probability"),
        ({"spread": {}}, "keep_probability"),
        ({"spread": {"keep_probability": 0.9, "std_rps": {"z": 1}}}, "no such service"),
        ({"spread": {"keep_probability": 0.9, "std_rps": {"s0": -1}}}, "std_rps"),
        ({"spread": {"keep_probability": 0.9, "relativ": 1}}, "relative"),
        ({"spread": {"keep_probability": 0.9}, "peaks": {"at_once": 1}}, "beside peaks"),
        ({"spread": {"keep_probability": 0.9}, "scenarios": [{"name": "a"}]}, "beside scenarios"),
        ({"spread": {"keep_probability": 0.9}, "replicas": "fixed"}, "no end"),
        ({"spread": {"keep_probability": 0.9}, "minimize": "worst"}, "no worst cost"),
        ({"spread": {"keep_probability": 0.9}, "serve_probability": 0.9}, "spread.keep_prob"),
    ],
)
def test_faults_are_named(said: dict[str, Any], message: str) -> None:
    """What is wrong in `spread` is said with its place."""
    with pytest.raises(SpecError, match=message):
        from_data({**spread([1.5], 0.5, 9), "uncertainty": said})


def test_steps_from_todays_plan_are_not_limited() -> None:
    """A limit on what starts is about one load."""
    data = spread([1.5], 0.5, 9)
    data["optimizer"] = {"transition": {"most_started": 1}}
    with pytest.raises(SpecError, match=r"most_started.*loads spread"):
        from_data(data)


def test_a_deviation_of_nothing_is_the_known_load() -> None:
    """Without spread the plan costs what it costs at the means."""
    data = spread([1.5, 2.5], 0.0, 3)
    known: FleetSpec = from_data({k: v for k, v in data.items() if k != "uncertainty"})
    plan = fo.optimize_uncertain(from_data(data))
    assert plan.total_cost_per_hour == fo.optimize(known).total_cost_per_hour
