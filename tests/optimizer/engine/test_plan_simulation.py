from __future__ import annotations

import json
from typing import Any

import pytest

from optimizer.engine import Outcome, PlanSimulation, SimulationError, simulate, verify
from optimizer.fleet import FleetPlan, optimize
from optimizer.spec import FleetSpec, from_data

QUICK = {"least_requests": 2000, "most_requests": 8000, "precision": 0.1}


def _fleet(**service: Any) -> FleetSpec:
    load = {"arrival_rate_rps": 12.0, "input_tokens": 200, "output_tokens": 50}
    chat = {"name": "chat", "model": "m", "class": "gold", "load": load} | service
    times = {
        "base_ms": 10.0,
        "decode_ms_per_token": 0.1,
        "prefill_ms_per_token": 0.1,
        "kv_ms_per_token": 0.0001,
    }
    return from_data(
        {
            "accelerators": [{"name": "A", "cost_per_hour": 1.0}],
            "capacities": [{"type": "A", "cards": 6}],
            "models": [{"name": "m"}],
            "performance": [
                {"model": "m", "accelerator": "A", "max_batch": 16, "iteration": times}
            ],
            "classes": [
                {
                    "name": "gold",
                    "priority": 1,
                    "slos": [{"targets": [{"metric": "ttft_ms", "bound": 60.0}]}],
                }
            ],
            "services": [chat],
        }
    )


def test_predictions_of_the_iteration_level_model_hold_in_simulation() -> None:
    """Means predicted and simulated lie side by side, the objective holds, what arrives is what is
    done, and the share within the bound is that of the histogram."""
    plan = optimize(_fleet())
    found = simulate(plan, least_requests=20_000, precision=0.01)
    chat = found.service("chat")
    rows = {(row.metric, row.statistic): row for row in chat.statistics}
    ttft = rows["ttft_ms", "mean"]
    assert ttft.simulated == pytest.approx(ttft.predicted, rel=0.05)
    assert (ttft.bound, ttft.holds, ttft.certain) == (60.0, True, True)
    assert rows["itl_ms", "mean"].simulated == pytest.approx(
        rows["itl_ms", "mean"].predicted, rel=0.02
    )
    assert chat.throughput_rps == pytest.approx(12.0, rel=0.02)
    assert chat.attainment == pytest.approx(ttft.kept_by)
    assert chat.goodput_rps == pytest.approx(chat.attainment * chat.throughput_rps, rel=0.01)
    assert found.holds
    assert found.missing == ()


def test_a_plan_read_from_a_file_is_simulated_as_the_fresh_one() -> None:
    """The plan carries its fleet: read back, it gives the same result, and so does the result."""
    plan = optimize(_fleet())
    fresh = simulate(plan, **QUICK)
    assert simulate(FleetPlan.from_json(plan.to_json()), **QUICK) == fresh
    assert PlanSimulation.from_json(fresh.to_json()) == fresh
    assert json.loads(fresh.to_json())["holds"] is True


def test_a_plan_that_promises_too_much_is_found_out() -> None:
    """Half the replicas: the backlog grows, nothing is claimed of latencies, the service misses."""
    plan = optimize(
        _fleet(load={"arrival_rate_rps": 60.0, "input_tokens": 200, "output_tokens": 50})
    )
    allocation = plan.allocation("chat")
    assert allocation.replicas > 2
    less = plan.model_copy(update={"allocations": (allocation.model_copy(update={"replicas": 1}),)})
    chat = simulate(less, **QUICK).service("chat")
    assert chat.keeps_up is False
    assert chat.misses
    assert all(row.simulated is None for row in chat.statistics)
    assert next(row for row in chat.statistics if row.bound is not None).holds is False


def test_a_limited_cache_is_kept_in_blocks_and_preempts() -> None:
    """With room for three prompts but not for their outputs, and as many places as ever, requests
    are preempted, and KV use is told."""
    spec = _fleet(load={"arrival_rate_rps": 4.0, "input_tokens": 200, "output_tokens": 150})
    entry = spec.performance[0].model_copy(update={"kv_capacity_tokens": 740.0})
    tight = spec.model_copy(update={"performance": (entry,)})
    found = simulate(optimize(spec), tight, **QUICK).service("chat")
    assert found.usage is not None
    assert found.usage.preemptions > 0
    assert found.usage.kv is not None
    assert 0.3 < found.usage.kv <= 1.0


def test_what_cannot_be_simulated_says_why() -> None:
    """Services scaled to zero and times by phase are skipped with the reason; a plan without its
    fleet, a service it does not have and a senseless precision are refused."""
    spec = _fleet(load={"arrival_rate_rps": 0.0, "input_tokens": 9, "output_tokens": 9})
    plan = optimize(spec)
    assert simulate(plan).service("chat").skipped is not None
    with pytest.raises(SimulationError, match="--fleet"):
        simulate(plan.model_copy(update={"fleet_document": None}))
    with pytest.raises(SimulationError, match="'nosuch' has no allocation"):
        simulate(plan, services=["nosuch"])
    with pytest.raises(SimulationError, match="precision"):
        simulate(plan, precision=float("nan"))
    with pytest.raises(SimulationError, match="not a simulated plan"):
        PlanSimulation.from_json("{}")


def test_the_loop_ends_with_a_plan_that_holds() -> None:
    """A queue model that knows no percentiles of prompts waiting for each other promises too much
    for round robin's opposite, bursts: sized for more, the plan holds, at the fleet's own load."""
    spec = _fleet()
    promising = optimize(spec)

    def hopeful(wanted: FleetSpec) -> FleetPlan:
        # As if one replica carried all that three do.
        plan = optimize(wanted)
        (allocation,) = plan.allocations
        fewer = max(allocation.replicas - 1, 1) if wanted is not spec else 1
        changed = {"replicas": fewer, "max_rate_rps": allocation.max_rate_rps}
        return plan.model_copy(update={"allocations": (allocation.model_copy(update=changed),)})

    heavy = _fleet(load={"arrival_rate_rps": 40.0, "input_tokens": 200, "output_tokens": 50})
    spec = heavy
    verified = verify(heavy, simulation=QUICK, solve=hopeful)
    assert verified.outcome is Outcome.HOLDS
    assert verified.rounds > 1
    assert verified.sized_for_rps["chat"] > 40.0
    assert verified.plan.allocation("chat").admitted_rate_rps == pytest.approx(40.0)
    assert any("sized for" in note for note in verified.plan.notes)
    assert promising.found


def test_the_loop_says_when_nothing_is_left() -> None:
    """Six cards do not carry what simulation asks for: impossible, naming the service."""
    spec = _fleet(load={"arrival_rate_rps": 40.0, "input_tokens": 200, "output_tokens": 50})

    def one_replica(wanted: FleetSpec) -> FleetPlan:
        plan = optimize(wanted)
        fewer = [a.model_copy(update={"replicas": 1}) for a in plan.allocations]
        return plan.model_copy(update={"allocations": tuple(fewer)})

    verified = verify(spec, simulation=QUICK, solve=one_replica)
    assert verified.outcome is Outcome.IMPOSSIBLE
    assert verified.failing == ("chat",)
    assert "chat" in verified.summary


def test_a_plan_that_serves_no_one_has_nothing_to_simulate() -> None:
    """Three replicas are needed one is allowed: there is a plan, but no simulation of it."""
    load = {"arrival_rate_rps": 40.0, "input_tokens": 200, "output_tokens": 50}
    verified = verify(_fleet(load=load, replicas={"min": 1, "max": 1}), simulation=QUICK)
    assert verified.outcome is Outcome.NO_PLAN
    assert verified.simulation is None
    assert [unserved.service for unserved in verified.plan.unserved] == ["chat"]
    assert not verified.failing
