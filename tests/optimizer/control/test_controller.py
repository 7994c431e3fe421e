"""The controller's promises, against the simulated fleet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from optimizer.control.controller import Controller
from optimizer.control.errors import ActuationError, ControlError, JournalError
from optimizer.control.journal import FileJournal, MemoryJournal
from optimizer.control.planner import Planner, Proposal
from optimizer.control.spec import (
    BreakerSpec,
    Clamp,
    ConditionType,
    ControlSpec,
    FaultKind,
    FaultSpec,
    ReplicaCounts,
    StabilizationSpec,
    Variant,
)
from optimizer.errors import PlanError
from optimizer.spec import FleetSpec
from tests.optimizer.control.fleets import World

RATES = {"chat": 40.0, "tags": 8.0}


def condition(world: World, kind: ConditionType) -> bool:
    found = world.controller.step(world.fleet.now_s).status.condition(kind)
    assert found is not None
    return found.status


def test_it_begins_and_holds_still(fleet: FleetSpec) -> None:
    """From nothing it serves the load, and at constant load changes nothing afterwards."""
    world = World(fleet, RATES)
    world.run(600)
    assert world.wanted["chat"] >= 2
    assert len({tuple(w.items()) for w in world.run(3600)}) == 1
    assert world.fleet.ticks["chat"].kept == world.fleet.ticks["chat"].arrived


def test_a_load_ten_times_as_large_is_met(fleet: FleetSpec) -> None:
    """Replicas rise as soon as it is seen, and fall again only after the window."""
    world = World(fleet, {"chat": 10.0, "tags": 1.0})
    world.run(900)
    few = world.wanted["chat"]
    world.rates["chat"] = 100.0
    world.run(120)
    assert world.wanted["chat"] > few
    world.run(900)
    many = world.wanted["chat"]
    world.rates["chat"] = 10.0
    assert min(w["chat"] for w in world.run(105)) >= many
    assert world.run(2 * 3600)[-1]["chat"] < many


def test_replicas_that_start_count_as_capacity(fleet: FleetSpec) -> None:
    """While replicas are pending no more are asked for: no cascade."""
    world = World(
        fleet,
        {"chat": 30.0, "tags": 0.0},
        faults=(FaultSpec(kind=FaultKind.START_FAILS, at_s=600),),
    )
    world.run(600)
    world.rates["chat"] = 60.0
    asked = [w["chat"] for w in world.run(300)]
    assert max(asked[8:]) == min(asked[8:])


def test_to_zero_and_back(fleet: FleetSpec) -> None:
    """A service that may goes to zero when it is known to get nothing, and comes back."""
    world = World(fleet, RATES)
    world.run(900)
    world.rates["tags"] = 0.0
    world.run(3600)
    assert world.wanted["tags"] == 0
    assert world.wanted["chat"] > 0
    world.rates["tags"] = 8.0
    world.run(120)
    assert world.wanted["tags"] > 0


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.METRICS_MISSING,
        FaultKind.METRICS_ZERO,
        FaultKind.METRICS_NAN,
        FaultKind.METRICS_STALE,
    ],
)
def test_missing_figures_never_lower_replicas(fleet: FleetSpec, kind: FaultKind) -> None:
    """Whatever is wrong with the figures, and though the load has gone: nothing falls.

    It falls once they are back.
    """
    world = World(fleet, RATES, faults=(FaultSpec(kind=kind, at_s=900.0, for_s=3600.0),))
    world.run(900)
    before = world.wanted
    world.rates = {"chat": 5.0, "tags": 0.0}
    for seen in world.run(3585):
        assert all(seen[name] >= before[name] for name in before)
    assert not condition(world, ConditionType.METRICS_AVAILABLE)
    world.run(3 * 3600)
    assert world.wanted["chat"] < before["chat"]


def test_a_failed_optimisation_changes_nothing(
    fleet: FleetSpec, planner: Planner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last good plan is held, a condition says so, and the next success goes on."""
    world = World(fleet, RATES, planner=planner)
    world.run(900)
    before = world.wanted

    def fails(*_: Any, **__: Any) -> Proposal:
        raise PlanError("no plan was found")

    monkeypatch.setattr(planner, "plan", fails)
    world.rates = {"chat": 100.0, "tags": 0.0}
    assert all(seen == before for seen in world.run(1800))
    found = world.controller.step(world.fleet.now_s).status
    failed = found.condition(ConditionType.OPTIMIZATION_READY)
    assert failed is not None
    assert not failed.status
    assert "no plan was found" in failed.message
    assert not condition(world, ConditionType.READY)
    monkeypatch.undo()
    world.run(120)
    assert world.wanted["chat"] > before["chat"]
    assert condition(world, ConditionType.READY)


def test_replicas_that_cannot_be_counted_are_not_changed(
    fleet: FleetSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An actuator that is blind gets no order."""
    world = World(fleet, RATES)
    world.run(600)
    before = world.wanted

    def blind(_: float) -> ReplicaCounts:
        raise ActuationError("the API server does not answer")

    monkeypatch.setattr(world.actuator, "counts", blind)
    world.rates["chat"] = 100.0
    assert all(seen == before for seen in world.run(600))
    assert not condition(world, ConditionType.ACTUATED)


def test_orders_that_fail_are_given_again(fleet: FleetSpec) -> None:
    """Until the replicas are as wanted."""
    faults = (FaultSpec(kind=FaultKind.ACTUATION_FAILS, at_s=0.0, for_s=300.0),)
    world = World(fleet, RATES, faults=faults)
    world.run(285)
    assert not condition(world, ConditionType.ACTUATED)
    assert world.wanted == {"chat": 0, "tags": 0}
    world.run(120)
    assert world.wanted["chat"] > 0


def test_the_breaker_holds_everything(fleet: FleetSpec) -> None:
    """A plan beyond the limits waits, and goes on once it is approved."""
    spec = ControlSpec(fleet="f", breaker=BreakerSpec(most_started_share=0.5, free_replicas=1))
    world = World(fleet, {"chat": 20.0, "tags": 0.0}, spec)
    world.run(900)
    before = world.wanted
    world.rates["chat"] = 200.0
    assert all(seen == before for seen in world.run(300))
    cycle = world.controller.step(world.fleet.now_s)
    digest = cycle.status.awaiting_approval
    assert digest
    assert Clamp.BREAKER in cycle.decision.services[0].clamps
    assert not world.controller.approve(world.fleet.now_s, "no")
    assert world.controller.approve(world.fleet.now_s, digest)
    world.run(60)
    assert world.wanted["chat"] > before["chat"]


def test_paused_it_decides_and_changes_nothing(fleet: FleetSpec) -> None:
    """The decisions say what would be done."""
    world = World(fleet, RATES, ControlSpec(fleet="f", paused=True))
    world.run(300)
    assert world.wanted == {"chat": 0, "tags": 0}
    decision = world.controller.step(world.fleet.now_s).decision
    assert sum(v.proposed for s in decision.services for v in s.variants) > 0
    assert all(Clamp.PAUSED in s.clamps for s in decision.services)


def test_an_edit_by_others_is_repaired(fleet: FleetSpec) -> None:
    """What is observed counts, not what was ordered last."""
    world = World(fleet, RATES)
    world.run(900)
    before = dict(world.wanted)
    chat = next(c.variant for c in world.fleet.counts().counts if c.variant.service == "chat")
    world.fleet.order(chat, 0)
    world.run(30)
    assert all(world.wanted[name] >= before[name] for name in before)


def test_cards_that_do_not_come_are_not_waited_for(fleet: FleetSpec) -> None:
    """Replicas pending beyond the timeout count as capacity no more, and others are used."""
    stabilization = StabilizationSpec(pending_timeout_s=300.0)
    world = World(
        fleet,
        {"chat": 10.0, "tags": 0.0},
        ControlSpec(fleet="f", stabilization=stabilization),
        faults=(FaultSpec(kind=FaultKind.START_FAILS, at_s=600.0, for_s=1200.0),),
    )
    world.run(600)
    world.rates["chat"] = 45.0
    world.run(450)
    counts = world.fleet.counts().counts
    assert sum(c.pending for c in counts if c.variant.accelerator == "A100") > 0
    world.run(3 * 3600)
    assert world.fleet.ticks["chat"].kept == world.fleet.ticks["chat"].arrived


def test_a_fleet_that_the_actuator_refuses_is_not_taken(
    fleet: FleetSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one before is kept as a whole."""
    world = World(fleet, RATES)
    world.run(60)
    kept = world.controller.fleet, world.controller.planner

    def refuses(variants: Sequence[Variant]) -> None:
        raise ControlError("no deployment stands for it")

    monkeypatch.setattr(world.actuator, "begin", refuses)
    with pytest.raises(ControlError, match="no deployment"):
        world.controller.adopt(fleet.model_copy(update={"services": fleet.services[:1]}))
    assert (world.controller.fleet, world.controller.planner) == kept


def test_a_state_of_another_fleet_is_refused(fleet: FleetSpec, tmp_path: Path) -> None:
    """A controller does not go on with what another one wrote."""
    journal = FileJournal(tmp_path / "state.json")
    World(fleet, RATES, journal=journal).run(60)
    other = fleet.model_copy(update={"name": "other"})
    with pytest.raises(JournalError, match="it is of fleet 'small', not 'other'"):
        World(other, RATES, journal=journal)


def test_what_cannot_be_written_down_is_not_done(
    fleet: FleetSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk stops changes, not the loop."""
    journal = MemoryJournal()
    world = World(fleet, RATES, journal=journal)

    def full(_: dict[str, Any]) -> None:
        raise JournalError("state.json: cannot be written: no space left")

    monkeypatch.setattr(journal, "write", full)
    world.run(120)
    assert world.wanted == {"chat": 0, "tags": 0}
    assert not condition(world, ConditionType.ACTUATED)
    monkeypatch.undo()
    world.run(60)
    assert world.wanted["chat"] > 0


def test_a_restart_forgets_no_caution(fleet: FleetSpec) -> None:
    """Without a journal, too, a new controller takes nothing away before a whole window."""
    world = World(fleet, RATES)
    world.run(900)
    before = dict(world.wanted)
    world.rates = {"chat": 5.0, "tags": 0.0}
    world.controller = world.restarted()
    assert isinstance(world.controller, Controller)
    for seen in world.run(world.spec.stabilization.down_window_s):
        assert all(seen[name] >= before[name] for name in before)
