"""What the operator shows to Prometheus: the last look, as long as it is young."""

from __future__ import annotations

from typing import TYPE_CHECKING

from optimizer.control.cycle_gauges import CycleGauges
from optimizer.control.operator.reconciler import Look

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["OperatorMetrics"]


class OperatorMetrics:
    """Counts looks and orders, and shows the fleet as it was last seen.

    Parameters
    ----------
    registry
        Where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        self._looks = Counter(
            "fleetopt_operator_looks", "Looks at the fleet.", ["outcome"], registry=registry
        )
        self._orders = Counter(
            "fleetopt_operator_orders", "Orders given.", ["result"], registry=registry
        )
        self._seconds = Histogram(
            "fleetopt_operator_look_seconds", "Time of a look [s].", registry=registry
        )
        self._lease = Gauge(
            "fleetopt_operator_holds_lease", "Whether this process acts.", registry=registry
        )
        self._last = Gauge(
            "fleetopt_operator_last_look_timestamp_seconds",
            "When the fleet was last looked at.",
            registry=registry,
        )
        self._gauges = CycleGauges(registry)

    def note(self, look: Look, seconds: float) -> None:
        """Take in a look and how long it took [s]."""
        held = {told.kind: told.holds for told in look.conditions}
        self._gauges.note(look.cycle, held, look.at_s)
        outcome = "standby" if not look.holds_lease else "idle" if look.cycle is None else "done"
        self._looks.labels(outcome).inc()
        self._lease.set(look.holds_lease)
        self._seconds.observe(seconds)
        self._last.set(look.at_s)
        for one in () if look.cycle is None else look.cycle.outcomes:
            self._orders.labels(one.result.value).inc()

    def note_failure(self) -> None:
        """Take in that a look failed."""
        self._looks.labels("failed").inc()
