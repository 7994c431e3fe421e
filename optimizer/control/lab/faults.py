"""What goes wrong in a scenario, and when."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from optimizer.control.lab.fluid_fleet import FluidFleet
from optimizer.control.lab.replicas import Starting
from optimizer.control.spec import FaultKind, FaultSpec

__all__ = ["Faults"]


@dataclass
class Faults:
    """The faults of a scenario, on its clock.

    Parameters
    ----------
    faults
        What the scenario says.
    done
        Places of those that happen once and have happened.
    """

    faults: tuple[FaultSpec, ...]
    done: set[int] = field(default_factory=set)

    def active(self, kind: FaultKind, now_s: float, service: str | None = None) -> bool:
        """Whether a fault of a kind is on, for a service or for any."""
        return any(service is None or f.service in (None, service) for f in self.on(kind, now_s))

    def on(self, kind: FaultKind, now_s: float) -> Iterable[FaultSpec]:
        """Return the faults of a kind that are on."""
        return [
            fault
            for fault in self.faults
            if fault.kind is kind
            and fault.at_s <= now_s
            and (fault.for_s is None or now_s < fault.at_s + fault.for_s)
        ]

    def apply(self, fleet: FluidFleet) -> None:
        """Let happen to the fleet what its time has come for."""
        now_s = fleet.now_s
        fleet.starting = Starting(
            possible=not self.active(FaultKind.START_FAILS, now_s),
            lasting=not self.active(FaultKind.CRASH_LOOP, now_s),
            slowness=math.prod(f.factor for f in self.on(FaultKind.SLOW_START, now_s)),
        )
        fleet.slowness = {}
        for fault in self.on(FaultKind.SLOW_MODEL, now_s):
            for service in fleet.fleet.services:
                if fault.service in (None, service.name):
                    slower = fleet.slowness.get(service.name, 1.0) * fault.factor
                    fleet.slowness[service.name] = slower
        for place, fault in enumerate(self.faults):
            if fault.kind is FaultKind.NODE_LOSS and fault.at_s <= now_s and place not in self.done:
                self.done.add(place)
                fleet.lose(fault.service, fault.share)

    def cards(self, fleet: FluidFleet) -> dict[str, int] | None:
        """Return the cards that are left per type, where some are lost."""
        stated = {entry.type: entry.cards for entry in fleet.fleet.capacities}
        left: dict[str, int] = {}
        for fault in self.on(FaultKind.CARDS_LOST, fleet.now_s):
            for kind, cards in stated.items():
                if fault.type in (None, kind):
                    left[kind] = int(cards * fault.share)
        return left or None

    def starts_s(self) -> tuple[float, ...]:
        """Return when they begin."""
        return tuple(sorted({fault.at_s for fault in self.faults}))
