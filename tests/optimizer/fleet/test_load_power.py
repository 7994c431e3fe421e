"""Power of services that split follows the load of their replicas, in limits and objectives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import optimizer as fo
from optimizer.fleet.load_power import upper_lines
from optimizer.fleet.power_curve import PowerCurve
from optimizer.spec import from_data
from solvers import Reason
from tests.optimizer.fleet.test_split import _fleet, _modelled

STRAIGHT = {"idle_w": 200.0, "full_w": 1000.0}
# Above its chord: 900 W at half load already.
BENT = {**STRAIGHT, "mid_utilization": 0.5, "mid_w": 900.0}


def powered(power: dict[str, float], rate: float = 10.0, **options: Any) -> dict[str, Any]:
    """A serves 8 requests/s and draws what is given; B serves 2 and draws 100 to 300 W."""
    data = _fleet(**options)
    data["accelerators"][0] |= {"power": power, "region": "north"}
    data["accelerators"][1] |= {"power": {"idle_w": 100.0, "full_w": 300.0}, "region": "south"}
    data["regions"] = [
        {"name": "north", "carbon_g_per_kwh": 100.0},
        {"name": "south", "carbon_g_per_kwh": 500.0},
    ]
    data["services"][0]["load"]["arrival_rate_rps"] = rate
    return data


def only_a(data: dict[str, Any], at_most: float) -> dict[str, Any]:
    """The same without B, and with a limit on power."""
    data["accelerators"], data["regions"] = data["accelerators"][:1], data["regions"][:1]
    del data["services"][0]["length_buckets"]["measured"][1]
    data["limits"] = [{"measure": "power_kw", "at_most": at_most}]
    return data


@pytest.mark.parametrize(
    ("power", "drawn"),
    [
        # Two A carry 10 / 8 = 1.25 loads: 2 x 0.2 + 1.25 x 0.8.
        (STRAIGHT, 1.4),
        # Each at 62.5 %: 0.9 + 0.1 x 0.125 / 0.5 = 0.925.
        (BENT, 1.85),
    ],
)
def test_a_limit_counts_what_the_load_draws(power: dict[str, float], drawn: float) -> None:
    """Kept at exactly the power at the predicted utilisation, passed a little below."""
    plan = fo.optimize(from_data(only_a(powered(power), drawn + 1e-6)))
    assert [a.replicas for a in plan.allocations] == [2]
    assert plan.power_kw == pytest.approx(drawn)
    short = fo.optimize(from_data(only_a(powered(power), drawn - 1e-3)))
    assert short.unserved
    assert short.termination is Reason.OPTIMAL


@pytest.mark.parametrize(
    ("options", "power", "replicas", "drawn"),
    [
        # A full and B full: 1.0 + 0.3. Two A: 1.4. Five B: 1.5.
        ({"objective": "power"}, STRAIGHT, {"A": 1, "B": 1}, 1.3),
        # Carbon counts A's kW 0.1 and B's 0.5: two A 0.14, A and B 0.1 + 0.15.
        ({"objective": "carbon"}, STRAIGHT, {"A": 2}, 1.4),
        # Cost 6.5 with 1.3 kW, 10 with 1.4 kW, and 7.5 with 1.5 kW.
        ({"objective": "weighted", "weights": {"power": 9.0}}, STRAIGHT, {"A": 1, "B": 1}, 1.3),
    ],
)
def test_objectives_count_what_the_load_draws(
    options: dict[str, Any], power: dict[str, float], replicas: dict[str, int], drawn: float
) -> None:
    """The least by hand, and the plan's own figure is what was minimised."""
    plan = fo.optimize(from_data(powered(power, **options)))
    assert {a.accelerator: a.replicas for a in plan.allocations} == replicas
    assert plan.power_kw == pytest.approx(drawn)
    if options["objective"] == "power":
        assert plan.primal_bound == pytest.approx(drawn)
    if options["objective"] == "carbon":
        assert plan.primal_bound == pytest.approx(plan.carbon_kg_per_hour)


def test_after_cost_power_shares_the_load() -> None:
    """At equal cost the second stage moves load to where it draws less.

    4 requests/s on one A at 3, or on two full B at 1.5: A draws 0.1 + 4 / 8 x 0.5 = 0.35, B 0.6.
    """
    stages = [{"minimise": "cost"}, {"minimise": "power"}]
    data = powered(
        {"idle_w": 100.0, "full_w": 600.0}, 4.0, objective="lexicographic", stages=stages
    )
    data["accelerators"][0]["cost_per_hour"] = 3.0
    plan = fo.optimize(from_data(data))
    assert {a.accelerator: a.replicas for a in plan.allocations} == {"A": 1}
    assert plan.objective_stages[1].value == pytest.approx(0.35)
    assert plan.objective_stages[1].proven


def test_modelled_power_is_no_more_than_was_counted() -> None:
    """With a queue model's utilisation a limit in between is kept, below full power, proven."""
    data = _modelled()
    for machine in data["accelerators"]:
        machine["power"] = BENT
    data["limits"] = [{"measure": "power_kw", "at_most": 1e3}]
    free = fo.optimize(from_data(data | {"optimizer": {"objective": "power"}}))
    assert free.termination is Reason.OPTIMAL
    assert free.power_kw is not None
    # What was minimised bounds the plan's figure from above, and closely.
    assert free.power_kw <= (free.primal_bound or 0.0) * (1 + 1e-6)
    assert free.power_kw >= (free.primal_bound or 0.0) * 0.97
    instances = sum(a.replicas for a in free.allocations)
    assert free.power_kw < instances * 1.0
    data["limits"] = [{"measure": "power_kw", "at_most": (free.primal_bound or 0.0) + 1e-6}]
    limited = fo.optimize(from_data(data))
    assert not limited.unserved
    assert (limited.power_kw or 0.0) <= data["limits"][0]["at_most"]


@pytest.mark.parametrize(("power", "spares"), [(STRAIGHT, 0), (BENT, 0), (STRAIGHT, 1)])
def test_a_tighter_objective_never_costs_less(power: dict[str, float], spares: int) -> None:
    """Power is priced by the load, not by the part of the limit of the objective that it takes."""
    data = _modelled(spares=spares)
    for machine in data["accelerators"]:
        machine["power"] = power
    data["optimizer"] = {"objective": "weighted", "weights": {"cost": 1.0, "power": 20.0}}
    found = []
    for bound in (40.0, 14.0, 11.0):
        data["classes"][0]["slos"][0]["targets"][1]["bound"] = bound
        plan = fo.optimize(from_data(data), unserved="forbidden")
        assert plan.primal_bound is not None
        found.append(plan.primal_bound)
    assert found == pytest.approx(sorted(found), rel=1e-9)
    assert found[0] < found[-1]


# Next to nothing up to a fifth of the load.
STEEP = {"idle_w": 1.0, "full_w": 2000.0, "mid_utilization": 0.2, "mid_w": 2.0}


@pytest.mark.parametrize("price", [1.0, 100.0, 10000.0])
def test_a_tighter_objective_never_costs_less_where_power_bends_upwards(price: float) -> None:
    """More replicas than the load needs draw less together: how many is decided at any bound."""
    found = []
    for bound in (40.0, 14.0, 11.5, 11.0):
        data = _modelled(spares=0)
        for machine in data["accelerators"]:
            machine["power"] = STEEP
        data["services"][0]["max_different"] = 1
        data["optimizer"] = {"objective": "weighted", "weights": {"cost": 1.0, "power": price}}
        data["classes"][0]["slos"][0]["targets"][1]["bound"] = bound
        plan = fo.optimize(from_data(data), unserved="forbidden")
        assert plan.primal_bound is not None
        found.append(plan.primal_bound)
    assert found == pytest.approx(sorted(found), rel=1e-6)


@pytest.mark.parametrize(("price", "replicas"), [(1.0, 1), (6.0, 1), (7.0, 3)])
def test_more_replicas_than_needed_where_power_is_dear(price: float, replicas: int) -> None:
    """8 requests/s fill one A at 5, which draws 0.1 kW at a third of its load and 1.9 kW full.

    Two half full draw 2 x 0.55, three a third full 3 x 0.1. With p the price of a kW that is
    5 + 1.9 p, 10 + 1.1 p, 15 + 0.3 p: one up to p = 6.25, then three.
    """
    curve = {"idle_w": 0.0, "mid_utilization": 1.0 / 3.0, "mid_w": 100.0, "full_w": 1900.0}
    weights = {"cost": 1.0, "power": price}
    data = only_a(powered(curve, 8.0, objective="weighted", weights=weights), 100.0)
    plan = fo.optimize(from_data(data))
    (only,) = plan.allocations
    assert only.replicas == replicas


def test_services_that_choose_are_told_of_replicas_that_would_draw_less() -> None:
    """The plan says what decides their number; a straight curve says nothing."""
    for curve, said in ((STEEP, True), (STRAIGHT, False)):
        data = _modelled(spares=0)
        for machine in data["accelerators"]:
            machine["power"] = curve
        data["services"][0]["allocation"] = "choose"
        data["optimizer"] = {"objective": "weighted", "weights": {"cost": 1.0, "power": 5.0}}
        notes = fo.optimize(from_data(data)).notes
        assert any("allocation: split with max_different: 1" in note for note in notes) is said


def test_chords_of_a_power_that_bends_upwards_by_hand() -> None:
    """x^2 at 5 points, from 0 to 100 W: chords through 0, 1/2 and 1, then 1/4 and 3/4.

    They lie at most 1/64 above it between the points, which are on them.
    """
    curve = PowerCurve((0.0, 1.0), (0.0, 100.0))
    loads = np.linspace(0.0, 1.0, 17)
    lines = upper_lines(curve, loads, loads**2)
    assert lines.greatest
    assert [line.slope for line in lines.lines] == pytest.approx([25.0, 75.0, 125.0, 175.0])
    assert lines.at(np.array([0.0, 0.25, 0.5, 1.0])) == pytest.approx([0.0, 6.25, 25.0, 100.0])
    assert len(upper_lines(curve, loads, loads**2, reach=0.5).lines) == 2
    assert len(upper_lines(curve, loads, loads, reach=0.5).lines) == 1


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    st.floats(0.05, 0.95),
    st.tuples(*[st.floats(0.0, 1000.0)] * 3),
    st.floats(0.3, 3.0),
    st.floats(0.1, 1.0),
)
def test_lines_are_never_below_the_power(
    mid: float, watts: tuple[float, float, float], exponent: float, full: float
) -> None:
    """For any curve, and utilisations that bend either way, the lines are above at every load."""
    idle, middle, most = sorted(watts)
    curve = PowerCurve((0.0, mid, 1.0), (idle, middle, most))
    loads = np.linspace(0.0, 1.0, 17)
    lines = upper_lines(curve, loads, full * loads**exponent)
    fine = np.linspace(0.0, 1.0, 161)
    power = curve.watts(full * fine**exponent)
    assert (lines.at(fine) >= power - 3e-5 * max(most, 1.0)).all()
    # What no load will reach is left out, and nothing else changes.
    near = upper_lines(curve, loads, full * loads**exponent, reach=0.4)
    assert near.at(fine[:65]) == pytest.approx(lines.at(fine[:65]), rel=1e-9)
    assert len(near.lines) <= len(lines.lines)
