"""A controller's last cycle as gauges for Prometheus, as long as it is young."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from optimizer.control.cycle import Cycle
from optimizer.control.spec import Variant

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["CycleGauges"]

_OF_VARIANT = ("service", "accelerator", "configuration", "max_batch")
# Figures of a fleet that nobody has looked at for so long are not shown any more [s].
_STALE_S = 120.0


class CycleGauges:
    """Shows the fleet as it was last seen.

    Figures of services that are gone are gone with them; those of a stuck controller go too, so
    that nobody takes them for the present.

    Parameters
    ----------
    registry
        Where they are registered.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._cycle: Cycle | None = None
        self._conditions: Mapping[str, bool] = {}
        self._at_s = 0.0
        registry.register(self)

    def note(
        self,
        cycle: Cycle | None,
        conditions: Mapping[str, bool] | None = None,
        at_s: float | None = None,
    ) -> None:
        """Take in a cycle.

        Parameters
        ----------
        cycle
            None: none was made.
        conditions
            By default its own.
        at_s
            When, by the machine's clock [s]; by default now.
        """
        self._cycle, self._at_s = cycle, time.time() if at_s is None else at_s
        if conditions is None and cycle is not None:
            conditions = {one.type.value: one.status for one in cycle.status.conditions}
        self._conditions = conditions or {}

    def collect(self) -> Iterable[Any]:
        """Return the figures of the fleet, for the registry."""
        from prometheus_client.core import GaugeMetricFamily

        shown = GaugeMetricFamily(
            "fleetopt_condition", "Conditions of the controller.", labels=["type"]
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
        cycle = self._cycle
        if cycle is not None and time.time() - self._at_s < _STALE_S:
            for kind, holds in self._conditions.items():
                shown.add_metric([kind], float(holds))
            for one in cycle.status.services:
                labels = _labels(one.variant)
                replicas["desired"].add_metric(labels, one.target)
                replicas["wanted"].add_metric(labels, one.wanted)
                replicas["ready"].add_metric(labels, one.ready)
            for service in cycle.decision.services:
                rates["planned"].add_metric([service.service], service.planned_rps)
                if service.observed_rps is not None:
                    rates["observed"].add_metric([service.service], service.observed_rps)
            cost.add_metric([], cycle.decision.cost_per_hour)
            if cycle.status.last_success_s is not None:
                success.add_metric([], cycle.status.last_success_s)
        return [shown, *replicas.values(), *rates.values(), cost, success]


def _labels(variant: Variant) -> list[str]:
    batch = "" if variant.max_batch is None else str(variant.max_batch)
    return [variant.service, variant.accelerator, variant.configuration, batch]
