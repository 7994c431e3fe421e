"""The rules of Kubernetes' horizontal pod autoscaler, on requests in flight or per second.

Sources: Kubernetes documentation, *Horizontal Pod Autoscaling* (algorithm, tolerance 0.1, sync
period 15 s, stabilisation windows 0 s up and 300 s down, default policies: up the larger of 4 pods
and 100 % per 15 s, down 100 % per 15 s). Replicas that are not ready count as idle when scaling up.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

from optimizer.control.lab.baselines.base import Baseline, Surroundings
from optimizer.control.spec import FleetObservation, ReplicaCounts, ServiceObservation, Variant

__all__ = ["HorizontalBaseline"]

_TOLERANCE = 0.1
_MOST_PODS_UP = 4


class HorizontalBaseline(Baseline):
    """desired = ceil(current * metric / target), stabilised.

    Parameters
    ----------
    target_share
        Target per replica, as a share of what a replica holds, or gets, at the rate at which it
        just keeps its objectives.
    down_window_s
        Stabilisation window of reductions [s].
    by_rate
        Whether the metric is requests per second instead of requests in flight.
    """

    name = "hpa"
    interval_s = 15.0

    def __init__(
        self,
        surroundings: Surroundings,
        target_share: float = 0.8,
        down_window_s: float = 300.0,
        *,
        by_rate: bool = False,
    ) -> None:
        self._window_s, self._by_rate = down_window_s, by_rate
        self._target = {}
        self._range = {s.name: s.replicas for s in surroundings.fleet.services}
        self._place_of = surroundings.place_of
        for service, variant in surroundings.place_of.items():
            curves, rate = surroundings.curves_of(variant), surroundings.rate_of(variant)
            full = rate if by_rate else curves.requests_at(rate)
            self._target[service] = max(target_share * full, 1e-9)
        self._wished: dict[str, deque[tuple[float, int]]] = {s: deque() for s in self._target}

    def begin_with(self, now: Mapping[Variant, int]) -> Mapping[Variant, int]:
        """Return what suits the beginning."""
        return now

    def decide(
        self, now_s: float, seen: FleetObservation, counts: ReplicaCounts
    ) -> Mapping[Variant, int]:
        """Return desired replicas; of services without figures none."""
        there = {count.variant: count for count in counts.counts}
        found = {}
        for service in seen.services:
            variant = self._place_of.get(service.service)
            if variant is None:
                continue
            count = there.get(variant)
            current = 0 if count is None else count.wanted
            ready = 0 if count is None else count.ready
            metric = self._metric(service)
            if metric is None:
                continue  # a figure that cannot be fetched changes nothing
            wish = self._desired(service.service, metric, ready, current)
            found[variant] = self._stabilized(now_s, service.service, wish, current)
        return found

    def _metric(self, service: ServiceObservation) -> float | None:
        """Return the metric over all replicas; None where it cannot be had."""
        if self._by_rate:
            return service.arrival_rate_rps.value
        waiting, running = service.waiting.value, service.running.value
        return None if waiting is None or running is None else waiting + running

    def _desired(self, service: str, metric: float, ready: int, current: int) -> int:
        least = max(self._range[service].min, 1)
        most = self._range[service].max
        if current == 0 or ready == 0:
            return max(current, least)
        ratio = metric / ready / self._target[service]
        if abs(ratio - 1.0) <= _TOLERANCE:
            return current
        if ratio > 1.0 and ready < current:
            ratio = metric / current / self._target[service]  # those starting count as idle
            if ratio <= 1.0 + _TOLERANCE:
                return current
            wish = math.ceil(ratio * current)
        else:
            wish = math.ceil(ratio * ready)
        wish = max(wish, least)
        return wish if most is None else min(wish, most)

    def _stabilized(self, now_s: float, service: str, wish: int, current: int) -> int:
        past = self._wished[service]
        past.append((now_s, wish))
        while len(past) > 1 and past[0][0] <= now_s - self._window_s:
            past.popleft()
        if wish < current:
            wish = min(max(count for _, count in past), current)
        return min(wish, max(2 * current, current + _MOST_PODS_UP))
