"""Rows of the fleet: cards by place, budgets, power, carbon and tenants' quotas."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import optimizer as fo
from optimizer.errors import SpecError
from optimizer.fleet import FleetPlan, build_problem, explain
from optimizer.report import plan_view
from optimizer.spec import from_data
from tests.optimizer.fleet.fleets import service, two_types


def places(services: int = 2, **changes: Any) -> dict[str, Any]:
    """Two regions: A (10 per hour, 200 W idle) in eu, B (5 per hour, 800 W idle) in us.

    Idle services of one replica on one card each: cost, power and carbon are known by hand. At 500
    and 50 g/kWh A emits 0.1 kg/h and B 0.04 kg/h.
    """
    data = two_types()
    data["capacities"] = []
    data["accelerators"] = [
        {
            "name": "A",
            "cost_per_hour": 10.0,
            "zone": "eu-1",
            "region": "eu",
            "power": {"idle_w": 200.0, "full_w": 1000.0},
        },
        {
            "name": "B",
            "cost_per_hour": 5.0,
            "zone": "us-1",
            "region": "us",
            "power": {"idle_w": 800.0, "full_w": 1000.0},
        },
    ]
    data["regions"] = [
        {"name": "eu", "carbon_g_per_kwh": 500.0},
        {"name": "us", "carbon_g_per_kwh": 50.0},
    ]
    tenants = ("search", "ads")
    data["services"] = [service(f"s{i}", tenant=tenants[i % 2]) for i in range(services)]
    data.update(changes)
    return data


def on(plan: FleetPlan) -> dict[str, str | None]:
    return {a.service: a.accelerator for a in plan.allocations}


@pytest.mark.parametrize(
    ("limit", "cost", "used"),
    [
        # Without a limit both take B: 2 x 5.
        ({"measure": "cost_per_hour", "at_most": 10.0}, 10.0, 10.0),
        # 2 B draw 1.6 kW; one on A makes 1.0 kW.
        ({"measure": "power_kw", "at_most": 1.5}, 15.0, 1.0),
        # 2 A draw 0.4 kW.
        ({"measure": "power_kw", "at_most": 0.4}, 20.0, 0.4),
        # In us alone: one B of 0.8 kW is room enough for one.
        ({"measure": "power_kw", "at_most": 0.8, "region": "us"}, 15.0, 0.8),
        ({"measure": "power_kw", "at_most": 0.7, "zone": "us-1"}, 20.0, 0.0),
        # 2 B emit 0.08 kg/h; nothing emits less.
        ({"measure": "carbon_kg_per_hour", "at_most": 0.08}, 10.0, 0.08),
        # ads (s1) may spend 5: B. search is free.
        ({"measure": "cost_per_hour", "at_most": 5.0, "tenant": "ads"}, 10.0, 5.0),
        # ads may have no card of type B.
        ({"measure": "cards", "at_most": 0.0, "tenant": "ads", "type": "B"}, 15.0, 0),
        # ads may draw 0.2 kW: A.
        ({"measure": "power_kw", "at_most": 0.2, "tenant": "ads"}, 15.0, 0.2),
    ],
)
def test_each_limit_moves_the_optimum(limit: dict[str, Any], cost: float, used: float) -> None:
    """Two idle services choose among A (10, 0.2 kW) and B (5, 0.8 kW); see the comments."""
    plan = fo.optimize(from_data(places(limits=[limit])))
    assert plan.total_cost_per_hour == pytest.approx(cost)
    assert not plan.unserved
    row = plan.resources[-1]
    assert row.kind == limit["measure"]
    assert row.capacity == limit["at_most"]
    assert row.used == pytest.approx(used)


def test_no_room_within_a_budget_is_said_in_its_words() -> None:
    """A budget of 5 serves one of two; the reason names the budget and what is free of it."""
    limits = [{"name": "budget", "measure": "cost_per_hour", "at_most": 5.0}]
    fleet = from_data(places(limits=limits))
    plan = fo.optimize(fleet)
    assert len(plan.allocations) == 1
    (left,) = plan.unserved
    assert left.reason == "capacity"
    assert "needs 5 USD/h of budget (0 of 5 free)" in left.explanation
    options = explain(plan, build_problem(fleet), left.service).options
    assert any(o.detail == "needs 10 USD/h of budget, there are 5" for o in options)


@pytest.mark.parametrize("place", [{"zone": "us-1"}, {"region": "us"}])
def test_cards_are_limited_by_zone_and_region(place: dict[str, str]) -> None:
    """One card of B in its zone or region: the second service takes A."""
    plan = fo.optimize(from_data(places(capacities=[{"type": "B", "cards": 1, **place}])))
    assert plan.total_cost_per_hour == 15.0
    ((key, value),) = place.items()
    row = next(r for r in plan.resources if getattr(r, key) == value)
    assert row.name == f"B@{key}:{value}"
    assert (row.used, row.capacity, row.free) == (1, 1, 0)


def test_power_is_that_of_the_predicted_utilisation() -> None:
    """A third of the way from idle to full where a third of the batch is busy."""
    data = places(1, limits=[{"measure": "power_kw", "at_most": 10.0}])
    data["services"][0]["load"]["arrival_rate_rps"] = 20.0
    plan = fo.optimize(from_data(data))
    (allocation,) = plan.allocations
    assert allocation.utilization is not None
    assert 0.02 < allocation.utilization < 0.9
    expected = allocation.instances * (0.8 + 0.2 * allocation.utilization)
    assert plan.resources[-1].used == pytest.approx(expected)


def test_a_curve_with_a_middle_point_is_followed() -> None:
    """Idle 100 W, 700 W at 40 %, 1000 W at full: 400 W at 20 %, 850 W at 70 %."""
    from optimizer.fleet.power_curve import power_curve

    data = places()
    data["accelerators"][0]["power"] = {
        "idle_w": 100.0,
        "mid_w": 700.0,
        "mid_utilization": 0.4,
        "full_w": 1000.0,
    }
    curve = power_curve(from_data(data).accelerators[0])
    assert curve is not None
    assert [float(curve.watts(u)) for u in (0.0, 0.2, 0.4, 0.7, 1.0)] == pytest.approx(
        [100.0, 400.0, 700.0, 850.0, 1000.0]
    )


def test_the_catalogues_power_is_taken_at_any_utilisation() -> None:
    """Two cards of a catalogued type draw twice its thermal design power, idle or not."""
    from optimizer.catalog import accelerator

    data = places(1, limits=[{"measure": "power_kw", "at_most": 10.0}])
    data["accelerators"] = [{"name": "A", "catalog": "H100-SXM", "cards": 2, "region": "eu"}]
    data["performance"] = data["performance"][:1]
    data["regions"] = data["regions"][:1]
    watts = accelerator("H100-SXM").tdp_w
    assert watts is not None
    assert fo.optimize(from_data(data)).resources[-1].used == pytest.approx(2 * watts / 1000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"limits": [{"measure": "powr_kw", "at_most": 1}]}, r"limits\[0\].measure"),
        ({"limits": [{"measure": "cards", "at_most": -1}]}, r"limits\[0\].at_most = -1"),
        (
            {"limits": [{"measure": "cards", "at_most": 1, "tenant": "serch"}]},
            r"no service is of this tenant.*did you mean 'search'",
        ),
        (
            {"limits": [{"measure": "cards", "at_most": 1, "region": "asia"}]},
            r"no accelerator is in this region: regions: eu, us",
        ),
        (
            {"limits": [{"measure": "cards", "at_most": 1, "zone": "us-1", "type": "A"}]},
            r"no accelerator with cards of type 'A' is in this zone",
        ),
        (
            {"limits": [{"measure": "cards", "at_most": n} for n in (1, 2)]},
            r"another limit is on this measure of the same services and places: limits\[0\]",
        ),
        (
            {
                "limits": [{"measure": "carbon_kg_per_hour", "at_most": 1}],
                "regions": [{"name": "eu", "carbon_g_per_kwh": 500.0}],
            },
            r"accelerators\[1\].region = 'us': has no carbon intensity.*add \{name: us,",
        ),
        (
            {"regions": [{"name": "moon", "carbon_g_per_kwh": 1.0}]},
            r"no accelerator is in this region",
        ),
        (
            {"regions": [{"name": "eu", "carbon_g_per_kwh": 1.0}] * 2},
            r"another region has this name",
        ),
    ],
)
def test_faults_are_named(change: dict[str, Any], message: str) -> None:
    """Misspelt measures, tenants and places, doubled limits and missing intensities are refused."""
    with pytest.raises(SpecError, match=message):
        from_data(places(**change))


def test_power_must_be_known_where_it_is_limited() -> None:
    """An accelerator without a curve is named, with what to write."""
    data = places(limits=[{"measure": "power_kw", "at_most": 1}])
    del data["accelerators"][1]["power"]
    with pytest.raises(SpecError, match=r"accelerators\[1\].power: is missing.*idle_w"):
        from_data(data)


def test_a_zone_lies_in_one_region() -> None:
    """The same zone in two regions is a slip."""
    data = places()
    data["accelerators"][1]["zone"] = "eu-1"
    with pytest.raises(SpecError, match="this zone is in another region at accelerators"):
        from_data(data)


def test_report_and_document_show_limits_where_there_are_any() -> None:
    """Limits have a table of their own; documents of fleets without them stay as they were."""
    limits = [{"measure": "power_kw", "at_most": 2.0}]
    plan = fo.optimize(from_data(places(limits=limits)))
    console = Console(width=120, record=True, file=None)
    with console.capture() as capture:
        console.print(plan_view(plan))
    text = capture.get()
    assert "limit" in text
    assert "power_kw" in text
    assert "kW" in text
    assert FleetPlan.from_json(plan.to_json()) == plan
    plain = fo.optimize(from_data(two_types()))
    assert '"zone"' not in plain.to_json()
    assert '"tenant"' not in plain.to_json()


@settings(deadline=None, max_examples=8, derandomize=True)
@given(watts=st.integers(2, 16), services=st.integers(1, 3))
def test_more_power_never_costs_more(watts: int, services: int) -> None:
    """From 0.2 kW on, another 0.2 kW only adds choices: more is served, or it costs no more."""
    found = []
    for more in (0, 1):
        limit = {"measure": "power_kw", "at_most": 0.1 * (watts + 2 * more)}
        plan = fo.optimize(from_data(places(services, limits=[limit])))
        assert plan.total_cost_per_hour is not None
        found.append((len(plan.unserved), plan.total_cost_per_hour))
    assert found[1][0] <= found[0][0]
    assert found[1][0] < found[0][0] or found[1][1] <= found[0][1] + 1e-9


@settings(deadline=None, max_examples=6, derandomize=True)
@given(bound=st.floats(21.0, 60.0), factor=st.floats(0.5, 1.0))
def test_a_tighter_objective_never_costs_less(bound: float, factor: float) -> None:
    """With the same load, a smaller TTFT needs as many replicas or more."""
    found = []
    for value in (bound, bound * factor):
        data = places(1)
        targets = [{"metric": "ttft_ms", "bound": value}]
        data["classes"][0]["slos"] = [{"targets": targets}]
        data["services"][0]["load"]["arrival_rate_rps"] = 300.0
        plan = fo.optimize(from_data(data))
        found.append((len(plan.unserved), plan.total_cost_per_hour or 0.0))
    assert found[1] >= (found[0][0], found[0][1] - 1e-9)
