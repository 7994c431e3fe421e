"""Replicas' speed learnt while they serve."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from optimizer.control.effort import full_batch_ms
from optimizer.control.lab import run_scenario
from optimizer.control.planner import Planner
from optimizer.control.spec import (
    ControlSpec,
    FaultKind,
    FaultSpec,
    FleetObservation,
    MissingReason,
    Reading,
    ReplicaCount,
    ReplicaCounts,
    ScenarioSpec,
    ServiceObservation,
    ServiceTrafficSpec,
    TuningSpec,
)
from optimizer.control.tuning import Tuning
from optimizer.spec import FleetSpec
from queue_models import IterationTiming, ServiceProcess
from queue_models import get as queue_model
from tests.optimizer.control.fleets import variant

ON = TuningSpec(method="extended-kalman")
LOOK_S, WINDOW_S = 20.0, 60.0


def seen(now_s: float, rate: float, slower: float = 1.0, **other: Reading) -> FleetObservation:
    """What two replicas of chat on H100 show, so many times slower than described."""
    timing = IterationTiming(8.0 * slower, 0.05 * slower, 0.03 * slower, 0.0)
    process = ServiceProcess(timing, 500.0, 100.0, 64)
    found = queue_model("iteration-level").evaluate(process, [rate / 2.0])
    figures = {
        "arrival_rate_rps": Reading.of(rate),
        "input_tokens": Reading.of(500.0),
        "output_tokens": Reading.of(100.0),
        "waiting": Reading.of(0.0),
        "running": Reading.of(2.0 * float(found.concurrency[0])),
        "ttft_ms": Reading.of(float(found.ttft_ms[0])),
        "itl_ms": Reading.of(float(found.itl_ms[0])),
    }
    one = ServiceObservation(service="chat", **(figures | other))
    return FleetObservation(at_s=now_s, services=(one,))


def counts(now_s: float, ready: int = 2) -> ReplicaCounts:
    one = ReplicaCount(variant=variant("chat"), wanted=ready, ready=ready)
    return ReplicaCounts(at_s=now_s, counts=(one,))


def taught(fleet: FleetSpec, looks: int = 40, slower: float = 2.0, **other: Reading) -> Tuning:
    tuning = Tuning(ON, fleet, WINDOW_S)
    for look in range(looks):
        now_s = LOOK_S * look
        tuning.learn(seen(now_s, 8.0 + look % 5, slower, **other), counts(now_s))
    return tuning


def test_a_slower_model_is_learnt(fleet: FleetSpec) -> None:
    """Times twice as long are found, for the entry that was observed alone."""
    entries = taught(fleet).entries()
    assert entries is not None
    iteration = entries[1].iteration
    assert iteration is not None
    assert iteration.base_ms == pytest.approx(16.0, rel=0.05)
    assert entries[1].uncertainty is not None
    assert entries[0] == fleet.performance[0]


def test_what_is_as_described_changes_nothing(fleet: FleetSpec) -> None:
    """A replica as fast as described is not planned with anew; nor is one a second time."""
    assert taught(fleet, slower=1.0).entries() is None
    tuning = taught(fleet)
    assert tuning.entries() is not None
    assert tuning.entries() is None


@pytest.mark.parametrize("name", ["arrival_rate_rps", "input_tokens", "running"])
def test_missing_figures_teach_nothing(fleet: FleetSpec, name: str) -> None:
    """Without the load, the lengths or the batch there is nothing to learn from."""
    missing = Reading.none(MissingReason.STALE, "test")
    assert taught(fleet, **{name: missing}).entries() is None


def test_frozen_figures_teach_nothing(fleet: FleetSpec) -> None:
    """The same figures again and again are an exporter that hangs, not observations."""
    tuning = Tuning(ON, fleet, WINDOW_S)
    for look in range(100):
        tuning.learn(seen(LOOK_S * look, 9.0, 2.0), counts(LOOK_S * look))
    assert tuning.entries() is None


def test_replicas_that_come_and_go_teach_nothing(fleet: FleetSpec) -> None:
    """While the number of replicas swings, nobody knows what one of them gets."""
    tuning = Tuning(ON, fleet, WINDOW_S)
    for look in range(60):
        now_s = LOOK_S * look
        tuning.learn(seen(now_s, 8.0 + look % 5, 2.0), counts(now_s, 2 + look % 2))
    assert tuning.entries() is None


def test_what_is_learnt_survives_a_restart(fleet: FleetSpec) -> None:
    """What is written down, through JSON, gives the same entries."""
    tuning, again = taught(fleet), Tuning(ON, fleet, WINDOW_S)
    again.restore(json.loads(json.dumps(tuning.state())))
    assert again.entries() == tuning.entries()


def test_what_is_known_better_is_planned_with_anew(fleet: FleetSpec) -> None:
    """Full batches leave open what an empty one takes; light loads tell, and the margin shrinks."""
    spec = ON.model_copy(update={"least_change": 0.1})
    tuning = Tuning(spec, fleet, WINDOW_S)

    def teach(looks: range, least_rps: float) -> None:
        for look in looks:
            now_s = LOOK_S * look
            tuning.learn(seen(now_s, least_rps + look % 5, 2.0), counts(now_s))

    teach(range(40), 18.0)
    before = tuning.entries()
    assert before is not None
    teach(range(40, 160), 1.0)
    after = tuning.entries()
    assert after is not None
    known = [entries[1].uncertainty for entries in (before, after)]
    assert known[0] is not None
    assert known[1] is not None
    assert known[1].log_sd[0] < known[0].log_sd[0] / 1.5
    of_chat = fleet.services[0].load
    lengths = of_chat.mean_input_tokens, of_chat.mean_output_tokens
    assert full_batch_ms(after[1], *lengths) == pytest.approx(
        full_batch_ms(before[1], *lengths), rel=spec.least_change
    )


def test_what_is_uncertain_is_planned_with_a_margin(fleet: FleetSpec) -> None:
    """The same times, less certain, carry less."""
    planner = Planner(fleet, ControlSpec(fleet="fleet.yaml", tuning=ON))
    entries = taught(fleet).entries()
    assert entries is not None
    uncertainty = entries[1].uncertainty
    assert uncertainty is not None
    carried = []
    for factor in (1.0, 10.0):
        spread = tuple(max(factor * sd, 0.01 * factor) for sd in uncertainty.log_sd)
        less = uncertainty.model_copy(update={"log_sd": spread})
        planner.retune((entries[0], entries[1].model_copy(update={"uncertainty": less})))
        carried.append(planner.rate_rps(variant("chat")))
    assert carried[1] < 0.99 * carried[0]


def test_a_tuner_beats_none_when_a_model_slows_down(fleet: FleetSpec) -> None:
    """In the laboratory a model becomes twice as slow: who learns it keeps far more requests."""
    kept = {}
    for method in (None, "extended-kalman"):
        control = ControlSpec(fleet="fleet.yaml", tuning=TuningSpec(method=method))
        scenario = ScenarioSpec(
            duration_s=4800.0,
            tick_s=15.0,
            control=control,
            traffic=(ServiceTrafficSpec(service="chat", rate=3.0),),
            faults=(FaultSpec(kind=FaultKind.SLOW_MODEL, at_s=1200.0, factor=2.0),),
            baselines=(),
        )
        kept[method] = run_scenario(scenario, fleet, Path()).own.score.attainment
    assert kept["extended-kalman"] > kept[None] + 0.2
