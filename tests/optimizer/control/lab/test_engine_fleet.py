"""The laboratory's fleet of simulated engines."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from optimizer.control.lab import run_scenario
from optimizer.control.lab.engine_fleet import EngineFleet
from optimizer.control.lab.traffic import Load
from optimizer.control.planner import Planner
from optimizer.control.spec import (
    ControlSpec,
    ScenarioSpec,
    ServiceTrafficSpec,
    Simulator,
)
from optimizer.spec import FleetSpec
from tests.optimizer.control.fleets import variant

CONTROL = ControlSpec(fleet="fleet.yaml")


def engines(fleet: FleetSpec, rate_rps: float) -> EngineFleet:
    def at(name: str, time_s: float) -> Load:
        return Load(rate_rps if name == "chat" and time_s < 60 else 0.0, 500.0, 100.0)

    variants = Planner(fleet, CONTROL).variants
    return EngineFleet(fleet, variants, at, seed=0, start_up_s=30.0, stopping_s=10.0)


def test_every_request_is_served_and_timed(fleet: FleetSpec) -> None:
    """What came is completed, those that found no replica too; times are the engine's."""
    world = engines(fleet, 4.0)
    came = done = 0.0
    seen = []
    for step in range(60):
        if step == 2:
            world.order(variant("chat"), 1)
        world.advance(5.0)
        tick = world.ticks["chat"]
        came, done = came + tick.arrived, done + tick.completed
        assert came == pytest.approx(done + tick.waiting + tick.running, abs=1.0)
        seen.append(tick.itl_ms)
    assert came > 200
    assert done == came
    known = [itl_ms for itl_ms in seen if not math.isnan(itl_ms)]
    assert known
    assert all(8.0 < itl_ms < 40.0 for itl_ms in known)


def test_slower_engines_are_slower(fleet: FleetSpec) -> None:
    """A factor on a model's speed shows in its inter-token latency."""
    itl = []
    for factor in (1.0, 2.0):
        world = engines(fleet, 2.0)
        world.begin_with({variant("chat"): 2})
        world.slowness = {"chat": factor}
        for _ in range(8):
            world.advance(5.0)
        itl.append(world.ticks["chat"].itl_ms)
    assert itl[1] == pytest.approx(2.0 * itl[0], rel=0.15)


def test_replicas_that_die_take_their_requests_with_them(fleet: FleetSpec) -> None:
    """Requests in a replica that dies are not kept."""
    world = engines(fleet, 8.0)
    world.begin_with({variant("chat"): 1})
    world.advance(5.0)
    world.lose("chat", 1.0)
    world.advance(5.0)
    assert world.ticks["chat"].kept == 0.0


def test_the_controller_keeps_engines_at_their_objectives(fleet: FleetSpec) -> None:
    """The same scenario on engines in place of flows: little is missed, and it says so."""
    scenario = ScenarioSpec(
        duration_s=300.0,
        tick_s=5.0,
        simulator=Simulator.ENGINE,
        control=CONTROL,
        traffic=(
            ServiceTrafficSpec(service="chat", rate=0.5),
            ServiceTrafficSpec(service="tags", rate=0.2),
        ),
        baselines=(),
    )
    result = run_scenario(scenario, fleet, Path())
    assert result.simulator == "engine"
    assert result.own.score.attainment > 0.95
