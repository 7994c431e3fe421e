"""Orders to a file: what would be done, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optimizer.control.actuators.base import Actuator, outcome
from optimizer.control.errors import ControlError
from optimizer.control.spec import (
    Order,
    OrderOutcome,
    OrderResult,
    ReplicaCount,
    ReplicaCounts,
    Variant,
)
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["DryRunActuator"]


class DryRunActuator(Actuator):
    """Appends every order to a file of JSON lines, and pretends that it was carried out at once.

    What runs at the beginning is what the fleet's description says (`services[].current`).

    Options: `file`, beside the control configuration; by default `orders.jsonl`.
    """

    name = "dry-run"
    summary = "writes orders to a file and changes nothing"

    def __init__(self, fleet: FleetSpec, folder: Path, options: Mapping[str, Any]) -> None:
        rest = dict(options)
        file = rest.pop("file", "orders.jsonl")
        if not isinstance(file, str) or not file:
            raise ControlError(f"actuator 'dry-run': file = {file!r}: must be the name of a file")
        super().__init__(fleet, folder, rest)
        self.path = folder / file
        self._current = {s.name: s.deployed for s in fleet.services}
        self._counts: dict[Variant, int] = {}

    def begin(self, variants: Sequence[Variant]) -> None:
        """Take what the description says to run for what runs."""
        for variant in variants:
            for current in self._current.get(variant.service, ()):
                here = current.accelerator == variant.accelerator
                if here and current.max_batch in (None, variant.max_batch):
                    self._counts.setdefault(variant, current.replicas)
                    break

    def counts(self, now_s: float) -> ReplicaCounts:
        """Return the replicas as if every order had been carried out."""
        found = (ReplicaCount(variant=v, wanted=n, ready=n) for v, n in self._counts.items())
        return ReplicaCounts(at_s=now_s, counts=tuple(found))

    def apply(self, now_s: float, order: Order) -> OrderOutcome:
        """Write the order down."""
        line = {"at_s": now_s, **order.model_dump(mode="json")}
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
        except OSError as error:
            return outcome(order, OrderResult.FAILED, f"{self.path}: {error.strerror}")
        self._counts[order.variant] = order.replicas
        return outcome(order, OrderResult.APPLIED, "dry run")
