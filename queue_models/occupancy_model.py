"""What models with a service law share: evaluate and size a birth-death queue of n in service."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from queue_models.arrays import BoolArray, FloatArray, IntArray
from queue_models.base import Metric, QueueMetrics, QueueModel, Statistic, Targets
from queue_models.birth_death import BirthDeathChain, SteadyState
from queue_models.pairwise import evaluate_pairs, size_pairs
from queue_models.process import ServiceProcess
from queue_models.rate_search import largest_rate
from queue_models.service_law import ServiceLaw, impossible_services, tagged_law
from queue_models.state_sums import kernels
from queue_models.timing import IterationTiming, PrefillDecodeTiming, Timing
from queue_models.variability import Variability

__all__ = ["OccupancyModel", "mean_latency"]

_MS_PER_S = 1000.0

# Sizing offers no more than this share of capacity.
_HIGHEST_LOAD = 1.0 - 1e-9
_LOWEST_LOAD = 1e-9

# States of all pairs from which sizing them with numba, import included, takes less CPU time.
_STATES_WORTH_NUMBA = 4_000_000

# Stand-in inside logarithms for a metric or probability of 0.
_NOTHING = 1e-300

_WITH_PERCENTILES = frozenset({Metric.WAIT, Metric.TTFT, Metric.ITL})


class OccupancyModel(QueueModel):
    """Birth-death queue whose service law depends on the number in service.

    Subclasses name the law; it and Poisson arrivals decide the rest. Without an explicit
    `queue_capacity` the queue has no limit.
    """

    timings: ClassVar[frozenset[type[Timing]]] = frozenset({IterationTiming, PrefillDecodeTiming})
    honours: ClassVar[frozenset[str]] = frozenset(
        {
            "output_tokens_scv",
            "queue_capacity",
            "chunk_tokens",
            "kv_capacity_tokens",
            "prefix_hit_rate",
            "draft_tokens",
            "role",
        }
    )

    @abstractmethod
    def law(self, service: ServiceProcess) -> ServiceLaw:
        """Return the service law, flattened to shape (P,)."""

    def variability(
        self,
        service: ServiceProcess,  # noqa: ARG002
        law: ServiceLaw,  # noqa: ARG002
    ) -> Variability | None:
        """Return what stretches the wait; None: Poisson arrivals, exponential service."""
        return None

    def refusals(
        self, service: ServiceProcess, statistics: Sequence[Statistic] = ()
    ) -> Mapping[str, BoolArray]:
        """Return why the model does not hold; see `QueueModel.refusals`."""
        refused = self.unsupported(service)
        if not isinstance(service.timing, tuple(self.timings)):
            return refused
        refused |= impossible_services(service)
        for statistic in statistics:
            if statistic.percentile is not None and statistic.metric not in _WITH_PERCENTILES:
                reason = f"{statistic} is not known: only the mean of {statistic.metric} is"
                refused[reason] = np.ones(service.shape, dtype=np.bool_)
        return refused

    def evaluate(
        self,
        service: ServiceProcess,
        arrival_rate_rps: ArrayLike,
        statistics: Sequence[Statistic] = (),
    ) -> QueueMetrics:
        """Return the steady state; see `QueueModel.evaluate`."""
        self.require(service, statistics)
        law, places = self.law(service), _places(service)
        own = tagged_law(service, law)
        varies = self.variability(service, law)
        percentiles = [s for s in statistics if s.percentile is not None]

        def solve(pairs: IntArray, rate: FloatArray) -> dict[str | Statistic, NDArray[Any]]:
            part = _Part(law, own, places, varies, pairs)
            steady = part.steady_state(rate)
            return part.means(steady) | {s: part.quantile(steady, s) for s in percentiles}

        return evaluate_pairs(service, arrival_rate_rps, solve)

    def max_rate(self, service: ServiceProcess, targets: Targets) -> FloatArray:
        """Return the largest rate within the targets; see `QueueModel.max_rate`.

        The offered rate stays below capacity, also where the queue is limited; 1e-9 of it is left.
        """
        self.require(service, targets.statistics)
        law, places = self.law(service), _places(service)
        own = tagged_law(service, law)
        varies = self.variability(service, law)
        # Numba's import costs as much as numpy's sums over so many states.
        compiled = int(law.slots.sum()) >= _STATES_WORTH_NUMBA and kernels() is not None

        def solve(pairs: IntArray, bounds: list[FloatArray]) -> FloatArray:
            part = _Part(law, own, places, varies, pairs, compiled=compiled)
            return part.largest_throughput(targets.statistics, bounds)

        return size_pairs(service, targets, solve, grouped=not compiled)


def _places(service: ServiceProcess) -> FloatArray:
    """Return the waiting places, without limit where the service names none."""
    if service.queue_capacity is None:
        return np.full(service.input_tokens.size, np.inf)
    return service.queue_capacity.ravel()


class _Part:
    """Pairs of similar slots, solved together."""

    def __init__(
        self,
        law: ServiceLaw,
        own: ServiceLaw,
        places: FloatArray,
        varies: Variability | None,
        pairs: IntArray,
        *,
        compiled: bool = False,
    ) -> None:
        self.law = law.take(pairs)
        # That of the requests whose latencies are asked.
        self.own = self.law if own is law else own.take(pairs)
        self.varies = None if varies is None else varies.take(pairs)
        base, slope = self.law.inverse_rate()
        self.chain = BirthDeathChain.from_law(
            base, slope, self.law.slots, places[pairs], self.law.knee, compiled=compiled
        )

    def steady_state(self, rate: FloatArray, pairs: IntArray | None = None) -> SteadyState:
        """Solve the chains of some pairs, or of all."""
        if self.varies is None:
            return self.chain.steady_state(rate, pairs)
        which = np.arange(rate.size) if pairs is None else pairs
        load = np.clip(rate / self.chain.full_rate[which], _LOWEST_LOAD, _HIGHEST_LOAD)
        stretch = self.varies.take(which).stretch(load, self.chain.slots[which])
        return self.chain.steady_state(rate, pairs, stretch)

    def means(self, steady: SteadyState) -> dict[str | Statistic, NDArray[Any]]:
        """Return the fields of `QueueMetrics` but the percentiles."""
        stable, slots, law = steady.stable, self.law.slots, self.own
        latency = {metric: mean_latency(law, steady, metric) for metric in Metric}
        throughput = np.where(stable, steady.throughput, steady.full_rate)
        of_all = latency[Metric.E2E]
        if law is not self.law:
            of_all = mean_latency(self.law, steady, Metric.E2E)
        time_in_service = of_all - latency[Metric.WAIT]
        in_service = np.where(stable, throughput * time_in_service / _MS_PER_S, slots)
        several = law.intervals > 0
        full = np.where(several, law.decode(slots.astype(np.float64)), 0.0)
        overloaded = {Metric.ITL: full, Metric.TPOT: full}
        return {
            "stable": stable,
            "throughput_rps": throughput,
            "blocking_probability": np.where(stable, steady.blocking_probability, 0.0),
            "utilization": np.minimum(in_service / slots, 1.0),
            "concurrency": np.minimum(in_service, slots),
            "queue_length": np.where(stable, steady.queue_length, np.inf),
            **{
                str(metric): np.where(stable, values, overloaded.get(metric, np.inf))
                for metric, values in latency.items()
            },
        }

    def quantile(self, steady: SteadyState, statistic: Statistic) -> FloatArray:
        """Return a percentile of the wait, of TTFT or of ITL [ms]."""
        assert statistic.percentile is not None
        law, share = self.own, statistic.percentile / 100.0
        full = law.slots.astype(np.float64)
        if statistic.metric is Metric.ITL:
            present = np.where(steady.stable, steady.seen_quantile(share) + 1.0, full)
            return np.where(law.intervals > 0, law.decode(np.minimum(present, full)), 0.0)
        wait = _MS_PER_S * steady.wait_quantile(share)
        if statistic.metric is Metric.TTFT:
            present = np.minimum(steady.seen_quantile(share) + 1.0, full)
            wait = wait + law.prefill(present)
        return np.where(steady.stable, wait, np.inf)

    def largest_throughput(
        self, statistics: Sequence[Statistic], bounds: Sequence[FloatArray]
    ) -> FloatArray:
        """Return the throughput at the largest offered rate within the bounds."""
        full = self.chain.full_rate
        excesses = [
            _excess_of(self.own, statistic, bound)
            for statistic, bound in zip(statistics, bounds, strict=True)
        ]

        def excess(pairs: IntArray, rate: FloatArray) -> FloatArray:
            steady = self.steady_state(rate, pairs)
            law = self.own.take(pairs)
            worst = np.full(len(pairs), -np.inf)
            for one in excesses:
                worst = np.maximum(worst, one(pairs, law, steady))
            return worst

        if not excesses:
            rate = _HIGHEST_LOAD * full
        else:
            rate = largest_rate(excess, np.zeros_like(full), _HIGHEST_LOAD * full, full)
        return np.where(rate > 0, self.chain.steady_state(rate).throughput, 0.0)


def mean_latency(law: ServiceLaw, steady: SteadyState, metric: Metric) -> FloatArray:
    """Return the mean of a metric [ms] where the queue is stable.

    Accepted arrivals that find n present are served with min(n + 1, B) in service: the same weights
    as those of departures, so that means of prefill and decode add up to Little's time in service.
    """
    if metric is Metric.WAIT:
        return _MS_PER_S * steady.mean_wait
    seen = steady.mean_seen
    capped = steady.mean_seen_up_to(law.knee) if law.binding.any() else seen
    if metric is Metric.TTFT:
        return _MS_PER_S * steady.mean_wait + law.prefill(seen, capped)
    if metric is Metric.E2E:
        return _MS_PER_S * steady.mean_wait + law.time_in_service(seen, capped)
    return np.where(law.intervals > 0, law.decode(seen, capped), 0.0)


_PartExcess = Callable[[IntArray, ServiceLaw, SteadyState], FloatArray]


def _excess_of(law: ServiceLaw, statistic: Statistic, bound: FloatArray) -> _PartExcess:
    """Return ln(mean/bound), or ln(P(metric > bound)/allowed share) for a percentile.

    Probabilities are continuous in the rate where percentiles of TTFT and ITL jump.
    """
    if statistic.percentile is None:

        def mean_excess(pairs: IntArray, part: ServiceLaw, steady: SteadyState) -> FloatArray:
            mean = mean_latency(part, steady, statistic.metric)
            return np.log(np.maximum(mean, _NOTHING) / bound[pairs])

        return mean_excess

    allowed = 1.0 - statistic.percentile / 100.0
    exceeded = _exceeded(law, statistic.metric, bound)

    def tail_excess(pairs: IntArray, _: ServiceLaw, steady: SteadyState) -> FloatArray:
        return np.log(np.maximum(exceeded(pairs, steady), _NOTHING) / allowed)

    return tail_excess


def _exceeded(
    law: ServiceLaw, metric: Metric, bound: FloatArray
) -> Callable[[IntArray, SteadyState], FloatArray]:
    """Return the function P(metric > bound) of some pairs and their steady state."""
    slots = law.slots.astype(np.float64)
    if metric is Metric.WAIT:
        reach, slack = slots, bound / _MS_PER_S
    elif metric is Metric.TTFT:
        reach = law.prefill_reach(bound)
        slack = np.maximum(bound - law.prefill(slots), 0.0) / _MS_PER_S
    else:
        reach = np.where(law.intervals > 0, law.decode_reach(bound), slots)
        # Tokens do not wait: nothing exceeds a bound that a full batch holds.
        slack = np.full_like(bound, np.inf)

    def probability(pairs: IntArray, steady: SteadyState) -> FloatArray:
        found = steady.seen_at_least(reach[pairs])
        free = np.isinf(slack[pairs])
        waits = steady.wait_tail(np.where(free, 0.0, slack[pairs]))
        return np.where(reach[pairs] < slots[pairs], found, np.where(free, 0.0, waits))

    return probability
