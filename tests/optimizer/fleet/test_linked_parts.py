"""What rows of any sign say: purchase tiers, changes of services that split, lost zones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import optimizer as fo
from optimizer.errors import SpecError
from optimizer.fleet import FleetPlan
from optimizer.report import plan_view
from optimizer.spec import from_data
from solvers import Reason
from tests.optimizer.fleet.fleets import service, two_types
from tests.optimizer.fleet.test_split import _fleet

TIERS = [
    {"tier": "reserved", "instances": 2, "cost_per_hour": 3.0},
    {"tier": "on-demand"},
    {"tier": "spot", "instances": 1, "cost_per_hour": 4.0},
]


def tiered(services: int = 2, **changes: Any) -> dict[str, Any]:
    """Services of two replicas; A: 2 reserved at 3, 1 spot at 4, on demand at 10; B at 5.5."""
    data = two_types()
    data["capacities"] = []
    data["accelerators"][0]["tiers"] = TIERS
    data["accelerators"][1]["cost_per_hour"] = 5.5
    data["services"] = [service(f"s{i}", replicas={"min": 2}) for i in range(services)]
    data.update(changes)
    return data


def bought(plan: FleetPlan) -> dict[str, int]:
    return {p.tier: p.instances for p in plan.purchases if p.accelerator == "A"}


@pytest.mark.parametrize(
    ("services", "price_of_b", "cost", "tiers"),
    [
        # The two reserved serve one (6); B serves the other (11), A would at 4 + 10.
        (2, 5.5, 17.0, {"reserved": 2, "on-demand": 0, "spot": 0}),
        # B at 7.5: 15 against 14.
        (2, 7.5, 20.0, {"reserved": 2, "on-demand": 1, "spot": 1}),
        (1, 5.5, 6.0, {"reserved": 2, "on-demand": 0, "spot": 0}),
        # B at 2.5 beats even the reserved.
        (2, 2.5, 10.0, {"reserved": 0, "on-demand": 0, "spot": 0}),
    ],
)
def test_a_fleet_buys_the_tiers_it_needs_in_all(
    services: int, price_of_b: float, cost: float, tiers: dict[str, int]
) -> None:
    """Quotas are shared: the arithmetic stands beside each case."""
    data = tiered(services)
    data["accelerators"][1]["cost_per_hour"] = price_of_b
    plan = fo.optimize(from_data(data))
    assert plan.termination is Reason.OPTIMAL
    assert plan.total_cost_per_hour == pytest.approx(cost)
    assert plan.primal_bound == pytest.approx(cost)
    assert bought(plan) == tiers
    assert FleetPlan.from_json(plan.to_json()) == plan


def test_a_class_may_be_kept_off_a_tier() -> None:
    """Gold takes no spot: on A its two are reserved; silver gets spot and on-demand (14 < 15)."""
    data = tiered()
    data["accelerators"][1]["cost_per_hour"] = 7.5
    data["classes"][0]["tiers"] = ["reserved", "on-demand"]
    data["services"][1]["class"] = "silver"
    plan = fo.optimize(from_data(data))
    assert plan.total_cost_per_hour == pytest.approx(20.0)
    assert plan.allocation("s0").tiers == {"reserved": 2}
    assert plan.allocation("s1").tiers == {"on-demand": 1, "spot": 1}
    data["classes"][0]["tiers"] = ["spot"]
    plan = fo.optimize(from_data(data))
    assert plan.allocation("s0").accelerator == "B"


def test_a_tenants_budget_counts_the_tier_it_is_given() -> None:
    """ads may spend 8: only with a reserved instance (or both) it fits on A; search takes B."""
    data = tiered(limits=[{"measure": "cost_per_hour", "at_most": 8.0, "tenant": "ads"}])
    data["services"][0]["tenant"], data["services"][1]["tenant"] = "search", "ads"
    plan = fo.optimize(from_data(data))
    assert plan.total_cost_per_hour == pytest.approx(17.0)
    assert plan.allocation("s1").tiers == {"reserved": 2}
    assert plan.resources[-1].used == pytest.approx(6.0)


def test_explanations_name_tiers_and_which_are_full() -> None:
    """The reserved are all bought for one service; a cheaper place is priced outside of tiers."""
    plan = fo.optimize(from_data(tiered()))
    found = {service: plan.explain(service).verdict for service in ("s0", "s1")}
    on_a = next(words for words in found.values() if " on A" in words)
    assert "bought as 2 reserved (all the fleet has of reserved is bought)" in on_a
    on_b = next(words for words in found.values() if " on B" in words)
    assert "bought as" not in on_b
    data = tiered()
    data["accelerators"][1]["cost_per_hour"] = 20.0
    data["capacities"] = [{"type": "A", "cards": 2}]
    plan = fo.optimize(from_data(data))
    dear = next(a.service for a in plan.allocations if a.accelerator == "B")
    assert "outside of tiers), but what they need" in plan.explain(dear).verdict


def test_tiers_are_shown_where_there_are_any() -> None:
    """A table of purchases; without tiers neither text nor document has a word of them."""
    console = Console(width=120)
    with console.capture() as capture:
        console.print(plan_view(fo.optimize(from_data(tiered()))))
    assert "A reserved" in capture.get()
    assert "tiers" not in fo.optimize(from_data(two_types())).to_json()


@pytest.mark.parametrize(
    ("change", "to", "message"),
    [
        ("tiers", {"reserved": 3}, "3 instances bought, 2 used"),
        ("tiers", {"gold": 2}, "there is no tier 'gold'"),
        ("tiers", {"spot": 2}, "2 instances of 1"),
        ("cost_per_hour", 1.0, "cost_per_hour 1, not 6"),
    ],
)
def test_the_checker_counts_tiers(change: str, to: object, message: str) -> None:
    """Instances, quotas and prices by tier are recomputed from the plan's words."""
    spec = from_data(tiered(1))
    document = fo.optimize(spec).model_dump(mode="json")
    document["allocations"][0][change] = to
    check = fo.check_plan(spec, FleetPlan.model_validate(document))
    assert any(message in str(v) for v in check.violations), check.violations


@pytest.mark.parametrize(
    ("section", "value", "message"),
    [
        ("tiers", [{"tier": "spot"}, {"tier": "spot"}], "the accelerator has this tier already"),
        ("tiers", [{"tier": "spot", "instances": -1}], r"tiers\[0\].instances = -1"),
        ("classes", ["spott"], "no accelerator is sold in this tier: did you mean 'spot'"),
    ],
)
def test_faults_of_tiers_are_named(section: str, value: list[Any], message: str) -> None:
    """Tiers given twice, negative quotas, tiers that nothing offers."""
    data = tiered()
    if section == "classes":
        data["classes"][0]["tiers"] = value
    else:
        data["accelerators"][0]["tiers"] = value
    with pytest.raises(SpecError, match=message):
        from_data(data)


@settings(deadline=None, max_examples=10, derandomize=True)
@given(quota=st.integers(0, 4), services=st.integers(1, 3), price=st.sampled_from([3.0, 6.0, 9.0]))
def test_a_larger_quota_never_costs_more(quota: int, services: int, price: float) -> None:
    """One more instance of a tier is one more choice."""
    costs = []
    for instances in (quota, quota + 1):
        data = tiered(services)
        tier = {"tier": "reserved", "instances": instances, "cost_per_hour": price}
        data["accelerators"][0]["tiers"] = [tier, {"tier": "on-demand"}]
        costs.append(fo.optimize(from_data(data)).total_cost_per_hour)
    assert costs[0] is not None
    assert costs[1] is not None
    assert costs[1] <= costs[0] + 1e-9


@pytest.mark.parametrize(
    ("transition", "cost", "counts"),
    [
        # 1 A + 1 B cost 6.5 and start one, stop four, move; 5 B cost 7.5 and change nothing.
        ({"cost_per_start": 0.9, "horizon_h": 1.0}, 6.5, {"A": 1, "B": 1}),
        ({"cost_per_start": 1.1, "horizon_h": 1.0}, 7.5, {"B": 5}),
        ({"cost_per_stop": 0.2, "horizon_h": 1.0}, 6.5, {"A": 1, "B": 1}),
        ({"cost_per_stop": 0.3, "horizon_h": 1.0}, 7.5, {"B": 5}),
        ({"cost_per_move": 0.9, "horizon_h": 1.0}, 6.5, {"A": 1, "B": 1}),
        ({"cost_per_move": 1.1, "horizon_h": 1.0}, 7.5, {"B": 5}),
        ({"most_started": 0}, 7.5, {"B": 5}),
        ({"most_stopped": 3}, 7.5, {"B": 5}),
        ({"most_moved": 0}, 7.5, {"B": 5}),
        ({"most_moved": 1, "most_started": 1, "most_stopped": 4}, 6.5, {"A": 1, "B": 1}),
    ],
)
def test_changes_of_a_service_that_splits(
    transition: dict[str, Any], cost: float, counts: dict[str, int]
) -> None:
    """10 requests/s on 5 B today; A serves 8 at 5, B serves 2 at 1.5."""
    data = _fleet(transition=transition)
    data["services"][0]["current"] = {"accelerator": "B", "replicas": 5}
    plan = fo.optimize(from_data(data))
    assert plan.termination is Reason.OPTIMAL
    assert plan.total_cost_per_hour == pytest.approx(cost)
    assert {a.accelerator: a.replicas for a in plan.allocations} == counts


def test_replicas_may_be_kept_because_stopping_costs() -> None:
    """7 B run, 5 are needed (7.5); stopping one costs 2 for an hour of 1.5: all stay, at 10.5."""
    data = _fleet(transition={"cost_per_stop": 2.0, "horizon_h": 1.0, "most_moved": 0})
    data["services"][0]["current"] = {"accelerator": "B", "replicas": 7}
    plan = fo.optimize(from_data(data))
    assert plan.total_cost_per_hour == pytest.approx(10.5)
    assert plan.transition is not None
    assert plan.transition.stopped == 0


def zones(places: tuple[str, str] = ("z1", "z2"), **changes: Any) -> dict[str, Any]:
    data = _fleet()
    for accelerator, place in zip(data["accelerators"], places, strict=True):
        accelerator["zone"] = place
    data["services"][0].update({"survive": "zone", **changes})
    return data


def test_what_is_left_carries_the_whole_load() -> None:
    """Without z1 (A) 5 B must do: 7.5; without z2 (B) 2 A: 10. Together 17.5, not 6.5."""
    plan = fo.optimize(from_data(zones()))
    assert plan.termination is Reason.OPTIMAL
    assert plan.total_cost_per_hour == pytest.approx(17.5)
    assert {a.accelerator: a.replicas for a in plan.allocations} == {"A": 2, "B": 5}


def test_one_zone_cannot_survive_itself() -> None:
    """Everything in one zone: the service stays unserved, or the fleet is infeasible."""
    data = zones(("z1", "z1"))
    assert [u.service for u in fo.optimize(from_data(data)).unserved] == ["s"]
    data["optimizer"] = {"unserved": "forbidden"}
    assert fo.optimize(from_data(data)).termination is Reason.INFEASIBLE


def test_the_checker_sees_a_zone_that_must_not_fall() -> None:
    """A plan of a fleet without the wish breaks it: 1 A + 1 B carry 8 or 2 of 10 alone."""
    plan = fo.optimize(from_data(_fleet()))
    check = fo.check_plan(from_data(zones()), plan)
    assert any("without zone z1 what is left carries 2 of 10" in str(v) for v in check.violations)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (zones(allocation="choose"), "set allocation: split"),
        (zones(survive="rack"), "must be one of zone, region, pool"),
        (zones(survive="pool"), r"accelerators\[0\].pool: is missing: a service must survive"),
    ],
)
def test_survival_needs_places_and_several_accelerators(data: dict[str, Any], message: str) -> None:
    """One accelerator has one place; an accelerator without a place may stand in any."""
    with pytest.raises(SpecError, match=message):
        from_data(data)


def test_a_sequence_keeps_what_tiers_cost() -> None:
    """Least cost first (17, see above), then least change: nothing more may be spent."""
    stages = [{"minimise": "cost"}, {"minimise": "transition"}]
    data = tiered(optimizer={"objective": "lexicographic", "stages": stages})
    plan = fo.optimize(from_data(data))
    assert plan.total_cost_per_hour == pytest.approx(17.0)
    assert [s.minimise for s in plan.objective_stages] == ["cost", "transition"]


def test_best_effort_that_is_not_given_is_said() -> None:
    """200 replicas do not fit; with tiers the leftovers stay free, and the plan says why."""
    data = two_types()
    data["accelerators"][0]["tiers"] = [{"tier": "spot", "instances": 1, "cost_per_hour": 1}]
    data["services"] = [service("x"), service("y", replicas={"min": 200})]
    data["optimizer"] = {"saturation_policy": "round-robin"}
    plan = fo.optimize(from_data(data))
    assert [u.service for u in plan.unserved] == ["y"]
    assert any("best effort is not given where instances are bought" in n for n in plan.notes)
