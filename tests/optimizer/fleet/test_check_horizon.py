"""The checker of plans over periods, and horizons that begin at what runs today."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.errors import PlanError
from optimizer.fleet import HorizonPlan, check_horizon, plan_horizon
from optimizer.spec import FleetSpec, from_data
from tests.optimizer.fleet.test_horizon import SWITCHING, ahead

_BUSY = {
    "start_cost": 1, "stop_cost": 1, "move_cost": 1, "start_delay_periods": 1, "min_up_periods": 2,
    "commitments": [{"accelerator": "B", "cost_per_hour": 3, "max_instances": 9}],
}  # fmt: skip
_TODAY = {
    "x": [{"accelerator": "B", "replicas": 1, "max_batch": 1}],
    "y": [{"accelerator": "A", "replicas": 2}],
}


def from_today(
    current: dict[str, list[dict[str, Any]]], factors: tuple[float, ...], **horizon: Any
) -> FleetSpec:
    """The services of `ahead` with what runs of them today."""
    data = ahead(factors, starts_from="current", **horizon).model_dump(mode="json", by_alias=True)
    for entry in data["services"]:
        entry["current"] = current.get(entry["name"], [])
    return from_data(data)


@pytest.mark.parametrize(
    ("said", "cost", "moved"),
    [
        # x goes on: 5 + 15 + 5, 2 starts, 2 stops: 31. y on B at once, A stops: 25, 3 starts, 2 and
        # 2 stops: 35; on A for the first hour it would cost 40.
        ({}, 66.0, [("y",), (), ()]),
        # y stays on A for all of 10 + 30 + 10, of which one stops, two start, two stop: 57.
        ({"move_cost": 100}, 88.0, [(), (), ()]),
        # What serves in the second hour is paid in the first. x: 15 + 15 + 5, 4 and 2: 41. y: one
        # on A for 10 beside three on B that start for 15, then 15 and 5; 6 and 4: 55.
        ({"start_delay_periods": 1}, 96.0, [(), ("y",), ()]),
    ],
)
def test_a_horizon_from_what_runs_today_by_hand(
    said: dict[str, Any], cost: float, moved: list[tuple[str, ...]]
) -> None:
    """Three hours that need 1, 3 and 1 replicas each; today x has one on B (5), y two on A (10)."""
    spec = from_today(_TODAY, (1.0, 3.0, 1.0), start_cost=2, stop_cost=1, **said)
    plan = plan_horizon(spec)
    assert plan.termination == "optimal"
    assert plan.total_cost == pytest.approx(cost)
    assert plan.primal_bound == pytest.approx(cost)
    assert [period.moved for period in plan.periods] == moved
    assert check_horizon(spec, plan).ok


def test_nothing_is_ready_before_it_has_started() -> None:
    """y does not run today and a start takes a period: it is unserved in the first one."""
    spec = from_today({"x": _TODAY["x"]}, (1.0, 1.0), start_delay_periods=1)
    plan = plan_horizon(spec)
    assert [period.unserved for period in plan.periods] == [("y",), ()]


def test_what_cannot_go_on_is_stopped() -> None:
    """x runs today with a batch that it may not have: it stops for 1, and another starts for 2."""
    current = {"x": [{"accelerator": "B", "replicas": 3, "max_batch": 8}], "y": []}
    spec = from_today(current, (1.0,), start_cost=2, stop_cost=1)
    plan = plan_horizon(spec)
    assert plan.total_cost == pytest.approx(2 * 5 + 2 * 2 + 3)
    (lost,) = [a for a in plan.periods[0].allocations if a.stopped]
    assert (lost.service, lost.max_batch, lost.stopped, lost.serving) == ("x", 8, 3, 0)


@settings(deadline=None, max_examples=8, derandomize=True)
@given(st.lists(st.floats(0.2, 4.0), min_size=2, max_size=4), SWITCHING, st.integers(0, 3))
def test_beginning_at_anything_never_costs_more(
    factors: list[float], switching: dict[str, Any], replicas: int
) -> None:
    """What must be kept, stopped or started first is a burden; every plan passes the checker."""
    switching = switching | {"start_delay_periods": 0}
    current = {"x": [{"accelerator": "A", "replicas": replicas}], "y": []}
    bound = plan_horizon(from_today(current, tuple(factors), **switching))
    free = plan_horizon(ahead(tuple(factors), **switching))
    # What there is may be stopped at the end for nothing, of either.
    assert (free.total_cost or 0) <= (bound.total_cost or 0) + 1e-6


def changed(
    plan: HorizonPlan, period: int, change: Callable[[dict[str, Any]], None]
) -> HorizonPlan:
    """Return a plan with something else in one of its periods."""
    data = plan.model_dump()
    change(data["periods"][period])
    return HorizonPlan.model_validate(data)


def first(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Return a change of the allocation that carries the first service."""

    def change(period: dict[str, Any]) -> None:
        carrier = next(a for a in period["allocations"] if a["carries"])
        carrier[key] = value(carrier[key]) if callable(value) else value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (first("serving", lambda n: n + 1), "replicas serve in 1"),
        (first("serving", 1), "are needed in 1"),
        (first("needed", 0), "at least 1 are wanted in 1"),
        (first("started", 3), "replicas start in 1, not"),
        (first("stopped", lambda n: n + 1), "stops: "),
        (first("instances", 50), "50 instances in 1, not"),
        (first("carries", False), "is neither served nor unserved in 1"),
        (first("max_batch", 32), "maximum batch 32, not from 1 to 1"),
        (first("accelerator", "A"), "running: "),
        (first("accelerator", "C"), "there is no performance data on 'C'"),
        (first("service", "z"), "the fleet has no such service"),
        (lambda p: p.update(moved=("x",)), "does not move in 1"),
        (lambda p: p["rates_rps"].update(x=5.0), r"5 requests/s in 1, 27 are forecast"),
        (lambda p: p.update(unserved=("x",)), "is served twice in 1"),
        (lambda p: p.update(name="noon"), "period 'noon', not '1'"),
    ],
)
def test_words_that_are_not_so_are_found(
    change: Callable[[dict[str, Any]], None], message: str
) -> None:
    """Each with the service or total, the period, what is said and what is so."""
    spec = ahead(**_BUSY)
    plan = plan_horizon(spec)
    assert check_horizon(spec, plan).ok
    found = check_horizon(spec, changed(plan, 1, change))
    assert message in "\n".join(map(str, found.violations)).replace("more: ", "")
    with pytest.raises(PlanError, match="fails the fleet's check"):
        found.require()


@pytest.mark.parametrize(
    ("update", "message"),
    [
        ({"total_cost": 1.0}, "total: total_cost: 1.0, not"),
        ({"dual_bound": 1e6}, "dual_bound: 1000000, more than the plan costs"),
        ({"period_hours": 2.0}, "periods of 2 h, not 1 h"),
        ({"periods": ()}, "0 periods, not 4"),
        ({"commitments": ()}, "total: committed"),
    ],
)
def test_totals_that_are_not_so_are_found(update: dict[str, Any], message: str) -> None:
    """Money, bounds and periods of the whole."""
    spec = ahead(**_BUSY)
    plan = plan_horizon(spec).model_copy(update=update)
    assert message in "\n".join(map(str, check_horizon(spec, plan).violations))


def test_a_tighter_fleet_is_no_longer_kept_to() -> None:
    """The plan of a loose fleet breaks the cards, objectives, up times and quota of a tight one."""
    half = [{"accelerator": "B", "cost_per_hour": 3, "max_instances": 1}]
    busy, loose = plan_horizon(ahead(**_BUSY)), plan_horizon(ahead())
    for plan, spec, message in (
        (busy, ahead(**_BUSY, cards=5), "resource: B: "),
        (busy, ahead(**_BUSY | {"commitments": half}), "committed to, at most 1"),
        (loose, ahead(min_up_periods=4), "were started that stay for 4 periods"),
        (loose, ahead(start_delay_periods=2), "ready"),
        (loose, ahead((1.0, 3.3, 1.0, 2.0)), "are forecast"),
    ):
        assert message in "\n".join(map(str, check_horizon(spec, plan).violations))


def test_objectives_are_asked_of_the_queue_model_again() -> None:
    """Bounds on the wait that the plan was not made for are found to be broken."""
    spec = ahead((1.0, 2.0))
    plan = plan_horizon(spec)
    data = spec.model_dump(mode="json", by_alias=True)
    data["classes"][0]["slos"] = [{"targets": [{"metric": "ttft_ms", "bound": 11}]}]
    found = "\n".join(map(str, check_horizon(from_data(data), plan).violations))
    assert "slo: x: ttft_ms mean 11 is" in found
