"""A controller of files: it goes on when they change, and holds when they are wrong."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from optimizer.control import actuators, collectors
from optimizer.control.actuators.dry_run import DryRunActuator
from optimizer.control.collectors.base import Collector
from optimizer.control.configured import ConfiguredControl
from optimizer.control.spec import (
    ConditionType,
    FleetObservation,
    Reading,
    ReplicaCounts,
    ServiceObservation,
)
from optimizer.spec import FleetSpec
from tests.optimizer.control.fleets import TEXT

CONFIG = """
fleet: fleet.yaml
state: state.json
collector: {name: told}
stabilization: {down_window_s: 30, cooldown_down_s: 0}
"""
RATES = {"chat": 40.0, "tags": 0.0}


class Told(Collector):
    name, summary = "told", "as the test says"

    def __init__(self, fleet: FleetSpec, options: dict[str, object]) -> None:
        super().__init__(fleet, options)

    def collect(self, now_s: float, counts: ReplicaCounts | None) -> FleetObservation:
        return FleetObservation(
            at_s=now_s,
            services=tuple(
                ServiceObservation(service=name, arrival_rate_rps=Reading.of(rate))
                for name, rate in RATES.items()
            ),
        )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(collectors, "get", lambda name: Told)
    monkeypatch.setattr(actuators, "get", lambda name: DryRunActuator)
    monkeypatch.setitem(RATES, "chat", 40.0)
    (tmp_path / "fleet.yaml").write_text(TEXT, encoding="utf-8")
    (tmp_path / "control.yaml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


def wanted(control: ConfiguredControl) -> int:
    return sum(control.controller.actuator.counts(0.0).wanted().values())


def test_a_changed_fleet_is_taken_up(folder: Path) -> None:
    """A tighter objective in the fleet's file leads to more replicas at the next step."""
    control = ConfiguredControl(folder / "control.yaml")
    control.step(0.0)
    before = wanted(control)
    text = TEXT.replace("{metric: itl_ms, bound: 30}", "{metric: itl_ms, bound: 10}")
    (folder / "fleet.yaml").write_text(text + "# changed\n", encoding="utf-8")
    cycle = control.step(15.0)
    assert "fleet" in cycle.decision.trigger
    assert wanted(control) > before


def test_a_wrong_fleet_is_told_and_not_taken(folder: Path) -> None:
    """The one before is held, and a condition says what is wrong with the new one."""
    control = ConfiguredControl(folder / "control.yaml")
    control.step(0.0)
    before = wanted(control)
    (folder / "fleet.yaml").write_text("services: nonsense", encoding="utf-8")
    told = control.step(15.0).status.condition(ConditionType.CONFIGURATION_VALID)
    assert told is not None
    assert not told.status
    assert "fleet.yaml" in told.message
    assert wanted(control) == before
    (folder / "fleet.yaml").write_text(TEXT + "# mended\n", encoding="utf-8")
    told = control.step(30.0).status.condition(ConditionType.CONFIGURATION_VALID)
    assert told is not None
    assert told.status


def test_an_approval_in_its_file_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the breaker holds goes on after it."""
    breaker = "breaker: {free_replicas: 1, most_started_share: 0.5}\n"
    (folder / "control.yaml").write_text(CONFIG + breaker, encoding="utf-8")
    control = ConfiguredControl(folder / "control.yaml")
    control.step(0.0)
    before = wanted(control)
    monkeypatch.setitem(RATES, "chat", 200.0)
    held = control.step(15.0).status.awaiting_approval
    assert held
    assert wanted(control) == before
    (folder / "state.json.approve").write_text(held + "\n", encoding="utf-8")
    control.step(30.0)
    assert wanted(control) > before
    assert not (folder / "state.json.approve").exists()


def test_a_dry_run_writes_nothing(folder: Path) -> None:
    """No orders and no state."""
    control = ConfiguredControl(folder / "control.yaml", dry_run=True)
    cycle = control.step(0.0)
    assert cycle.outcomes
    assert not any(outcome.done for outcome in cycle.outcomes)
    assert sorted(path.name for path in folder.iterdir()) == ["control.yaml", "fleet.yaml"]


def test_it_runs_until_it_is_stopped(folder: Path) -> None:
    """A step at every interval of the clock it is given."""
    control = ConfiguredControl(folder / "control.yaml")
    now, seen = [0.0], []

    def wait(seconds: float) -> bool:
        now[0] += seconds
        return len(seen) == 4

    control.run(lambda: now[0], wait, lambda cycle: seen.append(cycle.decision.at_s))
    control.close()
    assert seen == [0.0, 15.0, 30.0, 45.0]


def test_a_file_that_changes_is_noticed_at_once(folder: Path) -> None:
    """The loop looks within a second, not at the next interval, and goes on as before."""
    control = ConfiguredControl(folder / "control.yaml")
    now, seen = [0.0], []

    def wait(seconds: float) -> bool:
        now[0] += seconds
        if now[0] == 4.0:
            (folder / "fleet.yaml").write_text(TEXT + "# changed\n", encoding="utf-8")
        return len(seen) == 4

    control.run(lambda: now[0], wait, lambda cycle: seen.append(cycle.decision))
    control.close()
    assert [decision.at_s for decision in seen] == [0.0, 4.0, 19.0, 34.0]
    assert seen[1].trigger == "event: fleet"


def test_an_event_plans_at_once_and_cooldowns_hold(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often something happens, two rises of a service keep their distance."""
    cooldown = CONFIG.replace("down_window_s: 30,", "down_window_s: 30, cooldown_up_s: 60,")
    (folder / "control.yaml").write_text(cooldown, encoding="utf-8")
    control = ConfiguredControl(folder / "control.yaml")
    control.step(0.0)
    at = {}
    for second in range(1, 90):
        monkeypatch.setitem(RATES, "chat", 40.0 + 3.0 * second)
        control.controller.notify("burst")
        cycle = control.step(float(second))
        assert "burst" in cycle.decision.trigger
        at[second] = wanted(control)
    rises = [second for second in range(2, 90) if at[second] > at[second - 1]]
    assert rises
    assert all(later - earlier >= 60 for earlier, later in itertools.pairwise(rises))
