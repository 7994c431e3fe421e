"""The engine as a queue model: every answer is simulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optimizer.engine.run import Run
from optimizer.engine.simulated_pair import SimulatedPair
from queue_models import (
    IterationTiming,
    Metric,
    QueueMetrics,
    QueueModel,
    ServiceProcess,
    Statistic,
    TableTiming,
    Targets,
    Timing,
)
from queue_models.process import OPTIONAL_FIELDS, checked_arrival_rate
from queue_models.work import RequestWork

__all__ = ["SimulationModel"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_MEANS = (Metric.WAIT, Metric.TTFT, Metric.ITL, Metric.TPOT, Metric.E2E)
_PRECISION = 0.01
_LEAST_REQUESTS = 100_000
_MOST_REQUESTS = 200_000
_SEED = 0
# Load at which a pair without any is simulated, as a share of its capacity.
_IDLE = 1e-3
# The largest rate is searched to this share of the capacity.
_RESOLUTION = 1e-3


@final
class SimulationModel(QueueModel):
    """Continuous batching, simulated iteration by iteration.

    Every pair and rate is a run of its own, of 100,000 to 200,000 requests, until means and
    percentiles asked for are known to 1 % (half-width of the 95 % interval) or requests run out;
    all runs have the same seed. Without `queue_capacity` the queue has no limit.
    """

    name: ClassVar[str] = "simulation"
    summary: ClassVar[str] = "every answer simulated: the yardstick of the other models, and slow"
    timings: ClassVar[frozenset[type[Timing]]] = frozenset({IterationTiming, TableTiming})
    assumptions: ClassVar[tuple[str, ...]] = (
        "Decodes go first, prompts share the rest of the chunk budget in order of arrival.",
        "A request is admitted at the start of an iteration, with all the KV cache it will need.",
        "Prompt and output lengths are independent, and cut at 65,536 tokens.",
    )
    honours: ClassVar[frozenset[str]] = frozenset(OPTIONAL_FIELDS) - {"length_covariance", "tagged"}
    source: ClassVar[str] = "docs/background/engine.md"
    cost: ClassVar[str] = "0.1 to 2 s per pair and rate, 2 to 20 s per sizing"

    def refusals(
        self, service: ServiceProcess, statistics: Sequence[Statistic] = ()
    ) -> Mapping[str, BoolArray]:
        """Return why the model does not hold; see `QueueModel.refusals`."""
        del statistics  # every one is known
        return self.unsupported(service)

    def evaluate(
        self,
        service: ServiceProcess,
        arrival_rate_rps: ArrayLike,
        statistics: Sequence[Statistic] = (),
    ) -> QueueMetrics:
        """Return the steady state; see `QueueModel.evaluate`."""
        self.require(service, statistics)
        rate = checked_arrival_rate(arrival_rate_rps, service.shape)
        index = np.arange(service.input_tokens.size).reshape(service.shape)
        pairs = np.broadcast_to(index, rate.shape).ravel()
        flat, offered = service.flat, rate.ravel()
        capacity = _capacity_rps(flat)
        wanted = tuple(dict.fromkeys((*(Statistic(m) for m in _MEANS), *statistics)))
        runs = [
            _run(flat, int(pair), max(float(r), _IDLE * float(capacity[pair])), wanted)
            for pair, r in zip(pairs, offered, strict=True)
        ]
        stable = np.array([run.keeps_up for run in runs])

        def latency(statistic: Statistic) -> FloatArray:
            values = np.array([run.statistics[statistic].value for run in runs])
            return np.where(stable, np.nan_to_num(values), np.inf).reshape(rate.shape)

        refused = np.array([run.refused_share for run in runs])
        running = np.array([run.usage.running for run in runs]) / flat.replicas[pairs]
        idle = offered == 0.0
        carried = np.array([run.throughput_rps for run in runs]) / flat.replicas[pairs]
        throughput = np.where(stable, offered * (1.0 - refused), carried)
        running = np.where(idle, 0.0, running)
        means = {m: latency(Statistic(m)) for m in _MEANS}
        queue = throughput.reshape(rate.shape) * means[Metric.WAIT] / 1e3  # by Little's law
        return QueueMetrics(
            stable=stable.reshape(rate.shape),
            throughput_rps=throughput.reshape(rate.shape),
            blocking_probability=np.where(idle, 0.0, refused).reshape(rate.shape),
            utilization=np.minimum(running / flat.max_batch[pairs], 1.0).reshape(rate.shape),
            concurrency=running.reshape(rate.shape),
            queue_length=queue,
            **{str(metric): values for metric, values in means.items()},
            percentiles={s: latency(s) for s in statistics if s.percentile is not None},
        )

    def max_rate(self, service: ServiceProcess, targets: Targets) -> FloatArray:
        """Return the largest rate within the targets; see `QueueModel.max_rate`.

        Found by bisection to a thousandth of the capacity, all runs with the same requests but
        for their pace.
        """
        self.require(service, targets.statistics)
        flat = service.flat
        capacity = _capacity_rps(flat)
        bounds = [np.broadcast_to(t.bound, service.shape).ravel() for t in targets.targets]
        rates = np.zeros(capacity.size)
        for pair in range(capacity.size):
            limits = {
                s: min(
                    float(b[pair])
                    for t, b in zip(targets.statistics, bounds, strict=True)
                    if t == s
                )
                for s in targets.statistics
            }
            rates[pair] = _largest(flat, pair, float(capacity[pair]), limits)
        return rates.reshape(service.shape)


def _capacity_rps(service: ServiceProcess) -> FloatArray:
    assert isinstance(service.timing, IterationTiming | TableTiming)
    return RequestWork.of(service).capacity_rps(service.timing)


def _run(
    service: ServiceProcess, pair: int, rate_rps: float, statistics: Sequence[Statistic]
) -> Run:
    one = SimulatedPair.of(service.take(np.array([pair])), rate_rps)
    return one.run(
        statistics,
        precision=_PRECISION,
        least_requests=_LEAST_REQUESTS,
        most_requests=_MOST_REQUESTS,
        seed=_SEED,
    )


def _largest(
    service: ServiceProcess, pair: int, capacity: float, limits: Mapping[Statistic, float]
) -> float:
    """Return the largest throughput at which every limit holds."""

    def holds(rate_rps: float) -> Run | None:
        run = _run(service, pair, rate_rps, tuple(limits))
        values = (run.statistics[s].value <= limit for s, limit in limits.items())
        return run if run.keeps_up and all(values) else None

    low, high = 0.0, capacity
    if not limits or holds(capacity * (1.0 - _RESOLUTION)) is not None:
        return capacity * (1.0 - _RESOLUTION)
    if holds(_IDLE * capacity) is None:
        return 0.0
    while high - low > _RESOLUTION * capacity:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if holds(middle) is not None else (low, middle)
    return low
