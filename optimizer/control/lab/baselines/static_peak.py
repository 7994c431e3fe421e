"""Replicas for the peak, all the time."""

from __future__ import annotations

from collections.abc import Mapping

from optimizer.control.lab.baselines.base import Baseline, Surroundings
from optimizer.control.spec import FleetObservation, ReplicaCounts, Variant

__all__ = ["StaticPeakBaseline"]


class StaticPeakBaseline(Baseline):
    """What who knows the peak in advance buys for it."""

    name = "static-peak"
    interval_s = 3600.0

    def __init__(self, surroundings: Surroundings) -> None:
        self._peak = dict(surroundings.peak)

    def begin_with(self, now: Mapping[Variant, int]) -> Mapping[Variant, int]:
        """Return the peak's replicas."""
        del now
        return self._peak

    def decide(
        self, now_s: float, seen: FleetObservation, counts: ReplicaCounts
    ) -> Mapping[Variant, int]:
        """Return the peak's replicas."""
        del now_s, seen, counts
        return self._peak
