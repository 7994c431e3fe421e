"""Pareto fronts: every point is one that enumeration finds, and none is missing."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from optimizer.errors import ModelError
from optimizer.fleet import ParetoMeasure, build_candidates, pareto_front
from optimizer.spec import FleetSpec
from tests.optimizer.fleet.fleets import CONSTANT, fleet, service


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


def test_what_does_not_add_up_is_refused() -> None:
    """A mean over requests without requests, a fleet that splits, tiers, one point."""
    idle = fleet()
    with pytest.raises(ModelError, match="no service has any load"):
        pareto_front(idle, ParetoMeasure.TTFT_MS)
    for unserved in ("forbidden", "allowed"):
        split = three_types(2, optimizer={"allocation": "split", "unserved": unserved})
        with pytest.raises(ModelError, match="split"):
            pareto_front(split, ParetoMeasure.CARDS)
    tiers = [{"tier": "reserved", "instances": 1, "cost_per_hour": 2.0}, {"tier": "on-demand"}]
    bought = fleet(
        accelerators=[{"name": "A", "cost_per_hour": 10.0, "tiers": tiers}],
        capacities=[],
        performance=[
            {"model": "m", "accelerator": "A", "max_batch": 32, "prefill_decode": CONSTANT}
        ],
    )
    with pytest.raises(ModelError, match="purchase tiers"):
        pareto_front(bought, ParetoMeasure.CARDS)
    with pytest.raises(ValueError, match="at least 2"):
        pareto_front(idle, ParetoMeasure.CARDS, 1)
