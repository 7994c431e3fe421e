"""Full batch: every request is taken to run in a full batch, whatever the load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from queue_models import (
    Metric,
    PrefillDecodeTiming,
    QueueMetrics,
    QueueModel,
    ServiceProcess,
    Statistic,
    Targets,
)
from queue_models.arrays import BoolArray, FloatArray
from queue_models.process import checked_arrival_rate

_MS_PER_S = 1000.0


class FullBatchModel(QueueModel):
    """Pessimistic latencies and no queue: a guest from another distribution."""

    name = "full-batch"
    summary = "Latencies of a full batch at any load below capacity."
    timings = frozenset({PrefillDecodeTiming})
    assumptions = ("No request ever waits below capacity.",)

    def refusals(
        self, service: ServiceProcess, statistics: Sequence[Statistic] = ()
    ) -> Mapping[str, BoolArray]:
        """Refuse percentiles and timings by iteration."""
        everywhere = np.ones(service.shape, dtype=np.bool_)
        if not isinstance(service.timing, PrefillDecodeTiming):
            return {"needs prefill and decode timing": everywhere}
        if any(statistic.percentile is not None for statistic in statistics):
            return {"knows means only": everywhere}
        return {}

    def _latencies(self, service: ServiceProcess) -> tuple[FloatArray, FloatArray, FloatArray]:
        timing, batch = service.timing, service.max_batch
        assert isinstance(timing, PrefillDecodeTiming)
        prefill = np.where(
            service.input_tokens > 0,
            timing.prefill_base_ms + timing.prefill_ms_per_token * service.input_tokens * batch,
            0.0,
        )
        decode = timing.decode_base_ms + timing.decode_ms_per_request * batch
        return prefill, decode, prefill + (service.output_tokens - 1) * decode

    def evaluate(
        self,
        service: ServiceProcess,
        arrival_rate_rps: ArrayLike,
        statistics: Sequence[Statistic] = (),
    ) -> QueueMetrics:
        """Return the latencies of a full batch; unstable at capacity and above."""
        self.require(service, statistics)
        rate = checked_arrival_rate(arrival_rate_rps, service.shape)
        nothing = np.zeros(rate.shape)
        prefill, decode, time = (values + nothing for values in self._latencies(service))
        capacity = _MS_PER_S * service.max_batch / time
        stable = rate < capacity
        wait = np.where(stable, 0.0, np.inf)
        accepted = np.minimum(rate, capacity)
        return QueueMetrics(
            stable=stable,
            throughput_rps=accepted,
            blocking_probability=nothing,
            utilization=accepted / capacity,
            concurrency=accepted * time / _MS_PER_S,
            queue_length=wait,
            wait_ms=wait,
            ttft_ms=wait + prefill,
            itl_ms=decode,
            tpot_ms=decode,
            e2e_ms=wait + time,
        )

    def max_rate(self, service: ServiceProcess, targets: Targets) -> FloatArray:
        """Return almost the capacity where the full-batch latencies hold, else 0."""
        self.require(service, targets.statistics)
        prefill, decode, time = self._latencies(service)
        rate = (1 - 1e-9) * _MS_PER_S * service.max_batch / time
        values = {
            Metric.WAIT: np.zeros(service.shape),
            Metric.TTFT: prefill,
            Metric.ITL: decode,
            Metric.TPOT: decode,
            Metric.E2E: time,
        }
        for target in targets.targets:
            rate = np.where(values[target.statistic.metric] <= target.bound, rate, 0.0)
        return rate
