"""Desired replicas as gauges, for a horizontal autoscaler (HPA or KEDA) to follow.

Nothing is changed by the controller itself: an autoscaler with the external metric
`fleetopt_desired_replicas` and a target of 1 per replica does. What is counted is what it made of
the gauges, as seen in the same monitoring system or told by another program.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optimizer.control.actuators.base import Actuator, outcome
from optimizer.control.errors import ActuationError, ControlError
from optimizer.control.spec import (
    Order,
    OrderOutcome,
    OrderResult,
    ReplicaCount,
    ReplicaCounts,
    Variant,
)
from optimizer.spec.fleet_spec import FleetSpec

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Gauge

__all__ = ["GaugesActuator"]

_LABELS = ("service", "accelerator", "configuration", "max_batch")


class GaugesActuator(Actuator):
    """Serves gauges over HTTP on the loopback interface, or in a registry of the caller.

    Options: `port` of 127.0.0.1 to serve on (by default 0: not served), `address` in place of
    127.0.0.1, `inferno_names` and `wva_names`, whether `inferno_desired_replicas` and
    `wva_desired_replicas` are exposed too, and `counts_file`: a JSON document of kind
    ReplicaCounts that another program keeps, of the replicas as they are. Without that file what
    was ordered counts as carried out at once, and quotas then hold for what is wanted alone.
    """

    name = "gauges"
    summary = "exposes fleetopt_desired_replicas for HPA or KEDA to follow"

    def __init__(
        self,
        fleet: FleetSpec,
        folder: Path,
        options: Mapping[str, Any],
        registry: CollectorRegistry | None = None,
    ) -> None:
        from prometheus_client import CollectorRegistry, Gauge

        rest = dict(options)
        port = _typed(rest, "port", int, 0)
        address = _typed(rest, "address", str, "127.0.0.1")
        inferno = _typed(rest, "inferno_names", bool, False)
        wva = _typed(rest, "wva_names", bool, False)
        file = _typed(rest, "counts_file", str, "")
        super().__init__(fleet, folder, rest)
        if not 0 <= port < 2**16:
            raise ControlError(f"actuator 'gauges': port = {port}: must be from 0 to 65535")
        self.registry = registry or CollectorRegistry()
        self._file = folder / file if file else None
        self._wanted: dict[Variant, int] = {}
        names = ["fleetopt_desired_replicas"]
        names += ["inferno_desired_replicas"] * inferno + ["wva_desired_replicas"] * wva
        self._gauges: list[Gauge] = [
            Gauge(name, "Replicas that the plan wants.", _LABELS, registry=self.registry)
            for name in names
        ]
        self._success = Gauge(
            "fleetopt_last_success_timestamp_seconds",
            "When replicas were last set.",
            registry=self.registry,
        )
        self._lock = threading.Lock()
        self._server: Any = None
        if port:
            from prometheus_client import start_http_server

            try:
                self._server, _ = start_http_server(port, addr=address, registry=self.registry)
            except OSError as error:
                raise ControlError(
                    f"actuator 'gauges': cannot serve on {address}:{port}: {error.strerror}; "
                    "choose another port"
                ) from error

    def begin(self, variants: Sequence[Variant]) -> None:
        """Show every variant that something is known of, so that none looks as if it were zero."""
        del variants
        for count in self._read(0.0).counts if self._file is not None else ():
            self._show(count.variant, count.wanted)

    def counts(self, now_s: float) -> ReplicaCounts:
        """Return the replicas as they are, or, without a file of them, as they are wanted."""
        if self._file is not None:
            return self._read(now_s)
        with self._lock:
            found = tuple(
                ReplicaCount(variant=v, wanted=n, ready=n) for v, n in self._wanted.items()
            )
        return ReplicaCounts(at_s=now_s, counts=found)

    def apply(self, now_s: float, order: Order) -> OrderOutcome:
        """Set the gauges."""
        unchanged = self._wanted.get(order.variant) == order.replicas
        self._show(order.variant, order.replicas)
        self._success.set(now_s)
        return outcome(order, OrderResult.UNCHANGED if unchanged else OrderResult.APPLIED)

    def close(self) -> None:
        """Serve no longer: gauges that nobody keeps must not stay."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _show(self, variant: Variant, replicas: int) -> None:
        with self._lock:
            self._wanted[variant] = replicas
        batch = "" if variant.max_batch is None else str(variant.max_batch)
        for gauge in self._gauges:
            gauge.labels(variant.service, variant.accelerator, variant.configuration, batch).set(
                replicas
            )

    def _read(self, now_s: float) -> ReplicaCounts:
        assert self._file is not None
        try:
            found = ReplicaCounts.from_json(self._file.read_bytes())
        except OSError as error:
            raise ActuationError(f"{self._file}: cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise ActuationError(f"{self._file}: {error}") from error
        wanted = dict(self._wanted)
        seen = {count.variant: count for count in found.counts}
        for variant, count in seen.items():
            # The gauge is what is asked for; the autoscaler follows in its own time.
            if variant in wanted:
                seen[variant] = count.model_copy(update={"wanted": wanted[variant]})
        for variant, replicas in wanted.items():
            if variant not in seen:
                seen[variant] = ReplicaCount(variant=variant, wanted=replicas)
        return ReplicaCounts(at_s=now_s, counts=tuple(seen.values()))


def _typed(options: dict[str, Any], name: str, kind: type, default: Any) -> Any:
    """Take an option out; refuse another kind."""
    value = options.pop(name, default)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        words = {int: "a whole number", str: "a text", bool: "true or false"}[kind]
        raise ControlError(f"actuator 'gauges': {name} = {value!r}: must be {words}")
    return value
