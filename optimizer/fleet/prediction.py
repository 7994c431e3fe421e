"""What to expect of an allocation: the steady state at the load it is really given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.candidates import CandidateTable
from optimizer.fleet.plan import TargetOutcome
from optimizer.fleet.reachable import pair_processes
from optimizer.fleet.targets import statistic_of, targets_of
from optimizer.spec.options import PartialService
from optimizer.spec.service_class import SloMetric, TargetSpec
from queue_models import QueueMetrics, ServiceProcess, Statistic, Target, Targets
from queue_models import get as get_queue_model

__all__ = ["Prediction", "predict_partial", "predict_whole", "target_outcomes"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# A bound counts as kept up to this relative excess: the rate search stops that close to it.
_MET = 1e-6


@dataclass(frozen=True)
class Prediction:
    """Steady state of one replica of an allocation; None where there is no steady state.

    Parameters
    ----------
    admitted_rate_rps
        Requests the whole allocation takes in.
    stable
        Whether the replicas keep up with them.
    utilization, refused_share, queueing_ms, ttft_ms, itl_ms, e2e_ms
        Means.
    values
        Every statistic that a target of the service bounds.
    """

    admitted_rate_rps: float
    stable: bool
    utilization: float | None
    refused_share: float | None
    queueing_ms: float | None
    ttft_ms: float | None
    itl_ms: float | None
    e2e_ms: float | None
    values: dict[Statistic, float | None]


def predict_whole(table: CandidateTable, row: int) -> Prediction:
    """Read the prediction of a candidate with all the replicas it needs."""
    service = int(table.service[row])
    rate = float(table.targets.rate_rps[service])
    if table.accelerator[row] < 0:
        return Prediction(0.0, True, None, None, None, None, None, None, {})
    # A promised throughput may size a service for more, or less, than arrives.
    arriving = table.spec.services[service].load.arrival_rate_rps
    return _prediction(table, row, min(arriving, rate), table.metrics, row, stable=True)


def predict_partial(table: CandidateTable, row: int, replicas: int) -> Prediction:
    """Evaluate a candidate that got fewer replicas than it needs.

    With `overload` the whole load arrives; where that is at or above what the replicas can carry
    at all there is no steady state, and latencies are None. With `shed` only the rate that keeps
    every objective is admitted.
    """
    service = int(table.service[row])
    offered = table.spec.services[service].load.arrival_rate_rps
    model = get_queue_model(table.queue_model)
    process, statistics = _row_process(table, row, replicas)
    if table.spec.optimizer.partial_service is PartialService.SHED:
        offered = min(offered, replicas * _kept_rate(table, row, process, statistics))
    per_replica = offered / replicas
    stable = per_replica < float(model.max_rate(process, Targets())[0])
    metrics = model.evaluate(process, np.array([per_replica]), statistics)
    return _prediction(table, row, offered, metrics, 0, stable=stable and bool(metrics.stable[0]))


def _row_process(
    table: CandidateTable, row: int, replicas: int
) -> tuple[ServiceProcess, tuple[Statistic, ...]]:
    """Return the process of a row with so many replicas, and the statistics that it bounds."""
    processes, here = pair_processes(table), np.array([row])
    ((_, clock, statistics),) = processes.batches(
        here, table.service, table.performance, table.targets.bounds
    )
    service = table.service[here]
    process = processes.process(
        clock,
        service,
        table.performance[here],
        table.max_batch[here],
        np.where(processes.replicas_matter[service], replicas, 1),
        table.reuse.prefix_hit_rate[here],
    )
    return process, statistics


def _kept_rate(
    table: CandidateTable, row: int, process: ServiceProcess, statistics: tuple[Statistic, ...]
) -> float:
    """Return the largest rate at which one of these replicas keeps every objective."""
    service = int(table.service[row])
    if not pair_processes(table).replicas_matter[service]:
        return float(table.rate_per_replica_rps[row])
    promised = bool(table.targets.promised_throughput[service])
    targets = Targets(
        tuple(Target(s, table.targets.bounds[s][service]) for s in statistics),
        promised_throughput=np.array([True]) if promised else None,
    )
    return float(get_queue_model(table.queue_model).max_rate(process, targets)[0])


def _statistics(table: CandidateTable, service: int) -> tuple[Statistic, ...]:
    return tuple(s for s, bound in table.targets.bounds.items() if np.isfinite(bound[service]))


def _prediction(
    table: CandidateTable,
    row: int,
    admitted: float,
    metrics: QueueMetrics,
    position: int,
    *,
    stable: bool,
) -> Prediction:
    def known(values: FloatArray) -> float | None:
        value = float(values[position])
        return value if stable and np.isfinite(value) else None

    return Prediction(
        admitted_rate_rps=admitted,
        stable=stable,
        utilization=float(metrics.utilization[position]) if stable else 1.0,
        refused_share=known(metrics.blocking_probability),
        queueing_ms=known(metrics.wait_ms),
        ttft_ms=known(metrics.ttft_ms),
        itl_ms=known(metrics.itl_ms),
        e2e_ms=known(metrics.e2e_ms),
        values={
            statistic: known(metrics.value(statistic))
            for statistic in _statistics(table, int(table.service[row]))
        },
    )


def target_outcomes(
    table: CandidateTable,
    row: int,
    replicas: int,
    prediction: Prediction,
    carried_rps: float | None = None,
) -> tuple[TargetOutcome, ...]:
    """Hold the prediction against every objective of the service, in the class's order.

    Parameters
    ----------
    carried_rps
        What the whole service can carry, for objectives on its throughput; by default what these
        replicas do.
    """
    service = table.spec.services[int(table.service[row])]
    service_class = next(c for c in table.spec.classes if c.name == service.service_class)
    carried = carried_rps
    if carried is None:
        carried = replicas * float(table.rate_per_replica_rps[row])
    return tuple(
        _outcome(target, prediction, carried, service.load.mean_output_tokens)
        for target in targets_of(service_class, service.model)
        if table.accelerator[row] >= 0
    )


def _outcome(
    target: TargetSpec, prediction: Prediction, carried_rps: float, output_tokens: float
) -> TargetOutcome:
    value: float | None
    if target.metric.is_service_rate:
        tokens = target.metric is SloMetric.SERVICE_TOKENS_PER_S
        value = carried_rps * (output_tokens if tokens else 1.0)
    else:
        latency = prediction.values.get(statistic_of(target))
        value = latency
        if latency is not None and not target.metric.is_latency:
            value = 1000.0 / latency if latency > 0 else None
    room = None
    if value is not None:
        room = (value - target.bound) / target.bound
        room = -room if target.metric.is_latency else room
    met = room is not None and room >= -_MET
    if room is not None and met:
        room = max(room, 0.0)
    return TargetOutcome(
        metric=target.metric,
        statistic=target.statistic,
        bound=target.bound,
        value=value,
        met=met,
        margin=room,
    )
