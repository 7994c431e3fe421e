"""Best effort: what a service with fewer replicas than it needs is really told to expect."""

from __future__ import annotations

import pytest

from optimizer import optimize
from tests.optimizer.fleet.fleets import CONSTANT, fleet, service, two_types

# One request at a time, 110 ms each: a replica carries less than 9.09 requests per second.
ONE_BY_ONE = {"max_batch": 1, "prefill_decode": CONSTANT}


def crowded(rate: float, cards: int, bound: float = 500.0) -> dict:
    """One service of a given rate, a few cards of one type."""
    data = two_types()
    data["accelerators"] = data["accelerators"][:1]
    data["capacities"] = [{"type": "A", "cards": cards}]
    data["performance"] = [{"model": "m", "accelerator": "A", **ONE_BY_ONE}]
    data["classes"][0]["slos"] = [{"targets": [{"metric": "ttft_ms", "bound": bound}]}]
    load = {"arrival_rate_rps": rate, "input_tokens": 100, "output_tokens": 11}
    data["services"] = [service("x", load=load)]
    return data


@pytest.mark.parametrize("solver", ["greedy", "milp", "cp-sat"])
def test_overload_has_no_latency_to_report(solver: str) -> None:
    """30 requests/s on two replicas that carry 18: no steady state, no TTFT, not stable."""
    plan = optimize(
        fleet(crowded(30.0, cards=2)), solver=solver, saturation_policy="priority-exhaustive"
    )
    allocation = plan.allocation("x")
    assert allocation.partial
    assert allocation.replicas == 2
    assert allocation.replicas_needed > 2
    assert not allocation.stable
    assert allocation.ttft_ms is None
    assert allocation.itl_ms is None
    assert not allocation.slo_met
    assert plan.total_cost_per_hour == pytest.approx(20.0)


def test_fewer_replicas_that_keep_up_report_what_they_give() -> None:
    """M/M/1 at ρ = 0.88: waiting 110 ms x ρ / (1 - ρ) = 806.7 ms, above the bound of 500."""
    plan = optimize(
        fleet(crowded(8.0, cards=1)), solver="milp", saturation_policy="round-robin",
        queue_model="mmc",
    )  # fmt: skip
    allocation = plan.allocation("x")
    rho = 8.0 * 0.110
    assert allocation.partial
    assert allocation.stable
    assert allocation.queueing_ms == pytest.approx(110 * rho / (1 - rho))
    assert allocation.ttft_ms == pytest.approx(10 + 110 * rho / (1 - rho))
    assert allocation.margin == pytest.approx((500 - allocation.ttft_ms) / 500)
    assert not allocation.slo_met


def test_shedding_admits_what_keeps_the_slo() -> None:
    """With `shed` the replica takes only its largest rate, and the bound holds."""
    plan = optimize(
        fleet(crowded(30.0, cards=2)),
        solver="milp",
        saturation_policy="priority-exhaustive",
        partial_service="shed",
    )
    allocation = plan.allocation("x")
    assert allocation.admitted_rate_rps == pytest.approx(allocation.max_rate_rps)
    assert allocation.admitted_rate_rps < allocation.arrival_rate_rps
    assert allocation.stable
    assert allocation.ttft_ms == pytest.approx(500, rel=1e-3)
    assert allocation.slo_met


def test_without_a_policy_nobody_is_served_in_part() -> None:
    """The default leaves the service out and says what is missing."""
    plan = optimize(fleet(crowded(30.0, cards=2)), solver="milp")
    assert not plan.allocations
    assert "there are only 2" in plan.unserved[0].explanation


@pytest.mark.parametrize("solver", ["greedy", "milp", "cp-sat"])
def test_parts_never_count_as_whole_service(solver: str) -> None:
    """Whatever the solver, the stage says one service is not served whole."""
    plan = optimize(
        fleet(crowded(30.0, cards=2)), solver=solver, saturation_policy="priority-exhaustive"
    )
    (stage,) = plan.stages
    assert stage.not_served_whole == 1
    assert plan.best_effort_cost_per_hour == pytest.approx(20.0)


def test_a_promised_throughput_does_not_overload_a_partial_service() -> None:
    """5 requests/s arrive though 200 are promised: one replica of 9 carries them."""
    data = crowded(5.0, cards=1)
    data["classes"][0]["slos"][0]["targets"].append(
        {"metric": "service_requests_per_s", "bound": 200}
    )
    plan = optimize(fleet(data), solver="milp", saturation_policy="priority-exhaustive")
    allocation = plan.allocation("x")
    assert allocation.partial
    assert allocation.stable
    assert allocation.admitted_rate_rps == pytest.approx(5.0)
    assert not allocation.slo_met
