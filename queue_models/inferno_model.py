"""What the compatibility models of llm-inferno share as queue models."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from queue_models.arrays import BoolArray, FloatArray, IntArray
from queue_models.base import Metric, QueueMetrics, QueueModel, Statistic, Targets
from queue_models.birth_death import SteadyState
from queue_models.inferno_servers import InfernoServers, averages
from queue_models.inferno_sizing import largest_throughput
from queue_models.pairwise import evaluate_pairs, size_pairs
from queue_models.process import ServiceProcess
from queue_models.service_law import impossible_services

__all__ = ["InfernoModel"]

_MS_PER_S = 1000.0


class InfernoModel(QueueModel):
    """State-dependent M/M/1/K of llm-inferno; a subclass is one generation of it.

    The largest rate lies in [0.001 mu(1), 0.999 mu(N)]: the smallest of those that each target
    allows. A target looser than anything reachable allows the highest rate; one below the value at
    the lowest rate allows none; a promised throughput allows 0.9 of the highest rate. Rates are
    found as the Go core finds them, in single precision, to the last bit in nearly all cases. Only
    means are known. A replica without load has no wait and the latencies of the Go core's record.

    Two habits of the Go core are kept where a metric does not rise with the rate (ITL with N = 1
    or without a marginal time): the first generation takes it as decreasing, so that a loose target
    is refused and one that cannot be met is accepted; the second drops the pair.
    """

    keeps_targets: ClassVar[bool] = False

    # Whether a bounded metric that does not rise with the rate drops the pair, whatever its bound.
    drops_falling: ClassVar[bool]

    @abstractmethod
    def servers(self, service: ServiceProcess) -> InfernoServers:
        """Return the replicas of a service process, flattened."""

    @abstractmethod
    def places(self, service: ServiceProcess) -> FloatArray:
        """Return the waiting places of every pair, flattened, with the generation's convention."""

    def refusals(
        self, service: ServiceProcess, statistics: Sequence[Statistic] = ()
    ) -> Mapping[str, BoolArray]:
        """Return why the model does not hold; see `QueueModel.refusals`."""
        refused = self.unsupported(service)
        if not isinstance(service.timing, tuple(self.timings)):
            return refused
        if service.queue_capacity is not None:
            endless = np.isinf(service.queue_capacity)
            refused["the queue must have a limit: queue_capacity must be finite"] = endless
        refused |= impossible_services(service)
        for statistic in statistics:
            if statistic.percentile is not None:
                reason = f"{statistic} is not known: only means are"
                refused[reason] = np.ones(service.shape, dtype=np.bool_)
        return {reason: mask for reason, mask in refused.items() if mask.any()}

    def evaluate(
        self,
        service: ServiceProcess,
        arrival_rate_rps: ArrayLike,
        statistics: Sequence[Statistic] = (),
    ) -> QueueMetrics:
        """Return the steady state; see `QueueModel.evaluate`."""
        self.require(service, statistics)
        servers, places = self.servers(service), self.places(service)

        def solve(pairs: IntArray, rate: FloatArray) -> dict[str | Statistic, NDArray[Any]]:
            part = servers.take(pairs)
            return _means(part, part.chain(places[pairs]).steady_state(rate / _MS_PER_S))

        return evaluate_pairs(service, arrival_rate_rps, solve)

    def max_rate(self, service: ServiceProcess, targets: Targets) -> FloatArray:
        """Return the largest rate within the targets; see `QueueModel.max_rate`."""
        self.require(service, targets.statistics)
        servers, places = self.servers(service), self.places(service)
        promised = np.zeros(servers.slots.size, dtype=np.bool_)
        if targets.promised_throughput is not None:
            promised = np.broadcast_to(targets.promised_throughput, service.shape).ravel()
        metrics = [statistic.metric for statistic in targets.statistics]

        def solve(pairs: IntArray, bounds: list[FloatArray]) -> FloatArray:
            return _MS_PER_S * largest_throughput(
                servers.take(pairs),
                places[pairs],
                metrics,
                bounds,
                promised[pairs],
                drops_falling=self.drops_falling,
            )

        return size_pairs(service, targets, solve)


def _means(servers: InfernoServers, steady: SteadyState) -> dict[str | Statistic, NDArray[Any]]:
    """Return the fields of `QueueMetrics`."""
    means = averages(steady)
    latency = servers.all_latencies(means)
    idle = steady.arrival_rate == 0
    concurrency = np.where(idle, 0.0, means.in_service)
    ttft, itl = servers.zero_load_latencies()
    record = {Metric.TTFT: ttft, Metric.ITL: itl, Metric.TPOT: itl}
    return {
        "stable": steady.stable,
        "throughput_rps": _MS_PER_S * means.throughput,
        "blocking_probability": steady.blocking_probability,
        "utilization": concurrency / servers.slots,
        "concurrency": concurrency,
        "queue_length": steady.queue_length,
        **{str(m): np.where(idle, record.get(m, v), v) for m, v in latency.items()},
    }
