"""The accurate model of continuous batching: iteration by iteration."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, final

import numpy as np
from numpy.typing import ArrayLike

from queue_models.arrays import BoolArray, FloatArray, IntArray
from queue_models.base import Metric, QueueMetrics, QueueModel, Statistic, Targets
from queue_models.node_search import crossing
from queue_models.process import ServiceProcess, checked_arrival_rate
from queue_models.timing import IterationTiming, Timing

if TYPE_CHECKING:
    from queue_models.iteration_level.points import Pairs

__all__ = ["IterationLevelModel"]

_MS_PER_S = 1000.0

# Stand-in for a bound without limit, of which logarithms and ratios exist.
_NO_BOUND = 1e300

# Shares of capacity between which sizing searches, the least and the largest first and last.
_SEARCH_LOADS = (1e-6, 0.3, 0.6, 0.8, 0.93, 0.985, 1.0 - 1e-6)
# As points at which the logarithm of a metric with a queue is nearly linear.
_SEARCH_NODES = -np.log1p(-np.array(_SEARCH_LOADS))

# Distinct pairs sized together: what is known of so many stays near the core.
_AT_ONCE = 2048

# Sizing ends this close below a bound, relative to it (for percentiles: to the share above it).
_PRECISION = 1e-7

# What is computed of an empty replica may lie this much, relatively, below what it takes.
_ROUNDING = 1.0 - 1e-9

_CODES: Mapping[Metric, int] = {
    Metric.WAIT: 0,
    Metric.TTFT: 1,
    Metric.ITL: 2,
    Metric.TPOT: 3,
    Metric.E2E: 4,
}


@final
class IterationLevelModel(QueueModel):
    """Continuous batching as the iterations it consists of; means and percentiles of every metric.

    The number in service is that of a linear system of requests that lengthen iterations, whose
    second moments are exact, then of a chain that has the slots. Given this number, the prompt
    tokens of successive iterations follow a Lindley recursion with compound arrivals, on a lattice;
    TTFT is what remains of the running iteration and the iterations that compute the prompt. Those
    who find no slot wait as in a queue in heavy traffic, with light-traffic corrections. Without
    `queue_capacity` the queue has no limit. docs/background/iteration-level.md derives it and shows
    how wrong it is; `python -m benchmarks.queue_accuracy score` measures that.
    """

    name: ClassVar[str] = "iteration-level"
    summary: ClassVar[str] = "continuous batching iteration by iteration: TTFT and all percentiles"
    timings: ClassVar[frozenset[type[Timing]]] = frozenset({IterationTiming})
    cost: ClassVar[str] = (
        "0.3 ms per pair and rate, 2 ms per sizing; compiled at first use, in 20 s, kept on disk"
    )
    assumptions: ClassVar[tuple[str, ...]] = (
        "Interarrival times are Poisson or of a renewal process with gamma law.",
        "Decodes go first, prompts share the rest of the chunk budget in order of arrival.",
        "A request is admitted at the start of an iteration, with all the KV cache it will need.",
        "The number in service changes slowly against the length of an iteration.",
        "Prompt and output lengths vary independently, but for a covariance in what requests take.",
    )
    honours: ClassVar[frozenset[str]] = frozenset(
        {
            "input_tokens_scv",
            "output_tokens_scv",
            "arrival_scv",
            "queue_capacity",
            "kv_capacity_tokens",
            "prefix_hit_rate",
            "draft_tokens",
            "routing",
            "role",
            "length_covariance",
            "tagged",
        }
    )
    bound: ClassVar[str] = "iteration-level-bound"
    source: ClassVar[str] = (
        "derived in docs/background/iteration-level.md; parts: Bremaud and Massoulie 2001 (spectra "
        "of Hawkes processes), Lindley 1952, Halfin and Whitt 1981, Kingman 1962"
    )

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
        from queue_models.iteration_level.points import Pairs, evaluate_points

        self.require(service, statistics)
        rate = checked_arrival_rate(arrival_rate_rps, service.shape)
        known = Pairs.of(service)
        index = np.arange(known.table.base.size).reshape(service.shape)
        pairs = np.array(np.broadcast_to(index, rate.shape)).ravel()
        offered = rate.ravel() / _MS_PER_S
        capacity = known.table.capacity[pairs]
        stable = np.isfinite(known.table.places[pairs]) | (offered < capacity)
        wanted = [s for s in statistics if s.percentile is not None]
        metrics = np.array([_CODES[s.metric] for s in wanted], dtype=np.int64)
        shares = np.array([(s.percentile or 0.0) / 100.0 for s in wanted])
        solvable = np.where(stable, offered, 0.5 * capacity)
        means, quantiles = evaluate_points(known, pairs, solvable, metrics, shares)
        for column, statistic in enumerate(wanted):
            if statistic.metric is Metric.WAIT:
                quantiles[offered == 0.0, column] = 0.0
        return _as_metrics(known, pairs, offered, stable, means, quantiles, wanted, rate.shape)

    def max_rate(self, service: ServiceProcess, targets: Targets) -> FloatArray:
        """Return the largest rate within the targets; see `QueueModel.max_rate`.

        The offered rate stays below capacity, also where the queue is limited; 1e-6 of it is left.
        Every target holds at the rate returned. Between which fixed loads it lies is monotone in
        the targets whatever the curve; see `queue_models.node_search`.
        """
        from queue_models.iteration_level.points import Pairs, evaluate_points

        self.require(service, targets.statistics)
        flat, bounds = service.flat, _bounds(service, targets)
        # Fleets repeat themselves: of equal pairs one is sized.
        rows = np.column_stack([flat.as_rows(), bounds])
        _, distinct, of_pair = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        rate = np.zeros(distinct.size)
        for first in range(0, distinct.size, _AT_ONCE):
            part = distinct[first : first + _AT_ONCE]
            known = Pairs.of(flat.take(part))
            capacity, places = known.table.capacity, known.table.places
            offered = _largest_load(known, targets.statistics, bounds[part]) * capacity
            # Limited queues refuse a part of what is offered.
            limited = np.flatnonzero(np.isfinite(places) & (offered > 0))
            none = np.zeros(0, dtype=np.int64)
            means, _ = evaluate_points(known, limited, offered[limited], none, np.zeros(0))
            offered[limited] = means[:, 0]
            rate[first : first + _AT_ONCE] = offered * _MS_PER_S
        return rate[of_pair.ravel()].reshape(service.shape)


def _bounds(service: ServiceProcess, targets: Targets) -> FloatArray:
    """Return the bounds of flat pairs, one column per target."""
    bounds = np.full((math.prod(service.shape), len(targets.targets)), _NO_BOUND)
    for column, target in enumerate(targets.targets):
        bound = np.broadcast_to(target.bound, service.shape).ravel()
        bounds[:, column] = np.minimum(bound, _NO_BOUND)
    return bounds


def _largest_load(known: Pairs, statistics: Sequence[Statistic], bounds: FloatArray) -> FloatArray:
    """Return the largest load within the bounds, (P, statistics), per flat pair; 0: none is."""
    from queue_models.iteration_level.points import excesses

    capacity = known.table.capacity
    if not statistics:
        return np.full(capacity.size, _SEARCH_LOADS[-1])
    metrics = np.array([_CODES[s.metric] for s in statistics], dtype=np.int64)
    percentiles = [s.percentile for s in statistics]
    shares = np.array([np.nan if p is None else p / 100.0 for p in percentiles])

    def excess(pairs: IntArray, point: FloatArray) -> FloatArray:
        offered = -np.expm1(-point) * capacity[pairs]
        return excesses(known, pairs, offered, metrics, shares, bounds[pairs])

    # Targets broken without load need no search.
    hopeful = np.flatnonzero(np.all(bounds >= _least(known, statistics), axis=1))
    point = np.zeros(capacity.size)
    if hopeful.size:
        point[hopeful] = crossing(
            lambda which, at: excess(hopeful[which], at), _SEARCH_NODES, hopeful.size, _PRECISION
        )
    return -np.expm1(-point)


def _least(known: Pairs, statistics: Sequence[Statistic]) -> FloatArray:
    """Return what no load can undercut, (P, statistics): an iteration, and the own work in it."""
    table = known.table
    prefill = table.base + table.per_token * table.own_prompt_mean
    decode = np.where(table.own_decodes > 0, table.base / table.gained, 0.0)
    of_mean = {
        Metric.TTFT: prefill,
        Metric.ITL: decode,
        Metric.TPOT: decode,
        Metric.E2E: prefill + table.own_decodes * table.base,
    }
    of_percentile = {Metric.TTFT: table.base, Metric.E2E: table.base}
    nothing = np.zeros_like(table.base)
    columns = [
        (of_mean if s.percentile is None else of_percentile).get(s.metric, nothing)
        for s in statistics
    ]
    return _ROUNDING * np.column_stack(columns)


def _as_metrics(
    known: Pairs,
    pairs: IntArray,
    offered: FloatArray,
    stable: BoolArray,
    means: FloatArray,
    quantiles: FloatArray,
    wanted: Sequence[Statistic],
    shape: tuple[int, ...],
) -> QueueMetrics:
    """Return results in the contract's words; what includes an endless wait is `inf`."""
    table = known.table
    busy = offered > 0
    slots = table.slots[pairs]
    full = table.base[pairs] + slots * table.work[pairs] / table.stay[pairs]
    several = table.own_decodes[pairs] > 0
    saturated = np.where(several, full / table.gained[pairs], 0.0)
    latency = {metric: means[:, 2 + code] for metric, code in _CODES.items()}
    latency[Metric.WAIT] = np.where(busy, latency[Metric.WAIT], 0.0)
    overloaded = {Metric.ITL: saturated, Metric.TPOT: saturated}
    throughput = np.where(stable, np.where(busy, means[:, 0], 0.0), table.capacity[pairs])
    in_service = throughput * means[:, 8]
    in_service = np.where(stable, in_service, slots)
    queue = np.where(stable, throughput * means[:, 7], np.inf)
    percentiles = {}
    for column, statistic in enumerate(wanted):
        beyond = overloaded.get(statistic.metric, np.inf)
        percentiles[statistic] = np.where(stable, quantiles[:, column], beyond).reshape(shape)
    return QueueMetrics(
        stable=stable.reshape(shape),
        throughput_rps=(throughput * _MS_PER_S).reshape(shape),
        blocking_probability=np.where(stable & busy, means[:, 1], 0.0).reshape(shape),
        utilization=np.minimum(in_service / slots, 1.0).reshape(shape),
        concurrency=in_service.reshape(shape),
        queue_length=queue.reshape(shape),
        **{
            str(metric): np.where(stable, values, overloaded.get(metric, np.inf)).reshape(shape)
            for metric, values in latency.items()
        },
        percentiles=percentiles,
    )
