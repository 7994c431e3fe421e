"""The fleet-level checker finds every kind of untruth in a plan, and none in a sound one."""

from __future__ import annotations

from typing import Any

import pytest

import optimizer as fo
from optimizer.errors import PlanError
from optimizer.fleet import FleetPlan
from optimizer.spec import from_data
from tests.optimizer.fleet.test_resources import places


def busy() -> dict[str, Any]:
    """Two services under load with objectives, a limit, a capacity, and one service too many."""
    data = places(
        3,
        limits=[{"measure": "power_kw", "at_most": 2.0}],
        capacities=[{"type": "B", "cards": 1}, {"type": "A", "cards": 1}],
    )
    targets = [{"metric": "ttft_ms", "bound": 60.0}, {"metric": "itl_ms", "bound": 20.0}]
    data["classes"][0]["slos"] = [{"targets": targets}]
    for entry in data["services"]:
        entry["load"]["arrival_rate_rps"] = 20.0
    return data


def split() -> dict[str, Any]:
    """One service in two buckets over two accelerators with measured rates, both full."""
    data = places(1)
    data["services"][0] |= {
        "allocation": "split",
        "load": {"arrival_rate_rps": 10.0, "input_tokens": 100, "output_tokens": 11},
        "length_buckets": {
            "shares": [[0.8, 0.2]],
            "measured": [
                {"accelerator": "A", "rates_rps": [[8.0, 2.0]]},
                {"accelerator": "B", "rates_rps": [[2.0, None]]},
            ],
        },
    }
    return data


def altered(data: dict[str, Any], *path: object, to: object) -> tuple[fo.FleetSpec, FleetPlan]:
    """Return a fleet and its plan with one word of it changed."""
    spec = from_data(data)
    document = fo.optimize(spec).model_dump(mode="json")
    part = document
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = to
    return spec, FleetPlan.model_validate(document)


@pytest.mark.parametrize("data", [busy(), split(), places()])
def test_a_fresh_plan_holds(data: dict[str, Any]) -> None:
    """Nothing is found, and total and resources are those that the plan says."""
    spec = from_data(data)
    plan = fo.optimize(spec)
    check = fo.check_plan(spec, FleetPlan.from_json(plan.to_json()))
    assert check.violations == ()
    assert check.ok
    assert check.require() is check
    assert check.total_cost_per_hour == pytest.approx(plan.total_cost_per_hour)
    assert check.resources == plan.resources


@pytest.mark.parametrize(
    ("path", "to", "message"),
    [
        (("allocations", 0, "service"), "z", "plan: z: the fleet has no such service"),
        (("allocations", 0, "accelerator"), "C", "the fleet has no accelerator 'C'"),
        (("allocations", 0, "model"), "n", "is of model 'm'"),
        (("allocations", 0, "cards"), 7, "cards 7, not 1"),
        (("allocations", 0, "instances"), 2, "instances 2, not 1"),
        (("allocations", 0, "cost_per_hour"), 1.0, "cost_per_hour 1, not"),
        (("allocations", 0, "admitted_rate_rps"), 10.0, "10 of 20 requests/s admitted"),
        (("allocations", 0, "admitted_rate_rps"), 30.0, "30 requests/s admitted, more than 20"),
        (("allocations", 0, "targets"), [], "ttft_ms mean 60 is left out"),
        (("allocations", 0, "max_batch"), 1, "ttft_ms mean 60 is said to be met"),
        (("allocations", 1, "replicas"), 2, "resource: "),
        (("resources", 0, "used"), 0, "resource: B: 0 cards said, 1 used"),
        (("resources", 2, "used"), 0.5, "0.5 kW said"),
        (("total_cost_per_hour",), 12.0, "total: total_cost_per_hour: 12, not 15"),
        (("stages", 0, "not_served_whole"), 0, "0 not served whole, 1 counted"),
        (("unserved",), [], "is neither served nor unserved"),
    ],
)
def test_one_wrong_word_is_found(path: tuple[object, ...], to: object, message: str) -> None:
    """Names, sizes, money, loads, objectives, resources and counts: each untruth is named."""
    spec, plan = altered(busy(), *path, to=to)
    check = fo.check_plan(spec, plan)
    assert any(message in str(violation) for violation in check.violations), check.violations
    with pytest.raises(PlanError, match="the plan fails the fleet's check"):
        check.require()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"replicas": {"min": 3}}, "1 replicas, at least 3 are wanted"),
        ({"replicas": {"min": 0, "max": 0}}, "1 replicas, at most 0 are allowed"),
        ({"accelerator": "A"}, "on B, though pinned to A"),
        ({"max_batch": 8}, "maximum batch 32, not from 8 to 8"),
        ({"max_batch": {"min": 40, "max": 50}}, "maximum batch 32, not from 40 to 50"),
    ],
)
def test_what_a_service_may_not_have_is_found(change: dict[str, Any], message: str) -> None:
    """The plan of one fleet is no plan of another that asks for more."""
    plan = fo.optimize(from_data(places(1)))
    data = places(1)
    data["services"][0] |= change
    check = fo.check_plan(from_data(data), plan)
    assert any(message in str(violation) for violation in check.violations), check.violations


def test_weights_that_do_not_fit_are_found() -> None:
    """A replica of 10 GB cannot hold a model of 20 GB."""
    plan = fo.optimize(from_data(places(1)))
    data = places(1)
    data["models"][0]["weights_gb"] = 20.0
    for accelerator in data["accelerators"]:
        accelerator["memory_gb"] = 10.0
    check = fo.check_plan(from_data(data), plan)
    assert any("weights of 20 GB in 10 GB on B" in str(v) for v in check.violations)


@pytest.mark.parametrize(
    ("route", "to", "message"),
    [
        ("rate_rps", 5.0, "requests/s routed"),
        ("output_column", 1, "bucket (0, 0)"),
        ("input_row", 3, "there is no bucket (3, 0)"),
    ],
)
def test_routes_that_do_not_carry_the_load_are_found(route: str, to: float, message: str) -> None:
    """Rates must sum to the buckets' loads, and fit on the replicas by the measured rates."""
    spec = from_data(split())
    document = fo.optimize(spec).model_dump(mode="json")
    document["allocations"][0]["routes"][0][route] = to
    plan = FleetPlan.model_validate(document)
    assert any(message in str(v) for v in fo.check_plan(spec, plan).violations)


def test_measured_rates_bound_what_replicas_carry() -> None:
    """Half the replicas carry half the load, and a bucket without a rate none of it."""
    spec = from_data(split())
    document = fo.optimize(spec).model_dump(mode="json")
    first = document["allocations"][0]
    assert first["replicas"] > 1
    first["replicas"] = 1
    check = fo.check_plan(spec, FleetPlan.model_validate(document))
    assert any("replicas on 1 of" in str(v) for v in check.violations), check.violations
