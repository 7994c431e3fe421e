"""Batches that run to completion: a replica with static or dynamic batching, as a queue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from queue_models.arrays import BoolArray, FloatArray, IntArray
from queue_models.base import Metric, QueueMetrics, QueueModel, Statistic, Targets
from queue_models.batch_service import BatchServiceQueue
from queue_models.batch_times import BatchTimes, batch_times
from queue_models.pairwise import evaluate_pairs, size_pairs
from queue_models.process import Role, ServiceProcess
from queue_models.rate_search import largest_rate
from queue_models.timing import IterationTiming, PrefillDecodeTiming, TableTiming, Timing
from queue_models.work import RequestWork

__all__ = ["BatchedModel"]

_MS_PER_S = 1000.0

# Sizing offers no more than this share of capacity.
_HIGHEST_LOAD = 1.0 - 1e-6
# The chain is solved over somewhat more states than a full batch has requests.
_LARGEST_BATCH = 1024
_WITH_PERCENTILES = frozenset({Metric.WAIT, Metric.TTFT})
# Stand-in inside logarithms for a metric or probability of 0.
_NOTHING = 1e-300


@final
class BatchedModel(QueueModel):
    """M/G^[1,B]/1: when the replica is free it takes all waiting requests, B at most, as a batch.

    A batch runs until its longest output is complete and its answers leave together, so that E2E
    ends with the batch; nothing joins it meanwhile. This is what servers without continuous
    batching do (dynamic batching without a delay). Servers that wait until a batch is full, or for
    a time, are not modelled. Without decode (role PREFILL) it is a server of prompts.

    Means are exact for gamma batch times; percentiles are those of constant batch times, exact for
    the wait, and for TTFT an upper bound, which takes wait and prefill to be large together.
    """

    name: ClassVar[str] = "batched-mg1"
    summary: ClassVar[str] = "batches that run to completion: static and dynamic batching servers"
    timings: ClassVar[frozenset[type[Timing]]] = frozenset(
        {IterationTiming, PrefillDecodeTiming, TableTiming}
    )
    assumptions: ClassVar[tuple[str, ...]] = (
        "Arrivals are Poisson.",
        "A free replica takes all that wait, up to the maximum batch, and never delays a batch.",
        "Every row of a batch is computed until the longest output is complete.",
        "The time of a batch depends on its size, and varies with its longest output alone.",
        "Requests are taken in order of arrival; the queue has no limit.",
    )
    honours: ClassVar[frozenset[str]] = frozenset(
        {"output_tokens_scv", "prefix_hit_rate", "draft_tokens", "role"}
    )
    ignores: ClassVar[frozenset[str]] = frozenset({"input_tokens_scv"})
    source: ClassVar[str] = (
        "Bailey, J. Royal Statistical Society B 16 (1954); Inoue, arXiv 1912.06322; "
        "Yang, Jiao and Xu, arXiv 2407.05347"
    )
    cost: ClassVar[str] = (
        "a dense solve of about B + 8 sqrt(B) states per pair and rate: 2 ms for B = 8, 7 ms for "
        "64, 0.6 s for 1024"
    )

    def refusals(
        self, service: ServiceProcess, statistics: Sequence[Statistic] = ()
    ) -> Mapping[str, BoolArray]:
        """Return why the model does not hold; see `QueueModel.refusals`."""
        refused = self.unsupported(service)
        if not isinstance(service.timing, tuple(self.timings)):
            return refused
        checks = {
            "a batch is computed from the prompts on; role must be AGGREGATED or PREFILL": (
                service.role == Role.DECODE
            ),
            f"the chain has a state per request of a batch; max_batch must be at most "
            f"{_LARGEST_BATCH}": service.max_batch > _LARGEST_BATCH,
        }
        if isinstance(service.timing, PrefillDecodeTiming):
            # Where iterations are timed there is one at least, and it takes time.
            checks["a request takes no time: no prefill time and no decode"] = _timeless(
                service, service.timing
            )
        refused |= {reason: mask for reason, mask in checks.items() if mask.any()}
        everywhere = np.ones(service.shape, dtype=np.bool_)
        for statistic in statistics:
            if statistic.percentile is None:
                continue
            if statistic.metric not in _WITH_PERCENTILES:
                reason = f"{statistic} is not known: only the mean of {statistic.metric} is"
                refused[reason] = everywhere
            elif (varied := service.output_tokens_scv > 0).any():
                reason = f"{statistic} is known for outputs of equal length only"
                refused[reason] = varied
        return refused

    def evaluate(
        self,
        service: ServiceProcess,
        arrival_rate_rps: ArrayLike,
        statistics: Sequence[Statistic] = (),
    ) -> QueueMetrics:
        """Return the steady state; see `QueueModel.evaluate`."""
        self.require(service, statistics)
        flat = service.flat
        percentiles = [s for s in statistics if s.percentile is not None]
        known: dict[int, BatchTimes] = {}

        def solve(pairs: IntArray, rate: FloatArray) -> dict[str | Statistic, NDArray[Any]]:
            rows = []
            for pair, one in zip(pairs.tolist(), rate.tolist(), strict=True):
                if pair not in known:
                    known[pair] = batch_times(flat.take(np.array([pair])))
                rows.append(_Batches(known[pair], one).metrics(percentiles))
            keys = list(_Batches(_UNIT, 0.0).metrics(percentiles))
            return {
                key: np.array([row[key] for row in rows], np.bool_ if key == "stable" else float)
                for key in keys
            }

        return evaluate_pairs(service, arrival_rate_rps, solve)

    def max_rate(self, service: ServiceProcess, targets: Targets) -> FloatArray:
        """Return the largest rate within the targets; see `QueueModel.max_rate`.

        The offered rate stays below capacity; 1e-6 of it is left.
        """
        self.require(service, targets.statistics)
        flat = service.flat

        def solve(pairs: IntArray, bounds: list[FloatArray]) -> FloatArray:
            times = [batch_times(flat.take(np.array([pair]))) for pair in pairs.tolist()]
            capacity = np.array([_Batches(one, 0.0).capacity for one in times])
            if not bounds:
                return _HIGHEST_LOAD * capacity

            def excess(which: IntArray, rate: FloatArray) -> FloatArray:
                worst = np.full(which.size, -np.inf)
                for place, (pair, one) in enumerate(
                    zip(which.tolist(), rate.tolist(), strict=True)
                ):
                    queue = _Batches(times[pair], one)
                    for statistic, bound in zip(targets.statistics, bounds, strict=True):
                        worst[place] = max(worst[place], queue.excess(statistic, bound[pair]))
                return worst

            return largest_rate(excess, np.zeros_like(capacity), _HIGHEST_LOAD * capacity, capacity)

        return size_pairs(service, targets, solve)


def _timeless(service: ServiceProcess, timing: PrefillDecodeTiming) -> BoolArray:
    """Return where neither prefill nor decode takes any time."""
    prompt = RequestWork.of(service).prefill_tokens.reshape(service.shape)
    prefill = timing.prefill_base_ms + timing.prefill_ms_per_token * prompt
    single = (service.output_tokens <= 1) | (service.role == Role.PREFILL)
    timeless: BoolArray = single & ((prompt <= 0) | (prefill <= 0))
    return timeless


class _Batches:
    """One pair at one rate."""

    def __init__(self, times: BatchTimes, rate: float) -> None:
        self.times, self.rate = times, rate
        self.capacity = _MS_PER_S * times.whole.size / float(times.whole[-1])
        self.stable = rate < self.capacity
        self.queue: BatchServiceQueue | None = None
        if self.stable and rate > _NOTHING:
            self.queue = BatchServiceQueue(rate / _MS_PER_S, times.whole, batch_time_scv=times.scv)

    def mean(self, metric: Metric) -> float:
        """Return the mean of a metric [ms] where the queue is stable."""
        wait = 0.0 if self.queue is None else self.queue.wait
        if metric is Metric.WAIT:
            return wait
        if metric is Metric.TTFT:
            return wait + self._over_requests(self.times.prefill)
        if metric is Metric.E2E:
            return wait + self._over_requests(self.times.whole)
        if metric is Metric.ITL:
            return self._over_requests(self.times.iteration)
        own = self.times.intervals
        decode = self.times.whole - self.times.prefill
        return self._over_requests(decode) / own if own > 0 else 0.0

    def _over_requests(self, of_batch: FloatArray) -> float:
        return float(of_batch[0]) if self.queue is None else self.queue.mean_over_requests(of_batch)

    def metrics(self, percentiles: Sequence[Statistic]) -> dict[str | Statistic, float]:
        """Return the fields of `QueueMetrics`."""
        most, queue = self.times.whole.size, self.queue
        found: dict[str | Statistic, float] = {
            "stable": self.stable,
            "throughput_rps": self.rate if self.stable else self.capacity,
            "blocking_probability": 0.0,
        }
        if self.stable:
            busy = 0.0 if queue is None else queue.in_service
            found["concurrency"], found["utilization"] = busy, busy / most
            found["queue_length"] = 0.0 if queue is None else queue.queue_length
            found |= {str(metric): self.mean(metric) for metric in Metric}
            found |= {statistic: self.quantile(statistic) for statistic in percentiles}
            return found
        own = self.times.intervals
        decode = float(self.times.whole[-1] - self.times.prefill[-1])
        endless = [str(metric) for metric in (Metric.WAIT, Metric.TTFT, Metric.E2E)]
        found |= dict.fromkeys([*endless, "queue_length"], np.inf)
        found |= dict.fromkeys(percentiles, np.inf)
        found["concurrency"], found["utilization"] = float(most), 1.0
        found[str(Metric.ITL)] = float(self.times.iteration[-1])
        found[str(Metric.TPOT)] = decode / own if own > 0 else 0.0
        return found

    def quantile(self, statistic: Statistic) -> float:
        """Return a percentile of the wait, or an upper bound on that of TTFT [ms]."""
        assert statistic.percentile is not None
        allowed = 1.0 - statistic.percentile / 100.0
        return min(
            prefill + (0.0 if self.queue is None else self.queue.wait_quantile(1.0 - rest))
            for prefill, larger in self._prefills(statistic.metric)
            if (rest := allowed - larger) > 0
        )

    def _prefills(self, metric: Metric) -> list[tuple[float, float]]:
        """Return times added to the wait, and the share of requests of which more may be added.

        For TTFT those of batches of 1, 2, 4, ..., B: P(TTFT > x) is at most P(W > x - prefill of j)
        plus the share of requests in batches of more than j, for any j.
        """
        if metric is Metric.WAIT:
            return [(0.0, 0.0)]
        most = self.times.whole.size
        sizes = [1 << k for k in range(most.bit_length()) if 1 << k < most] + [most]
        return [
            (
                float(self.times.prefill[size - 1]),
                0.0 if self.queue is None or size == most else self.queue.share_in_larger(size),
            )
            for size in sizes
        ]

    def excess(self, statistic: Statistic, bound: float) -> float:
        """Return ln(mean/bound), or ln(P(metric > bound)/allowed share) for a percentile."""
        if statistic.percentile is None:
            return float(np.log(max(self.mean(statistic.metric), _NOTHING) / bound))
        allowed = 1.0 - statistic.percentile / 100.0
        exceeded = 1.0
        for prefill, larger in self._prefills(statistic.metric):
            if prefill <= bound:
                waits = 0.0 if self.queue is None else self.queue.wait_tail(bound - prefill)
                exceeded = min(exceeded, waits + larger)
        return float(np.log(max(exceeded, _NOTHING) / allowed))


# Names the fields where there is no pair to name them.
_UNIT = BatchTimes(
    prefill=np.ones(1), iteration=np.ones(1), whole=np.ones(1), scv=np.zeros(1), intervals=1.0
)
