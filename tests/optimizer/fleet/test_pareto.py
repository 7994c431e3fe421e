"""Pareto fronts: every point is one that enumeration finds, and none is missing."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from optimizer.errors import ModelError
from optimizer.fleet import ParetoMeasure, build_candidates, optimize, pareto_front
from optimizer.spec import FleetSpec, from_data
from tests.optimizer.fleet.fleets import CONSTANT, fleet, service, splitting_two_types


def slower(factor: float) -> dict[str, float]:
    return {name: factor * value for name, value in CONSTANT.items()}


def three_types(services: int, **changes: Any) -> FleetSpec:
    """Services of one replica each on A (10/h), B (5/h, 2x slower) or C (1/h, 7x slower)."""
    timings = {"A": CONSTANT, "B": slower(2), "C": slower(7)}
    return fleet(
        **{
            "accelerators": [
                {"name": name, "cost_per_hour": cost, "power": {"idle_w": watts, "full_w": watts}}
                for name, cost, watts in (("A", 10.0, 400), ("B", 5.0, 700), ("C", 1.0, 900))
            ],
            "capacities": [{"type": "A", "cards": 2}],
            "performance": [
                {"model": "m", "accelerator": name, "max_batch": 32, "prefill_decode": timing}
                for name, timing in timings.items()
            ],
            "services": [
                service(
                    f"s{n}",
                    load={"arrival_rate_rps": 1 + n, "input_tokens": 100, "output_tokens": 11},
                    replicas={"min": 1, "max": 1},
                )
                for n in range(services)
            ],
            **changes,
        }
    )


def enumerated(spec: FleetSpec, values: np.ndarray) -> list[tuple[float, float]]:
    """Every plan of a small fleet in which everyone is served, less those that are dominated."""
    table = build_candidates(spec)
    rows = [[r for r in table.rows_of(s) if r in table.possible] for s in range(len(spec.services))]
    room = next(c.cards for c in spec.capacities if c.type == "A")
    points = []
    for chosen in product(*rows):
        if sum(table.inventory.names[table.accelerator[r]] == "A" for r in chosen) <= room:
            points.append((sum(table.cost_per_hour[list(chosen)]), sum(values[list(chosen)])))
    points.sort()
    front: list[tuple[float, float]] = []
    for cost, value in points:
        if not front or value < front[-1][1] - 1e-9:
            front.append((float(cost), float(value)))
    return front


def found(spec: FleetSpec, measure: ParetoMeasure, points: int = 50) -> list[tuple[float, float]]:
    front = pareto_front(spec, measure, points)
    assert all(point.proven for point in front.points)
    return [(point.cost_per_hour, point.value) for point in front.points]


@pytest.mark.parametrize("metric", ["ttft_ms", "e2e_ms"])
def test_a_complete_front_is_the_enumerated_one(metric: str) -> None:
    """Four services, three types, two cards of the fastest: 81 plans."""
    spec = three_types(4)
    table = build_candidates(spec)
    shares = table.targets.rate_rps / table.targets.rate_rps.sum()
    values = getattr(table.metrics, metric) * shares[table.service]
    wanted = enumerated(spec, values)
    assert found(spec, ParetoMeasure(metric)) == [pytest.approx(point) for point in wanted]
    assert pareto_front(spec, ParetoMeasure(metric), 50).complete
    assert len(wanted) > 5


def test_some_of_many_points_are_points_of_the_whole_front() -> None:
    """Five of them: both ends, proven, spread, none dominated, and said not to be all."""
    spec = three_types(4)
    everything = found(spec, ParetoMeasure.E2E_MS)
    some = pareto_front(spec, ParetoMeasure.E2E_MS, 5)
    points = [(point.cost_per_hour, point.value) for point in some.points]
    assert not some.complete
    assert 3 <= len(points) <= 5
    for point in points:
        assert any(point == pytest.approx(one) for one in everything)
    assert (points[0], points[-1]) == (
        pytest.approx(everything[0]),
        pytest.approx(everything[-1]),
    )


def test_power_by_hand() -> None:
    """Two services: C and C at 2/h take 1.8 kW; swapping one for A costs 9 and saves 0.5 kW.

    B at 5/h saves 0.2 kW for 4 more: C+C, C+B, C+A, B+A, A+A (B+B costs 10 for 1.4, C+A 11 for
    1.3): 2/1.8, 6/1.6, 10/1.4, 11/1.3, 15/1.1, 20/0.8.
    """
    points = found(three_types(2), ParetoMeasure.POWER_KW)
    wanted = [(2, 1.8), (6, 1.6), (10, 1.4), (11, 1.3), (15, 1.1), (20, 0.8)]
    assert points == [pytest.approx(point) for point in wanted]


def test_moves_by_hand() -> None:
    """Both run on A today; the cheapest plan moves both to C, and staying costs 9 each."""
    spec = three_types(2)
    today = [s.model_copy(update={"current": None}) for s in spec.services]
    deployed = fleet(
        **{
            **spec.model_dump(by_alias=True),
            "services": [
                {**s.model_dump(by_alias=True), "current": {"accelerator": "A", "replicas": 1}}
                for s in today
            ],
        }
    )
    assert found(deployed, ParetoMeasure.MOVES) == [(2, 2), (11, 1), (20, 0)]
    with pytest.raises(ModelError, match="current"):
        pareto_front(spec, ParetoMeasure.MOVES)


def test_unserved_services_stay_as_few_as_can_be() -> None:
    """Room for two of three: no point buys less power by serving fewer."""
    spec = three_types(
        3,
        capacities=[
            {"type": "A", "cards": 1},
            {"type": "B", "cards": 1},
            {"type": "C", "cards": 0},
        ],
    )
    front = pareto_front(spec, ParetoMeasure.POWER_KW)
    assert [len(point.plan.unserved) for point in front.points] == [1]


def splitting(**changes: Any) -> dict[str, Any]:
    """10 requests/s over A (8 requests/s at 5/h, 0.1 to 0.5 kW) and B (2 at 1/h, 0.15 to 0.2)."""
    return splitting_two_types(a_w=(100, 500), b_w=(150, 200), **changes)


def test_fronts_of_services_that_split_by_hand() -> None:
    """5 B cost 5, 1 A + 1 B cost 6; all of them are full, and no plan of as few cards draws less.

    Cards: 5 or 2. Power: 5 x 0.2 = 1 kW, or 0.5 + 0.2 = 0.7 kW, as much as of 2 A at 10 requests/s.
    A move: B runs today; nothing is cheaper than staying there.
    """
    spec = from_data(splitting())
    assert found(spec, ParetoMeasure.CARDS) == [pytest.approx((5, 5)), pytest.approx((6, 2))]
    assert found(spec, ParetoMeasure.POWER_KW) == [
        pytest.approx((5, 1.0)),
        pytest.approx((6, 0.7)),
    ]
    stays = from_data(splitting(current={"accelerator": "A", "replicas": 1}))
    assert found(stays, ParetoMeasure.MOVES) == [pytest.approx((5, 1)), pytest.approx((10, 0))]


def test_what_is_shed_makes_a_front_without_gaps() -> None:
    """A tenth of the load shed counts 1/h: 5 B, A + B, A, 2 B, 1 B and nothing are points of it.

    Between them lie those that shed a little for a little less power.
    """
    fleet = splitting()
    fleet["classes"][0]["unserved_penalty_per_hour"] = 10.0
    fleet["optimizer"] = {"partial_service": "shed", "priorities": "weighted"}
    front = pareto_front(from_data(fleet), ParetoMeasure.POWER_KW, 6)
    assert not front.complete
    assert len(front.points) == 6
    assert all(point.proven for point in front.points)
    values = [point.value for point in front.points]
    assert values == pytest.approx([1.0, 0.7, 0.5, 0.4, 0.2, 0.0], abs=1e-5)
    costs = [point.cost_per_hour for point in front.points]
    assert costs == pytest.approx([5, 6, 7, 8, 9, 10], rel=1e-5)


def test_a_front_of_who_splits_no_load_by_hand() -> None:
    """The one replica kept for it is an idle B (1/h, 0.15 kW), an idle A (5, 0.1), or none (20)."""
    fleet = splitting(load={"arrival_rate_rps": 0, "input_tokens": 100, "output_tokens": 100})
    fleet["classes"][0]["unserved_penalty_per_hour"] = 20.0
    fleet["optimizer"] = {"priorities": "weighted"}
    points = [pytest.approx(point) for point in ((1, 0.15), (5, 0.1), (20, 0))]
    assert found(from_data(fleet), ParetoMeasure.POWER_KW) == points


def test_a_front_with_purchase_tiers_by_hand() -> None:
    """A costs 2/h once (reserved) and then 10, B 5: A + B cost 7, both on A 12, both on B 10.

    A draws 0.4 kW and B 0.7: 7/1.1 and 12/0.8; B + B is dominated.
    """
    tiers = [{"tier": "reserved", "instances": 1, "cost_per_hour": 2.0}, {"tier": "on-demand"}]
    machines = [
        {"name": "A", "cost_per_hour": 10.0, "tiers": tiers},
        {"name": "B", "cost_per_hour": 5.0},
    ]
    for machine, watts in zip(machines, (400, 700), strict=True):
        machine["power"] = {"idle_w": watts, "full_w": watts}
    spec = fleet(accelerators=machines, services=[service("x"), service("y")])
    front = pareto_front(spec, ParetoMeasure.POWER_KW)
    points = [(point.cost_per_hour, point.value) for point in front.points]
    assert points == [pytest.approx((7, 1.1)), pytest.approx((12, 0.8))]
    assert [point.plan.total_cost_per_hour for point in front.points] == [7, 12]


def test_a_front_with_a_replica_pool_by_hand() -> None:
    """One replica serves both: on B for 5/h and 0.7 kW, or on A for 10/h and 0.4 kW."""
    load = {"arrival_rate_rps": 1, "input_tokens": 100, "output_tokens": 11}
    spec = fleet(
        accelerators=[
            {"name": name, "cost_per_hour": cost, "power": {"idle_w": watts, "full_w": watts}}
            for name, cost, watts in (("A", 10.0, 400), ("B", 5.0, 700))
        ],
        services=[service(name, load=load, replica_pool="p") for name in "xy"],
    )
    assert found(spec, ParetoMeasure.POWER_KW) == [
        pytest.approx((5, 0.7)),
        pytest.approx((10, 0.4)),
    ]


def test_points_are_what_the_fleets_own_limits_give() -> None:
    """Splits, tiers and a pool together: with power limited to a point's, the cost is the point's.

    Just below it, the cost is the next point's.
    """
    data = splitting()
    data["accelerators"][1]["tiers"] = [
        {"tier": "reserved", "instances": 3, "cost_per_hour": 0.5},
        {"tier": "on-demand"},
    ]
    data["performance"] = [
        {"model": "m", "accelerator": name, "max_batch": 8, "prefill_decode": timing}
        for name, timing in (("A", CONSTANT), ("B", slower(3)))
    ]
    data["services"] += [
        {
            "name": name,
            "model": "m",
            "class": "c",
            "replica_pool": "p",
            "load": {"arrival_rate_rps": 20.0, "input_tokens": 100, "output_tokens": 11},
        }
        for name in ("x", "y")
    ]
    front = pareto_front(from_data(data), ParetoMeasure.POWER_KW, 20)
    assert front.complete
    assert len(front.points) >= 3

    def least_cost(power_kw: float) -> float:
        limits = [{"measure": "power_kw", "at_most": power_kw}]
        options = {"unserved": "forbidden"}
        plan = optimize(from_data({**data, "limits": limits, "optimizer": options}))
        assert plan.primal_bound is not None
        return plan.primal_bound

    costs = [point.cost_per_hour for point in front.points]
    assert costs == sorted(costs)
    for place, point in enumerate(front.points):
        assert point.proven
        assert least_cost(point.value * (1 + 1e-6)) == pytest.approx(costs[place], rel=1e-6)
        if place + 1 < len(costs):
            assert least_cost(point.value * (1 - 1e-5)) == pytest.approx(costs[place + 1], rel=1e-6)


def test_what_does_not_add_up_is_refused() -> None:
    """A mean over requests without requests, latency over shares, one point."""
    idle = fleet()
    with pytest.raises(ModelError, match="no service has any load"):
        pareto_front(idle, ParetoMeasure.TTFT_MS)
    with pytest.raises(ModelError, match=r"'s' is served by shares.*power_kw"):
        pareto_front(from_data(splitting()), ParetoMeasure.TTFT_MS)
    with pytest.raises(ValueError, match="at least 2"):
        pareto_front(idle, ParetoMeasure.CARDS, 1)
