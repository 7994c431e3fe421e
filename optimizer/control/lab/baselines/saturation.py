"""Scaling by saturation, after llm-d's workload-variant-autoscaler.

Rules and thresholds as its documentation of early 2026 gives them: a replica is saturated at a KV
cache used to 0.80 or a queue of 5; a model gets one more replica when the mean spare KV cache of
those that are not falls below 0.10 or their spare queue below 3, one less when the others could
take its load and keep these spares, and nothing while a replica is starting.
"""

from __future__ import annotations

from collections.abc import Mapping

from optimizer.control.lab.baselines.base import Baseline, Surroundings
from optimizer.control.spec import FleetObservation, ReplicaCounts, Variant

__all__ = ["SaturationBaseline"]

_KV_SATURATED = 0.80
_QUEUE_SATURATED = 5.0
_SPARE_KV = 0.10
_SPARE_QUEUE = 3.0


class SaturationBaseline(Baseline):
    """One replica up or down at a time; the KV cache's use is that of the batch."""

    name = "saturation"
    interval_s = 30.0

    def __init__(self, surroundings: Surroundings) -> None:
        self._place_of = surroundings.place_of
        self._least = {s.name: max(s.replicas.min, 1) for s in surroundings.fleet.services}

    def begin_with(self, now: Mapping[Variant, int]) -> Mapping[Variant, int]:
        """Return what suits the beginning."""
        return now

    def decide(
        self, now_s: float, seen: FleetObservation, counts: ReplicaCounts
    ) -> Mapping[Variant, int]:
        """Return replicas one more, one less or as they are."""
        del now_s
        there = {count.variant: count for count in counts.counts}
        found = {}
        for service in seen.services:
            variant = self._place_of.get(service.service)
            count = None if variant is None else there.get(variant)
            waiting, running = service.waiting.value, service.running.value
            if variant is None or count is None or waiting is None or running is None:
                continue
            if count.ready == 0 or count.ready != count.wanted:
                continue
            usage = running / count.ready / max(variant.max_batch or 1, 1)
            queue = waiting / count.ready
            found[variant] = count.wanted + self._step(service.service, count.ready, usage, queue)
        return found

    def _step(self, service: str, ready: int, usage: float, queue: float) -> int:
        if _KV_SATURATED - usage < _SPARE_KV or _QUEUE_SATURATED - queue < _SPARE_QUEUE:
            return 1
        if ready <= self._least[service]:
            return 0
        heavier = ready / (ready - 1)
        spare = _KV_SATURATED - usage * heavier >= _SPARE_KV
        return -1 if spare and _QUEUE_SATURATED - queue * heavier >= _SPARE_QUEUE else 0
