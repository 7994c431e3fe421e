"""The closed-loop laboratory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from optimizer.control.errors import ControlError
from optimizer.control.lab import FluidFleet, LabResult, run_scenario
from optimizer.control.lab.traffic import Load, ScenarioTraffic
from optimizer.control.planner import Planner
from optimizer.control.spec import (
    ControlSpec,
    FaultKind,
    FaultSpec,
    LoadEventSpec,
    LoadPattern,
    ScenarioSpec,
    ServiceTrafficSpec,
)
from optimizer.errors import SpecError
from optimizer.spec import FleetSpec
from queue_models import Metric, Statistic
from tests.optimizer.control.fleets import variant

CONTROL = ControlSpec(fleet="fleet.yaml")


def lab(fleet: FleetSpec, **scenario: object) -> LabResult:
    spec = ScenarioSpec.model_validate({"control": CONTROL, "tick_s": 15.0, **scenario})
    return run_scenario(spec, fleet, Path())


def test_constant_load_makes_no_reversal(fleet: FleetSpec) -> None:
    """Three hours of one load: no swinging, no violating minute after the beginning."""
    result = lab(fleet, duration_s=3 * 3600.0, warm_up_s=1800.0, baselines=())
    assert result.own.score.reversals == 0
    assert result.own.score.violating_minutes == 0
    assert result.own.score.over_quota_s == 0


def test_equal_scenarios_make_equal_results(fleet: FleetSpec) -> None:
    """Same scenario and seed, same document."""
    once, again = (lab(fleet, duration_s=1800.0, baselines=("hpa",)) for _ in range(2))
    assert once.to_json() == again.to_json()
    assert LabResult.from_json(once.to_json()) == once


def test_a_day_costs_less_than_its_peak(fleet: FleetSpec) -> None:
    """On a short day the controller keeps nearly what a static peak keeps, for less."""
    day = ServiceTrafficSpec(
        service="chat", pattern=LoadPattern.DIURNAL, rate=8.0, season_s=3 * 3600.0, trough=0.1
    )
    result = lab(
        fleet,
        duration_s=3 * 3600.0,
        traffic=(day,),
        baselines=("static-peak", "hpa", "saturation", "greedy"),
    )
    assert [run.policy for run in result.runs] == [
        "fleetopt",
        "static-peak",
        "hpa",
        "saturation",
        "greedy",
    ]
    own, static = result.own.score, result.run("static-peak").score
    assert own.gpu_hours < 0.9 * static.gpu_hours
    assert own.attainment > 0.99
    for run in result.runs[2:]:
        assert own.attainment >= run.score.attainment - 0.002


@pytest.mark.parametrize("kind", list(FaultKind))
def test_every_fault_is_survived(fleet: FleetSpec, kind: FaultKind) -> None:
    """A quarter of an hour of any fault: quotas hold, and soon after the load is served again."""
    result = lab(
        fleet,
        duration_s=5400.0,
        faults=(FaultSpec(kind=kind, at_s=1200.0, for_s=900.0, factor=1.5),),
        baselines=(),
    )
    assert result.own.score.over_quota_s == 0 or kind is FaultKind.CARDS_LOST
    kept = [
        k for t, k in zip(result.own.series.time_s, result.own.series.kept, strict=True) if t > 4800
    ]
    assert min(kept) > 0.98


def test_recovery_is_timed(fleet: FleetSpec) -> None:
    """After a step of the load it takes about a start-up time to serve it."""
    step = ServiceTrafficSpec(service="chat", events=(LoadEventSpec(at_s=1800.0, rate=5.0),))
    result = lab(fleet, duration_s=5400.0, traffic=(step,), baselines=())
    assert len(result.own.score.recovery_s) == 1
    assert 30.0 < result.own.score.recovery_s[0] < 600.0


def test_steady_state_is_the_queue_models(fleet: FleetSpec) -> None:
    """At a constant load the fluid fleet's latencies are the plan's prediction."""
    planner = Planner(fleet, CONTROL)
    chat = variant("chat")
    rate = 0.9 * planner.rate_rps(chat)

    def at(name: str, _: float) -> Load:
        return Load(2 * rate if name == "chat" else 0.0, 500.0, 100.0)

    world = FluidFleet(fleet, planner.variants, at, seed=0, start_up_s=60.0, stopping_s=0.0)
    world.begin_with({chat: 2})
    seen = []
    for step in range(4000):
        world.advance(1.0)
        if step > 200:
            seen.append(world.ticks["chat"].itl_ms)
    curves = world._curves.of(chat, 500.0, 100.0, 1.0)
    expected = curves.value_ms(Statistic(Metric.ITL), rate, curves.requests_at(rate))
    assert np.mean(seen) == pytest.approx(expected, rel=0.03)


def test_requests_are_conserved(fleet: FleetSpec) -> None:
    """What came is completed, or still there; with no replicas it waits."""
    planner = Planner(fleet, CONTROL)

    def at(name: str, time_s: float) -> Load:
        return Load(40.0 if name == "chat" and time_s < 600 else 0.0, 500.0, 100.0)

    world = FluidFleet(fleet, planner.variants, at, seed=0, start_up_s=60.0, stopping_s=30.0)
    came = done = 0.0
    for step in range(400):
        if step == 20:
            world.order(variant("chat"), 3)
        if step == 60:
            world.order(variant("chat"), 1)
        world.advance(5.0)
        tick = world.ticks["chat"]
        came, done = came + tick.arrived, done + tick.completed
        held = tick.waiting + tick.running
        assert came == pytest.approx(done + held, abs=1e-3)
    assert done == pytest.approx(came, abs=0.5)


def test_a_trace_is_stretched_not_diluted(fleet: FleetSpec, shared_data: Path) -> None:
    """Rates are the recorded ones times the factor; only time is stretched."""
    trace = str(shared_data / "traces" / "azure2023_conv_0-40min.csv")
    entry = ServiceTrafficSpec(service="chat", pattern=LoadPattern.TRACE, trace=trace, rate=50.0)
    scenario = ScenarioSpec(control=CONTROL, traffic=(entry,))
    traffic = ScenarioTraffic(scenario, fleet, Path())
    rates = [traffic.at("chat", time).rate_rps for time in np.linspace(0, 86_399, 5000)]
    assert np.mean(rates) == pytest.approx(50 * 5.906, rel=0.01)


def test_wrong_names_are_refused(fleet: FleetSpec) -> None:
    """A service or a baseline that does not exist is named, with what there is."""
    with pytest.raises(SpecError, match=r"traffic\[0\].service = 'chatt'.*did you mean 'chat'"):
        lab(fleet, traffic=(ServiceTrafficSpec(service="chatt"),), baselines=())
    with pytest.raises(ControlError, match="'hpaa' is none; there are greedy, hpa"):
        lab(fleet, baselines=("hpaa",))
