"""The abstract actuator: what everything that changes replicas, ours or a guest, promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from optimizer.control.errors import ControlError
from optimizer.control.spec import Order, OrderOutcome, OrderResult, ReplicaCounts, Variant
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["Actuator", "outcome"]


class Actuator(ABC):
    """Counts and changes the replicas of a fleet's variants.

    Orders say how many replicas there should be, not how many more: giving one again changes
    nothing. Registered in the entry-point group `fleetopt.actuators`; built with the fleet, the
    folder of the control configuration and its own options.

    Attributes
    ----------
    name, summary
        Name in the registry, and one line on what it changes.
    """

    name: ClassVar[str]
    summary: ClassVar[str]

    def __init__(self, fleet: FleetSpec, folder: Path, options: Mapping[str, Any]) -> None:
        """Refuse options that it does not have; subclasses read their own first."""
        del fleet, folder
        if options:
            raise ControlError(f"actuator '{self.name}' has no option {', '.join(sorted(options))}")

    def begin(self, variants: Sequence[Variant]) -> None:
        """Hear of every way in which the fleet's services can be deployed; ignored by default."""
        del variants

    def deployable(self) -> frozenset[Variant] | None:
        """Return the variants that can have replicas; None, the default: all."""
        return None

    def taken(self) -> Mapping[str, int]:
        """Return cards by type that others hold beside the replicas counted, as last seen."""
        return {}

    @abstractmethod
    def counts(self, now_s: float) -> ReplicaCounts:
        """Return the replicas that are there, as they are, not as they were ordered.

        Raises
        ------
        ActuationError
            If they cannot be had: then nothing is changed.
        """

    @abstractmethod
    def apply(self, now_s: float, order: Order) -> OrderOutcome:
        """Carry out one order; what goes wrong is an outcome, not an exception."""

    def close(self) -> None:
        """Give back what it holds; nothing by default."""
        return


def outcome(order: Order, result: OrderResult, detail: str = "") -> OrderOutcome:
    """Return what became of an order."""
    return OrderOutcome(order=order, result=result, detail=detail)
