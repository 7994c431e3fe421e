"""The abstract baseline: replicas from what is seen now."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from optimizer.control.lab.service_curves import Curves
from optimizer.control.spec import FleetObservation, ReplicaCounts, ScenarioSpec, Variant
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["Baseline", "Surroundings"]


@dataclass(frozen=True)
class Surroundings:
    """What every baseline is given.

    Parameters
    ----------
    fleet, scenario
        As described.
    place_of
        The variant that serves each service: that of a plan for all services' peaks.
    peak
        Replicas of that plan.
    curves_of
        What one replica of a variant does at every rate, at the described lengths.
    rate_of
        What one replica of a variant carries within its objectives [requests/s].
    """

    fleet: FleetSpec
    scenario: ScenarioSpec
    place_of: Mapping[str, Variant]
    peak: Mapping[Variant, int]
    curves_of: Callable[[Variant], Curves]
    rate_of: Callable[[Variant], float]


class Baseline(ABC):
    """Says at intervals how many replicas there should be.

    Attributes
    ----------
    name
        As in scenarios.
    interval_s
        Time between two decisions [s].
    """

    name: ClassVar[str]
    interval_s: float

    @abstractmethod
    def begin_with(self, now: Mapping[Variant, int]) -> Mapping[Variant, int]:
        """Return what it starts with, given what suits the load of the beginning."""

    @abstractmethod
    def decide(
        self, now_s: float, seen: FleetObservation, counts: ReplicaCounts
    ) -> Mapping[Variant, int]:
        """Return replicas by variant; those left out stay as they are."""
