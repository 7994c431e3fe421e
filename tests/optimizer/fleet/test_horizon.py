"""Horizons: starts, delays, moves and commitments worked out by hand, and what never costs less."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import optimizer as fo
from optimizer.errors import PlanError, SpecError
from optimizer.fleet import HorizonPlan, plan_horizon, with_loads_table
from optimizer.spec import FleetSpec, from_data
from optimizer.spec.source_text import SourceText
from tests.optimizer.fleet.fleets import service, two_types

DAY = (1.0, 3.0, 1.0, 2.0)


def ahead(factors: tuple[float, ...] = DAY, cards: int = 100, **horizon: Any) -> FleetSpec:
    """Two services on A (10 per hour) or B (5 per hour, so many cards) over periods of an hour.

    A replica serves 9.09 requests/s, so a factor of 1 needs one replica of each service, 2 two.
    """
    load = {"arrival_rate_rps": 9.0, "input_tokens": 100, "output_tokens": 11}
    data = two_types()
    data["capacities"] = [{"type": "B", "cards": cards}]
    data["services"] = [service(name, load=load, max_batch=1) for name in ("x", "y")]
    data["horizon"] = {"periods": [{"factor": factor} for factor in factors], **horizon}
    return from_data(data)


@pytest.mark.parametrize(
    ("said", "cost", "serving"),
    [
        # 2, 6, 2, 4 replicas at 5.
        ({}, 70.0, [2, 6, 2, 4]),
        # Starting one costs more than keeping it: all 6 are there at first, 4 stay for the end.
        ({"start_cost": 7}, 100.0, [6, 6, 4, 4]),
        # 4 starts at 3 (keeping them for an hour costs 5); 2 stops; 2 + 6 + 4 + 4 hours.
        ({"start_cost": 3, "stop_cost": 3}, 80.0 + 12.0 + 6.0, [2, 6, 4, 4]),
        # What serves in an hour is paid an hour earlier: nothing is gained by starting late.
        ({"start_delay_periods": 1}, 100.0, None),
        # What is started for the peak serves to the end; no more than 4 are needed then, so 2 of
        # the first ones stop.
        ({"min_up_periods": 3}, 80.0, [2, 6, 4, 4]),
        # Two are busy all day: 3 in place of 5. A third would be used in two hours of four.
        ({"commitments": [{"accelerator": "B", "cost_per_hour": 3}]}, 54.0, [2, 6, 2, 4]),
        ({"period_hours": 2}, 140.0, [2, 6, 2, 4]),
    ],
)
def test_each_cost_of_time_by_hand(
    said: dict[str, Any], cost: float, serving: list[int] | None
) -> None:
    """Four periods that need 2, 6, 2 and 4 replicas; see the comments."""
    plan = plan_horizon(ahead(**said))
    assert plan.termination == "optimal"
    assert plan.total_cost == pytest.approx(cost)
    assert plan.primal_bound == pytest.approx(cost)
    if serving is not None:
        assert [sum(a.serving for a in p.allocations) for p in plan.periods] == serving
    keeps_its_rules(ahead(**said), plan)


def test_a_move_is_worth_its_cost_or_not() -> None:
    """Five cards of B and a need of 2, 6, 2: in the peak one service goes to A, 3 x 10 for 3 x 5.

    By hand with free moves: 10 + (15 + 30) + 10 = 65. There and back are two moves; on A all
    the time costs 10 instead of 5 in each of the quiet hours, 10 in all: a move may cost up to 5.
    """
    factors = (1.0, 3.0, 1.0)
    free = plan_horizon(ahead(factors, cards=5))
    assert free.total_cost == pytest.approx(65.0)
    dear = plan_horizon(ahead(factors, cards=5, move_cost=6))
    assert dear.total_cost == pytest.approx(75.0)
    assert not any(p.moved for p in dear.periods)
    cheap = plan_horizon(ahead(factors, cards=5, move_cost=4))
    assert cheap.total_cost == pytest.approx(73.0)
    assert cheap.cost is not None
    assert cheap.cost.moves == pytest.approx(8.0)


def keeps_its_rules(spec: FleetSpec, plan: HorizonPlan) -> None:
    """Recount the plan's words: loads, starts and stops, delays, minimum up times, cards, money."""
    horizon = spec.horizon
    assert horizon is not None
    cards = {capacity.type: capacity.cards for capacity in spec.capacities}
    counts: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
    money = 0.0
    price = {a.name: a.cost_per_hour or 0.0 for a in spec.accelerators}
    committed = {c.accelerator: c for c in plan.commitments}
    keys = {(a.service, a.accelerator) for p in plan.periods for a in p.allocations}
    for period in plan.periods:
        used: dict[str, int] = {}
        here = {(a.service, a.accelerator): a for a in period.allocations}
        for name, rate in period.rates_rps.items():
            if name not in period.unserved:
                (carrier,) = [a for a in period.allocations if a.carries and a.service == name]
                assert carrier.serving * 9.0909091 >= rate * (1 - 1e-6)
        for key in keys:
            a = here.get(key)
            row = (0, 0, 0) if a is None else (a.serving, a.started, a.stopped)
            counts.setdefault(key, []).append(row)
            if a is not None:
                used[a.accelerator] = used.get(a.accelerator, 0) + a.instances
                money += a.started * horizon.start_cost + a.stopped * horizon.stop_cost
        for name, number in used.items():
            assert number <= cards.get(name, number)
            bought = committed[name].instances if name in committed else 0
            money += max(number - bought, 0) * price[name] * horizon.period_hours
        money += sum(c.instances * c.cost_per_hour for c in plan.commitments) * horizon.period_hours
        money += len(period.moved) * horizon.move_cost
    assert plan.total_cost == pytest.approx(money)
    delay, up = horizon.start_delay_periods, horizon.min_up_periods
    for rows in counts.values():
        for t in range(1, len(rows)):
            ready = rows[t - delay][1] if t >= delay else 0
            assert rows[t][0] == rows[t - 1][0] + ready - rows[t][2]
            recent = range(max(t - delay - up + 1, 0), t - delay + 1)
            assert rows[t][0] >= sum(rows[u][1] for u in recent)


SWITCHING = st.fixed_dictionaries(
    {
        "start_cost": st.sampled_from([0.0, 1.0, 4.0]),
        "stop_cost": st.sampled_from([0.0, 2.0]),
        "move_cost": st.sampled_from([0.0, 3.0]),
        "start_delay_periods": st.integers(0, 2),
        "min_up_periods": st.integers(1, 3),
    }
)
FACTORS = st.lists(st.floats(0.2, 4.0), min_size=3, max_size=5)


@settings(deadline=None, max_examples=6, derandomize=True)
@given(FACTORS, SWITCHING, st.integers(4, 9))
def test_switching_for_free_never_costs_more(
    factors: list[float], switching: dict[str, Any], cards: int
) -> None:
    """Without costs, delays and minimum up times nothing is dearer; the words keep every rule."""
    paid = plan_horizon(ahead(tuple(factors), cards, **switching))
    free = plan_horizon(ahead(tuple(factors), cards))
    assert (free.total_cost or 0) <= (paid.total_cost or 0) + 1e-6
    keeps_its_rules(ahead(tuple(factors), cards, **switching), paid)
    bought = {**switching, "commitments": [{"accelerator": "B", "cost_per_hour": 4}]}
    committed = plan_horizon(ahead(tuple(factors), cards, **bought))
    assert (committed.total_cost or 0) <= (paid.total_cost or 0) + 1e-6
    keeps_its_rules(ahead(tuple(factors), cards, **bought), committed)


@settings(deadline=None, max_examples=4, derandomize=True)
@given(st.floats(0.2, 4.0), SWITCHING, st.integers(3, 9))
def test_a_flat_forecast_is_the_plan_of_one_period_again_and_again(
    factor: float, switching: dict[str, Any], cards: int
) -> None:
    """Nothing is started, stopped or moved, whatever that costs."""
    spec = ahead((factor,) * 4, cards, **switching)
    plan = plan_horizon(spec)
    services = tuple(
        s.model_copy(update={"load": s.load.model_copy(update={"arrival_rate_rps": 9.0 * factor})})
        for s in spec.services
    )
    once = fo.optimize(spec.model_copy(update={"services": services}))
    assert plan.total_cost == pytest.approx(4 * (once.total_cost_per_hour or 0))
    assert plan.cost is not None
    assert plan.cost.starts == plan.cost.moves == 0.0


def test_what_cannot_be_served_is_said() -> None:
    """Of services that may stay unserved the periods are named; otherwise it is infeasible."""
    data = ahead((1.0, 3.0)).model_dump(mode="json", by_alias=True)
    data["services"][0]["replicas"] = {"min": 1, "max": 2}
    plan = plan_horizon(from_data(data))
    assert [p.unserved for p in plan.periods] == [(), ("x",)]
    data["optimizer"]["unserved"] = "forbidden"
    forbidden = plan_horizon(from_data(data))
    assert forbidden.termination == "infeasible"
    assert "x" in forbidden.detail
    assert HorizonPlan.model_validate_json(plan.to_json()) == plan


def test_replicas_that_depend_on_their_number_are_refused() -> None:
    """The message names the service and what to set."""
    data = ahead().model_dump(mode="json", by_alias=True)
    data["services"][1]["routing"] = "round_robin"
    with pytest.raises(PlanError, match="'y' has replicas whose capacity depends on their number"):
        plan_horizon(from_data(data))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": {"objective": "power"}}, "over a horizon money is minimised"),
        ({"optimizer": {"serving": "either"}}, "'x' may prefill and decode in different pools"),
    ],
)
def test_what_a_horizon_would_drop_is_refused(changes: dict[str, Any], message: str) -> None:
    """Another objective, and pools of their own, are not silently left out."""
    data = ahead().model_dump(mode="json", by_alias=True)
    data |= {"kv_transfer": {"bandwidth_gb_s": 10}}
    data["models"][0]["kv_bytes_per_token"] = 1e5
    for accelerator in data["accelerators"]:
        accelerator["power"] = {"idle_w": 100, "full_w": 300}
    data["optimizer"].pop("transition")
    data["optimizer"] |= changes["optimizer"]
    with pytest.raises(PlanError, match=message):
        plan_horizon(from_data(data))


def test_uncertain_loads_are_not_forgotten() -> None:
    """A fleet with both is refused, not planned for one of them."""
    data = ahead().model_dump(mode="json", by_alias=True)
    data["uncertainty"] = {"scenarios": [{"name": "busy", "factor": 2}]}
    with pytest.raises(PlanError, match="not planned together"):
        plan_horizon(from_data(data))


def test_a_table_of_loads_takes_the_place_of_periods() -> None:
    """Columns by service, a line per period; what is not named keeps its rate."""
    spec = with_loads_table(ahead((1.0,)), SourceText("loads.csv", "period,x\nnight,9\nday,27\n"))
    plan = plan_horizon(spec)
    assert [p.name for p in plan.periods] == ["night", "day"]
    assert plan.periods[1].rates_rps == {"x": 27.0, "y": 9.0}
    assert plan.total_cost == pytest.approx(5.0 * (2 + 4))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "`period` first"),
        ("time,x\n1,2\n", "`period` first"),
        ("period,z\na,1\n", "no such service"),
        ("period,x\n", "has no periods"),
        ("period,x\na,-1\n", "at least 0"),
        ("period,x\na,nan\n", "at least 0"),
        ("period,x\na,1,2\n", "has 3 columns, 2 are wanted"),
        ("period,x\na,1\na,2\n", "another period is named 'a'"),
    ],
)
def test_faults_of_a_table_are_named(text: str, message: str) -> None:
    """Each with its line."""
    with pytest.raises(SpecError, match=message):
        with_loads_table(ahead(), SourceText("loads.csv", text))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"min_up_periods": 0}, "min_up_periods"),
        ({"start_cost": -1}, "start_cost"),
        ({"commitments": [{"accelerator": "C", "cost_per_hour": 1}]}, "no such accelerator"),
        ({"commitments": [{"accelerator": "B", "cost_per_hour": 6}]}, "more than on demand"),
        ({"periods": [{"rates_rps": {"z": 1}}]}, "no such service"),
        ({"periods": [{"name": "a"}, {"name": "a"}]}, "another period has this name"),
    ],
)
def test_faults_of_a_horizon_are_named(said: dict[str, Any], message: str) -> None:
    """With their place in the file."""
    with pytest.raises(SpecError, match=message):
        ahead(**said)
