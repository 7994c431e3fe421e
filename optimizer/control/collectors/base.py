"""The abstract collector: what every source of figures, ours or a guest, promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from optimizer.control.errors import ControlError
from optimizer.control.spec import FleetObservation, ReplicaCounts
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["Collector"]


class Collector(ABC):
    """Observes the traffic of a fleet's services.

    A figure that cannot be had is missing, with its reason: `collect` does not raise for a source
    that is down, slow or talks nonsense, and never reads absence as zero. Registered in the
    entry-point group `fleetopt.collectors`; built with the fleet and its own options.

    Attributes
    ----------
    name, summary
        Name in the registry, and one line on what it reads.
    window_s, recent_s
        Time over which rates, and recent rates, are counted [s].
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    window_s: float = 60.0
    recent_s: float = 30.0

    def __init__(self, fleet: FleetSpec, options: Mapping[str, Any]) -> None:
        """Refuse options that it does not have; subclasses read their own first."""
        del fleet
        if options:
            raise ControlError(
                f"collector '{self.name}' has no option {', '.join(sorted(options))}"
            )

    @abstractmethod
    def collect(self, now_s: float, counts: ReplicaCounts | None) -> FleetObservation:
        """Return what is seen now of every service of the fleet.

        Parameters
        ----------
        now_s
            Time of the controller's clock [s].
        counts
            The replicas that are there, where that is known: what others report is not counted.
        """

    def close(self) -> None:
        """Give back what it holds; nothing by default."""
        return
