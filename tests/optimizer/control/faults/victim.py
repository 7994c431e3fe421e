"""A controller in a process of its own, whose replicas stand in a file; it may kill itself.

python -m tests.optimizer.control.faults.victim FOLDER [replace|apply]
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from optimizer.control.actuators.base import Actuator, outcome
from optimizer.control.collectors.base import Collector
from optimizer.control.controller import Controller
from optimizer.control.journal import FileJournal
from optimizer.control.spec import (
    FleetObservation,
    Order,
    OrderOutcome,
    OrderResult,
    Reading,
    ReplicaCount,
    ReplicaCounts,
    ServiceObservation,
    Variant,
)
from optimizer.spec import loads
from tests.optimizer.control.faults.loop import SPEC
from tests.optimizer.control.fleets import TEXT

RATES = {"chat": 90.0, "tags": 30.0}


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Told(Collector):
    name, summary = "told", "always the same"

    def collect(self, now_s: float, counts: ReplicaCounts | None) -> FleetObservation:
        return FleetObservation(
            at_s=now_s,
            services=tuple(
                ServiceObservation(service=name, arrival_rate_rps=Reading.of(rate))
                for name, rate in RATES.items()
            ),
        )


class FileActuator(Actuator):
    name, summary = "file", "replicas are numbers in a file"

    def __init__(self, path: Path, *, dies: bool) -> None:
        self.path, self.dies = path, dies

    def _held(self) -> list[list[object]]:
        return json.loads(self.path.read_text()) if self.path.exists() else []

    def counts(self, now_s: float) -> ReplicaCounts:
        found = ((Variant.model_validate(v), int(str(n))) for v, n in self._held())
        return ReplicaCounts(
            at_s=now_s,
            counts=tuple(ReplicaCount(variant=v, wanted=n, ready=n) for v, n in found),
        )

    def apply(self, now_s: float, order: Order) -> OrderOutcome:
        mine = order.variant.model_dump(mode="json")
        rest = [entry for entry in self._held() if entry[0] != mine]
        self.path.write_text(json.dumps([*rest, [mine, order.replicas]]))
        if self.dies:
            _die()
        return outcome(order, OrderResult.APPLIED)


def main(folder: Path, death: str) -> None:
    """Ten looks; killed in the middle of the first plan where that is asked for."""
    if death == "replace":
        os.replace = lambda *_: _die()  # type: ignore[assignment]
    fleet = loads(TEXT)
    actuator = FileActuator(folder / "replicas.json", dies=death == "apply")
    journal = FileJournal(folder / "state.json")
    controller = Controller(fleet, SPEC, Told(fleet, {}), actuator, journal)
    for look in range(10):
        controller.step(10.0 * look)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
