"""What is minimised: cost, power, carbon, sums and sequences of them; and the cost of change."""

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
from tests.optimizer.fleet.test_resources import on, places


def three() -> dict[str, Any]:
    """One idle service of one replica; A, B, C at 10, 5, 6 per hour and 0.2, 0.8, 0.5 kW.

    A and C in eu (500 g/kWh), B in us (50 g/kWh): 0.1, 0.04 and 0.25 kg CO2e per hour.
    """
    data = places(1)
    data["accelerators"].append(
        {
            "name": "C",
            "cost_per_hour": 6.0,
            "zone": "eu-1",
            "region": "eu",
            "power": {"idle_w": 500.0, "full_w": 900.0},
        }
    )
    data["performance"].append({**data["performance"][0], "accelerator": "C"})
    return data


@pytest.mark.parametrize(
    ("options", "best"),
    [
        ({"objective": "cost"}, "B"),
        ({"objective": "power"}, "A"),
        ({"objective": "carbon"}, "B"),
        # 10 + 0.2 p, 5 + 0.8 p, 6 + 0.5 p: C is best from p = 10/3 to 40/3.
        ({"objective": "weighted", "weights": {"power": 3.0}}, "B"),
        ({"objective": "weighted", "weights": {"power": 4.0}}, "C"),
        ({"objective": "weighted", "weights": {"power": 14.0}}, "A"),
        # 0.1, 0.04, 0.25: without money B; with a price of 90 per kg A 19, B 8.6, C 28.5.
        ({"objective": "weighted", "weights": {"cost": 0.0, "carbon": 1.0}}, "B"),
        # Least cost 5; within 20 % of it (6) least power is C.
        (
            {
                "objective": "lexicographic",
                "stages": [{"minimise": "cost", "tolerance": 0.2}, {"minimise": "power"}],
            },
            "C",
        ),
        (
            {
                "objective": "lexicographic",
                "stages": [{"minimise": "cost", "tolerance": 0.19}, {"minimise": "power"}],
            },
            "B",
        ),
        # Least power 0.2; within 150 % (0.5) least cost is C.
        (
            {
                "objective": "lexicographic",
                "stages": [{"minimise": "power", "tolerance": 1.5}, {"minimise": "cost"}],
            },
            "C",
        ),
    ],
)
def test_each_objective_has_its_own_best(options: dict[str, Any], best: str) -> None:
    """One service, three accelerators; the arithmetic stands beside each case."""
    data = three() | {"optimizer": options}
    plan = fo.optimize(from_data(data))
    assert plan.termination is Reason.OPTIMAL
    assert on(plan) == {"s0": best}
    if options["objective"] != "cost":
        assert plan.power_kw == {"A": 0.2, "B": 0.8, "C": 0.5}[best] or "carbon" in str(options)


def test_a_sequence_says_what_each_stage_reached() -> None:
    """Cost 5 first, kept within 20 %; then power 0.5; each with its proof, in document and text."""
    stages = [{"minimise": "cost", "tolerance": 0.2}, {"minimise": "power"}]
    data = three() | {"optimizer": {"objective": "lexicographic", "stages": stages}}
    plan = fo.optimize(from_data(data))
    assert [(s.minimise, s.value, s.proven) for s in plan.objective_stages] == [
        ("cost", 5.0, True),
        ("power", 0.5, True),
    ]
    assert plan.total_cost_per_hour == 6.0
    assert FleetPlan.from_json(plan.to_json()) == plan
    console = Console(width=120)
    with console.capture() as capture:
        console.print(plan_view(plan))
    text = capture.get()
    assert "cost, then power proven optimal" in text
    assert "stage 1: cost 5, proven least; 20.00% of it might be given up" in text
    assert "power 0.5 kW" in text


def test_a_sequence_keeps_the_served_services() -> None:
    """Priorities come first: B's one card serves gold though A, for both, would need less power."""
    data = three() | {
        "capacities": [{"type": c, "cards": n} for c, n in (("A", 0), ("B", 1), ("C", 0))]
    }
    data["services"] = [service("low", **{"class": "silver"}), service("high")]
    stages = [{"minimise": "power"}, {"minimise": "cost"}]
    data["optimizer"] = {"objective": "lexicographic", "stages": stages}
    plan = fo.optimize(from_data(data))
    assert on(plan) == {"high": "B"}
    assert [u.service for u in plan.unserved] == ["low"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "lexicographic"}, r"optimizer.stages: is missing"),
        ({"objective": "weighted"}, r"optimizer.weights: is missing"),
        ({"weights": {"power": 1.0}}, r"optimizer.weights.*is not used by this objective"),
        ({"stages": [{"minimise": "cost"}]}, r"optimizer.stages.*is not used by this objective"),
        (
            {"objective": "lexicographic", "stages": [{"minimise": "cost"}] * 2},
            r"stages\[1\].minimise = 'cost': is minimised already: optimizer.stages\[0\]",
        ),
        (
            {"objective": "lexicographic", "stages": [{"minimise": "cots"}]},
            r"stages\[0\].minimise = 'cots': must be one of .*did you mean 'cost'",
        ),
        (
            {"objective": "power", "priorities": "weighted", "unserved_penalty_per_hour": 1.0},
            r"optimizer.objective = 'power': cannot be weighed against penalties",
        ),
        ({"transition": {"horizon_h": 0}}, r"transition.horizon_h = 0: must be greater than 0"),
        (
            {"transition": {"most_moved": 1}, "saturation_policy": "round-robin"},
            r"transition.most_moved = 1: cannot be kept where leftovers are given out",
        ),
    ],
)
def test_objectives_that_contradict_are_refused(options: dict[str, Any], message: str) -> None:
    """Missing and unused parts, repeated stages, penalties in another unit: each is named."""
    with pytest.raises(SpecError, match=message):
        from_data(three() | {"optimizer": options})


def test_power_must_be_known_to_be_minimised() -> None:
    """In the document and as an option of the call."""
    data = three()
    del data["accelerators"][2]["power"]
    with pytest.raises(SpecError, match=r"accelerators\[2\].power: is missing"):
        fo.optimize(from_data(data), objective="power")


def moving(**transition: Any) -> dict[str, Any]:
    """Two services of two replicas each on A (10 per hour) today; B costs 5."""
    data = two_types()
    data["capacities"] = []
    data["services"] = [
        service(name, replicas={"min": 2}, current={"accelerator": "A", "replicas": 2})
        for name in ("x", "y")
    ]
    data["optimizer"] = {"transition": transition}
    return data


@pytest.mark.parametrize(
    ("transition", "cost", "moved"),
    [
        # Moving a service saves 10 per hour. For one hour, 9 is worth it and 11 is not.
        ({"cost_per_move": 9.0, "horizon_h": 1.0}, 20.0, 2),
        ({"cost_per_move": 11.0, "horizon_h": 1.0}, 40.0, 0),
        ({"cost_per_move": 11.0, "horizon_h": 2.0}, 20.0, 2),
        # Two starts and two stops: 2 x 3 + 2 x 1.5 = 9, or 2 x 3 + 2 x 2.5 = 11.
        ({"cost_per_start": 3.0, "cost_per_stop": 1.5, "horizon_h": 1.0}, 20.0, 2),
        ({"cost_per_start": 3.0, "cost_per_stop": 2.5, "horizon_h": 1.0}, 40.0, 0),
        # Two replicas of B paid for 3240 s (0.9 h): 9; for 3960 s: 11.
        ({"start_up_s": 3240.0, "horizon_h": 1.0}, 20.0, 2),
        ({"start_up_s": 3960.0, "horizon_h": 1.0}, 40.0, 0),
        ({"most_moved": 1}, 30.0, 1),
        ({"most_moved": 0}, 40.0, 0),
        ({"most_started": 3}, 30.0, 1),
        ({"most_stopped": 2}, 30.0, 1),
    ],
)
def test_moves_starts_and_stops_have_a_price_and_a_limit(
    transition: dict[str, Any], cost: float, moved: int
) -> None:
    """Moving both services from A to B saves 20 per hour; see the comments."""
    plan = fo.optimize(from_data(moving(**transition)))
    assert plan.termination is Reason.OPTIMAL
    assert plan.total_cost_per_hour == cost
    change = plan.transition
    assert change is not None
    assert len(change.moved) == moved
    assert (change.started, change.stopped) == (2 * moved, 2 * moved)


def test_the_cost_of_change_is_reported_apart() -> None:
    """Start-up times of entries hold before the general one; nothing of it is in the total."""
    data = moving(cost_per_move=1.0, cost_per_start=0.5, cost_per_stop=0.25, start_up_s=7200.0)
    data["performance"][1]["start_up_s"] = 360.0
    plan = fo.optimize(from_data(data))
    change = plan.transition
    assert change is not None
    assert plan.total_cost_per_hour == 20.0
    assert change.moved == ("x", "y")
    # Per service 1 + 2 x (0.5 + 5 x 0.1) + 2 x 0.25 = 3.5.
    assert change.cost == pytest.approx(7.0)
    assert change.cost_per_hour == pytest.approx(7.0 / 24)
    assert change.ready_after_s == 360.0
    assert plan.primal_bound == pytest.approx(20.0 + 7.0 / 24)
    console = Console(width=120)
    with console.capture() as capture:
        console.print(plan_view(plan))
    assert "transition: 2 moved (x, y), 4 replicas started, 4 stopped; 7.00 USD once" in (
        capture.get()
    )


def test_leaving_a_service_unserved_stops_its_replicas() -> None:
    """One card of A is left and B is gone: x of two replicas must stop, which a limit forbids."""
    data = moving(most_stopped=1)
    data["capacities"] = [{"type": "A", "cards": 3}, {"type": "B", "cards": 0}]
    stuck = fo.optimize(from_data(data))
    assert stuck.termination is Reason.INFEASIBLE
    assert "no plan is within reach of today's by most_stopped: 1" in stuck.detail
    data["optimizer"]["transition"] = {"most_stopped": 2}
    plan = fo.optimize(from_data(data))
    assert len(plan.unserved) == 1
    assert plan.transition is not None
    assert plan.transition.stopped == 2
    assert plan.transition.moved == ()


def test_another_batch_restarts_but_does_not_move() -> None:
    """Today's batch is 16, the entry's 32: on A two starts and two stops, no move."""
    data = moving(most_moved=0)
    for entry in data["services"]:
        entry["current"]["max_batch"] = 16
    plan = fo.optimize(from_data(data))
    assert plan.transition is not None
    assert (plan.transition.moved, plan.transition.started) == ((), 4)
    for entry in data["services"]:
        entry["current"]["max_batch"] = 32
    plan = fo.optimize(from_data(data))
    assert plan.transition is not None
    assert plan.transition.started == 0


def test_several_allocations_may_run_today() -> None:
    """One replica on each of A and B: two on B move nothing, start one and stop one."""
    data = moving(cost_per_start=1.0)
    data["services"][0]["current"] = [
        {"accelerator": "A", "replicas": 1},
        {"accelerator": "B", "replicas": 1},
    ]
    plan = fo.optimize(from_data(data))
    assert plan.transition is not None
    assert plan.transition.moved == ("y",)
    assert (plan.transition.started, plan.transition.stopped) == (3, 3)


@pytest.mark.parametrize(
    ("current", "message"),
    [
        ({"accelerator": "C"}, r"services\[0\].current.accelerator = 'C': there is no such"),
        ([{"accelerator": "C"}], r"services\[0\].current\[0\].accelerator = 'C'"),
        ([{"acelerator": "A"}], r"services\[0\].current\[0\].acelerator: unknown key"),
        ({"acelerator": "A"}, r"services\[0\].current.acelerator: unknown key"),
        ([{"replicas": 2}], r"services\[0\].current\[0\].accelerator: is missing"),
        ([{"accelerator": "A"}] * 2, "is for this accelerator, maximum batch and role"),
        (5, r"services\[0\].current = 5: must be a"),
    ],
)
def test_what_runs_today_is_checked(current: object, message: str) -> None:
    """One allocation or a list of them, each with its faults named at its place."""
    data = moving()
    data["services"][0]["current"] = current
    with pytest.raises(SpecError, match=message):
        from_data(data)


def test_inferno_value_knows_one_allocation() -> None:
    """Several of today's are refused under its objective."""
    data = moving()
    data["services"][0]["current"] = [{"accelerator": "A"}, {"accelerator": "B"}]
    data["optimizer"] = {"objective": "inferno-value"}
    with pytest.raises(SpecError, match="knows one per service"):
        from_data(data)


@settings(deadline=None, max_examples=12, derandomize=True)
@given(
    today=st.lists(st.tuples(st.sampled_from("AB"), st.integers(1, 3)), min_size=3, max_size=3),
    least=st.lists(st.integers(1, 3), min_size=3, max_size=3),
    cards=st.integers(0, 6),
    most=st.tuples(st.integers(0, 3), st.integers(0, 6), st.integers(0, 6)),
)
def test_a_plan_differs_from_today_by_no_more_than_it_may(
    today: list[tuple[str, int]],
    least: list[int],
    cards: int,
    most: tuple[int, int, int],
) -> None:
    """The limits hold in the plan's own count, and lifting them never costs more or serves less."""
    data = two_types()
    data["capacities"] = [{"type": "A", "cards": 9}, {"type": "B", "cards": cards}]
    data["services"] = [
        service(f"s{i}", replicas={"min": n}, current={"accelerator": place, "replicas": count})
        for i, ((place, count), n) in enumerate(zip(today, least, strict=True))
    ]
    limits = dict(zip(("most_moved", "most_started", "most_stopped"), most, strict=True))
    data["optimizer"] = {"transition": limits}
    plan = fo.optimize(from_data(data))
    free = fo.optimize(from_data(data), transition={})
    if not plan.found:
        assert plan.termination is Reason.INFEASIBLE
        return
    change = plan.transition
    assert change is not None
    assert len(change.moved) <= most[0]
    assert change.started <= most[1]
    assert change.stopped <= most[2]
    assert len(plan.unserved) >= len(free.unserved)
    if len(plan.unserved) == len(free.unserved):
        assert plan.total_cost_per_hour is not None
        assert free.total_cost_per_hour is not None
        assert plan.total_cost_per_hour >= free.total_cost_per_hour - 1e-9


def test_spares_are_added_and_carry_nothing_in_the_figures() -> None:
    """N + 2: two more replicas of the cheaper type; latencies are those of the N alone."""
    data = two_types()
    data["classes"][0]["slos"] = [{"targets": [{"metric": "ttft_ms", "bound": 60.0}]}]
    data["services"] = [service("x"), service("y", spares=2)]
    for entry in data["services"]:
        entry["load"]["arrival_rate_rps"] = 400.0
    plan = fo.optimize(from_data(data))
    plain, spared = plan.allocations
    assert spared.accelerator == plain.accelerator == "B"
    assert spared.replicas == plain.replicas + 2
    assert spared.ttft_ms == plain.ttft_ms
    assert spared.max_rate_rps == plain.max_rate_rps
    assert spared.slo_met
    data["services"][1]["replicas"] = {"min": 1, "max": plain.replicas + 1}
    left = fo.optimize(from_data(data)).unserved
    assert [u.service for u in left] == ["y"]


def test_spares_of_a_service_that_splits_are_kept_on_every_accelerator() -> None:
    """10 requests/s, A 8 at 5, B 2 at 1.5; one spare each: 2 A + 2 B = 13, 3 A = 15, 6 B = 9."""
    from tests.optimizer.fleet.test_split import _fleet

    data = _fleet()
    data["services"][0]["spares"] = 1
    plan = fo.optimize(from_data(data))
    assert [(a.accelerator, a.replicas) for a in plan.allocations] == [("B", 6)]
    assert plan.total_cost_per_hour == 9.0
    assert plan.allocations[0].max_rate_rps == pytest.approx(10.0)
