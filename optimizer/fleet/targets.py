"""A service class's objectives, in the words of the queue models."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.options import ThroughputTarget
from optimizer.spec.service import ServiceSpec
from optimizer.spec.service_class import ServiceClassSpec, SloMetric, TargetSpec
from queue_models import Metric, Statistic

__all__ = ["ServiceTargets", "latency_bound", "statistic_of", "targets_of"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_METRICS = {
    SloMetric.TTFT_MS: Metric.TTFT,
    SloMetric.ITL_MS: Metric.ITL,
    SloMetric.TPOT_MS: Metric.TPOT,
    SloMetric.E2E_MS: Metric.E2E,
    SloMetric.QUEUEING_MS: Metric.WAIT,
    # One request's tokens per second are the inverse of its time per output token.
    SloMetric.REQUEST_TOKENS_PER_S: Metric.TPOT,
}


@dataclass(frozen=True, eq=False)
class ServiceTargets:
    """What every service must hold, as arrays over the services.

    Parameters
    ----------
    bounds
        Per statistic, (services,) upper bounds [ms]; `inf` where a service has none.
    rate_rps
        (services,), the rate each service is sized for [requests/s].
    promised_throughput
        (services,), whether the class promises the service a throughput.
    """

    bounds: dict[Statistic, FloatArray]
    rate_rps: FloatArray
    promised_throughput: BoolArray

    @classmethod
    def of(cls, spec: FleetSpec) -> ServiceTargets:
        """Collect the objectives of a validated spec."""
        bounds: dict[Statistic, FloatArray] = {}
        rates = np.array([s.load.arrival_rate_rps for s in spec.services], dtype=np.float64)
        promised = np.zeros(len(spec.services), dtype=np.bool_)
        classes = {entry.name: entry for entry in spec.classes}
        replaces = spec.optimizer.throughput_target is ThroughputTarget.REPLACES_LOAD
        for index, service in enumerate(spec.services):
            floor = 0.0
            for target in targets_of(classes[service.service_class], service.model):
                if target.metric.is_service_rate:
                    floor = max(floor, _requests_per_s(target, service))
                    continue
                statistic = statistic_of(target)
                column = bounds.setdefault(statistic, np.full(len(spec.services), np.inf))
                column[index] = min(column[index], latency_bound(target))
            # Where the target replaces the load, nothing is promised to a service without any.
            if floor > 0 and (rates[index] > 0 or not replaces):
                promised[index] = True
                rates[index] = floor if replaces else max(floor, rates[index])
        return cls(bounds, rates, promised)


def targets_of(service_class: ServiceClassSpec, model: str) -> tuple[TargetSpec, ...]:
    """Return the targets of a class for a model: its own entry, else the general one."""
    general: tuple[TargetSpec, ...] = ()
    for slo in service_class.slos:
        if slo.model == model:
            return slo.targets
        if slo.model is None:
            general = slo.targets
    return general


def statistic_of(target: TargetSpec) -> Statistic:
    """Return the statistic that a target on a request bounds."""
    return Statistic(_METRICS[target.metric], target.percentile)


def latency_bound(target: TargetSpec) -> float:
    """Return the upper bound [ms] that a target on a request puts on its statistic."""
    return target.bound if target.metric.is_latency else 1000.0 / target.bound


def _requests_per_s(target: TargetSpec, service: ServiceSpec) -> float:
    if target.metric is SloMetric.SERVICE_TOKENS_PER_S:
        return target.bound / service.load.mean_output_tokens
    return target.bound
