"""The simulated fleet as the controller sees it: a collector and an actuator in process."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from optimizer.control.actuators.base import Actuator, outcome
from optimizer.control.collectors.base import Collector
from optimizer.control.errors import ActuationError
from optimizer.control.lab.faults import Faults
from optimizer.control.lab.fluid_fleet import FluidFleet, ServiceTick
from optimizer.control.spec import (
    FaultKind,
    FleetObservation,
    MissingReason,
    Order,
    OrderOutcome,
    OrderResult,
    Reading,
    ReplicaCounts,
    ServiceObservation,
    Variant,
)

__all__ = ["SimulatedActuator", "SimulatedCollector"]

_FAULTY = {
    FaultKind.METRICS_MISSING: MissingReason.UNREACHABLE,
    FaultKind.METRICS_ZERO: MissingReason.EMPTY,
    FaultKind.METRICS_NAN: MissingReason.NOT_FINITE,
    FaultKind.METRICS_STALE: MissingReason.STALE,
}


class SimulatedCollector(Collector):
    """Figures of the simulated fleet, over a window, with the scenario's faults.

    Parameters
    ----------
    fleet
        The simulated fleet.
    faults
        What goes wrong.
    window_s, recent_s
        Time over which rates and recent rates are counted [s].
    """

    name = "simulated"
    summary = "the simulated fleet of the laboratory, in process"

    def __init__(
        self, fleet: FluidFleet, faults: Faults, window_s: float = 60.0, recent_s: float = 15.0
    ) -> None:
        self.window_s, self.recent_s = window_s, recent_s
        self._fleet, self._faults = fleet, faults
        self._past: deque[tuple[float, dict[str, ServiceTick]]] = deque()

    def remember(self, dt_s: float) -> None:
        """Take in the fleet's last step."""
        self._past.append((dt_s, dict(self._fleet.ticks)))
        while sum(step for step, _ in self._past) > self.window_s + 1e-9:
            self._past.popleft()

    def collect(self, now_s: float, counts: ReplicaCounts | None) -> FleetObservation:
        """Return what a monitoring system would show."""
        del counts
        return FleetObservation(
            at_s=now_s,
            services=tuple(self._service(s.name, now_s) for s in self._fleet.fleet.services),
            cards=self._faults.cards(self._fleet),
        )

    def _service(self, service: str, now_s: float) -> ServiceObservation:
        for kind, why in _FAULTY.items():
            if self._faults.active(kind, now_s, service):
                missing = Reading.none(why, f"fault {kind}")
                return ServiceObservation(
                    service=service, arrival_rate_rps=missing, waiting=missing, running=missing
                )
        ticks = [(step, past[service]) for step, past in self._past if service in past]
        span_s = sum(step for step, _ in ticks)
        if span_s <= 0:
            nothing = Reading.none(MissingReason.EMPTY, "nothing was seen yet")
            return ServiceObservation(service=service, arrival_rate_rps=nothing)
        came = [tick for _, tick in ticks if tick.arrived > 0]
        last = ticks[-1][1]

        def mean(values: Sequence[float]) -> Reading:
            known = [(v, t.arrived) for v, t in zip(values, came, strict=True) if math.isfinite(v)]
            weight = sum(w for _, w in known)
            if weight <= 0:
                return Reading.none(MissingReason.NO_TRAFFIC)
            return Reading.of(sum(v * w for v, w in known) / weight)

        return ServiceObservation(
            service=service,
            arrival_rate_rps=Reading.of(sum(tick.arrived for _, tick in ticks) / span_s),
            recent_rate_rps=self._recent(ticks),
            completed_rate_rps=Reading.of(sum(tick.completed for _, tick in ticks) / span_s),
            input_tokens=mean([tick.load.input_tokens for tick in came]),
            output_tokens=mean([tick.load.output_tokens for tick in came]),
            waiting=Reading.of(last.waiting),
            running=Reading.of(last.running),
            ttft_ms=mean([tick.ttft_ms for tick in came]),
            itl_ms=mean([tick.itl_ms for tick in came]),
        )

    def _recent(self, ticks: Sequence[tuple[float, ServiceTick]]) -> Reading:
        came = span_s = 0.0
        for step, tick in reversed(ticks):
            if span_s >= self.recent_s - 1e-9:
                break
            came, span_s = came + tick.arrived, span_s + step
        return Reading.of(came / span_s)


class SimulatedActuator(Actuator):
    """Orders to the simulated fleet; the clock is the fleet's own."""

    name = "simulated"
    summary = "the simulated fleet of the laboratory, in process"

    def __init__(self, fleet: FluidFleet, faults: Faults) -> None:
        self._fleet, self._faults = fleet, faults
        self._known = frozenset(fleet.variants)

    def counts(self, now_s: float) -> ReplicaCounts:
        """Return the replicas that are there."""
        if self._faults.active(FaultKind.REPLICAS_UNKNOWN, now_s):
            raise ActuationError("fault replicas-unknown")
        return self._fleet.counts()

    def apply(self, now_s: float, order: Order) -> OrderOutcome:
        """Carry out one order."""
        if self._faults.active(FaultKind.ACTUATION_FAILS, now_s, order.variant.service):
            return outcome(order, OrderResult.FAILED, "fault actuation-fails")
        if self._faults.active(FaultKind.ORDERS_CONFLICT, now_s, order.variant.service):
            return outcome(order, OrderResult.CONFLICT, "fault orders-conflict")
        variant: Variant = order.variant
        if variant not in self._known:
            return outcome(order, OrderResult.REFUSED, "there is no such deployment")
        self._fleet.order(variant, order.replicas)
        if self._faults.active(FaultKind.ANSWERS_LOST, now_s, variant.service):
            return outcome(order, OrderResult.FAILED, "fault answers-lost")
        return outcome(order, OrderResult.APPLIED)
