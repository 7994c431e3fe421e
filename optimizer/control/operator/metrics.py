"""What the operator shows to Prometheus: the last look, as long as it is young."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from optimizer.control.operator.reconciler import Look
from optimizer.control.spec import Variant

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["OperatorMetrics"]

_OF_VARIANT = ("service", "accelerator", "configuration", "max_batch")
# Figures of a fleet that nobody has looked at for so long are not shown any more [s].
_STALE_S = 120.0


class OperatorMetrics:
    """Counts looks and orders, and shows the fleet as it was last seen.

    Figures of services that are gone are gone with them; those of a stuck operator go too, so that
    nobody takes them for the present.

    Parameters
    ----------
    registry
        Where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        from prometheus_client import Counter, Gauge, Histogram

        self._look: Look | None = None
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
        registry.register(self)

    def note(self, look: Look, seconds: float) -> None:
        """Take in a look and how long it took [s]."""
        self._look = look
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

    def collect(self) -> Iterable[Any]:
        """Return the figures of the fleet, for the registry."""
        from prometheus_client.core import GaugeMetricFamily

        look = self._look
        conditions = GaugeMetricFamily(
            "fleetopt_condition", "Conditions of the Optimizer.", labels=["type"]
        )
        replicas = {
            name: GaugeMetricFamily(f"fleetopt_{name}_replicas", words, labels=_OF_VARIANT)
            for name, words in (
                ("desired", "Replicas that the plan wants."),
                ("wanted", "Replicas asked for."),
                ("ready", "Replicas that serve."),
            )
        }
        rates = {
            name: GaugeMetricFamily(f"fleetopt_{name}_rps", words, labels=["service"])
            for name, words in (
                ("observed", "Rate seen [requests/s]."),
                ("planned", "Rate planned for [requests/s]."),
            )
        }
        cost = GaugeMetricFamily("fleetopt_cost_per_hour", "Cost of the replicas that are wanted.")
        success = GaugeMetricFamily(
            "fleetopt_last_success_timestamp_seconds", "When a plan was last made from good data."
        )
        if look is not None and look.cycle is not None and time.time() - look.at_s < _STALE_S:
            for told in look.conditions:
                conditions.add_metric([told.kind], float(told.holds))
            for one in look.cycle.status.services:
                labels = _labels(one.variant)
                replicas["desired"].add_metric(labels, one.target)
                replicas["wanted"].add_metric(labels, one.wanted)
                replicas["ready"].add_metric(labels, one.ready)
            for service in look.cycle.decision.services:
                rates["planned"].add_metric([service.service], service.planned_rps)
                if service.observed_rps is not None:
                    rates["observed"].add_metric([service.service], service.observed_rps)
            cost.add_metric([], look.cycle.decision.cost_per_hour)
            if look.cycle.status.last_success_s is not None:
                success.add_metric([], look.cycle.status.last_success_s)
        return [conditions, *replicas.values(), *rates.values(), cost, success]


def _labels(variant: Variant) -> list[str]:
    batch = "" if variant.max_batch is None else str(variant.max_batch)
    return [variant.service, variant.accelerator, variant.configuration, batch]
