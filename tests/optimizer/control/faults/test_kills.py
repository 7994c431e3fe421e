"""A controller that is killed between any two writes ends in the same replicas."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("httpx", reason="needs httpx (the extra 'control')")

from optimizer.control.planner import Planner
from optimizer.control.spec import Order, OrderOutcome, Variant
from optimizer.spec import FleetSpec, loads
from tests.optimizer.control.faults.loop import (
    CYCLE_S,
    DOWN_WINDOW_S,
    SPEC,
    Killed,
    Loop,
    begun,
)
from tests.optimizer.control.fleets import TEXT

REPOSITORY = Path(__file__).resolve().parents[4]


class Cut:
    """Kills the controller of a loop before or after a write to the outside.

    Parameters
    ----------
    loop
        Whose.
    at
        The write, counted from 1; 0: none.
    """

    def __init__(self, loop: Loop, at: int) -> None:
        self.at, self.points = at, 0
        write, apply = loop.journal.write, loop.actuator.apply

        def written(state: dict[str, Any]) -> None:
            self._point()
            write(state)
            self._point()

        def applied(now_s: float, order: Order) -> OrderOutcome:
            self._point()
            done = apply(now_s, order)
            self._point()
            return done

        loop.journal.write = written  # type: ignore[method-assign]
        loop.actuator.apply = applied  # type: ignore[method-assign]

    def _point(self) -> None:
        self.points += 1
        if self.points == self.at:
            raise Killed


def ended(fleet: FleetSpec, sized: Planner, at: int) -> tuple[dict[Variant, int], int]:
    """A rise of one service, a fall of the other, and a cut on the way."""
    loop = begun(Loop(fleet, sized, {"chat": 60.0, "tags": 60.0}))
    cut = Cut(loop, at)
    loop.rates = {"chat": 200.0, "tags": 12.0}
    loop.run(2 * DOWN_WINDOW_S + 6 * CYCLE_S)
    loop.nothing_lost()
    return {v: n for v, n in loop.fleet.counts().wanted().items() if n}, cut.points


def test_a_kill_at_every_write_ends_in_the_same_replicas() -> None:
    """Before and after each write of the journal and each order, in a rise and a fall."""
    fleet = loads(TEXT.replace("start_up_s: 60", "start_up_s: 20"))
    sized = Planner(fleet, SPEC)
    whole, points = ended(fleet, sized, 0)
    assert points >= 20
    for at in range(1, points + 1):
        assert ended(fleet, sized, at)[0] == whole, f"killed at write {at} of {points}"


@pytest.mark.slow
@pytest.mark.parametrize("death", ["replace", "apply"])
def test_a_process_that_is_killed_goes_on(tmp_path: Path, death: str) -> None:
    """SIGKILL while the journal is put in its place, and after the first order."""

    def replicas(folder: Path, how: str) -> tuple[int, list[Any]]:
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "tests.optimizer.control.faults.victim", folder, how]
        done = subprocess.run(
            list(map(str, command)), cwd=REPOSITORY, timeout=120, capture_output=True, check=False
        )
        file = folder / "replicas.json"
        held = json.loads(file.read_text()) if file.exists() else []
        return done.returncode, sorted(held, key=str)

    code, whole = replicas(tmp_path / "whole", "")
    assert code == 0
    assert whole
    code, cut = replicas(tmp_path / "cut", death)
    assert code == -signal.SIGKILL
    assert cut != whole
    assert replicas(tmp_path / "cut", "") == (0, whole)
