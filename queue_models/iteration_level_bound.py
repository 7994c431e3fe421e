"""Latencies that are rather too long, and rates too low: a conservative `iteration-level`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike

from queue_models.arrays import BoolArray, FloatArray
from queue_models.base import Metric, QueueMetrics, QueueModel, Statistic, Target, Targets
from queue_models.iteration_level import IterationLevelModel
from queue_models.process import Routing, ServiceProcess, checked_arrival_rate
from queue_models.timing import IterationTiming, Timing

__all__ = ["IterationLevelBound"]

_MS_PER_S = 1000.0
# Shares of the capacity of `iteration-level` that are not counted on: it was up to 7.6 % too high
# in simulations where a prompt of mean length takes more than one iteration, up to 3.4 % elsewhere.
_CAPACITY_LEFT, _CAPACITY_LEFT_CHUNKED = 0.05, 0.1
# Load is raised by this share of what is left of the capacity.
_RAISED = 0.3
# Factors on latencies at the raised load, for means and for percentiles (and means of the wait, a
# small part of TTFT at most loads, and of TPOT, which weighs short outputs): about the largest
# ratio of simulations to `iteration-level` at the raised load, their noise taken off.
_MEANS, _TAILS = 1.15, 1.25
_MEANS_BURSTY, _TAILS_BURSTY = 1.3, 2.2
_MEANS_CACHE, _TAILS_CACHE = 1.15, 1.7
# Wider than these, nothing was simulated.
_MOST_ARRIVAL_SCV, _LEAST_CACHE = 4.0, 2.0


@final
class IterationLevelBound(QueueModel):
    """`iteration-level`, asked about a harder process at a higher load, with margins on latencies.

    Harder is, of what is known to lengthen queues: arrivals less regular than Poisson are kept,
    more regular ones become Poisson; the least-outstanding router becomes a random one. Of the
    capacity 5 to 10 % are not counted on; a load rho becomes rho (1 + 0.3 (1 - rho)); latencies
    there are multiplied by factors that cover what simulations showed.
    docs/background/queue-models.md says how many rows of which groups it covers.
    """

    name: ClassVar[str] = "iteration-level-bound"
    summary: ClassVar[str] = "conservative iteration-level: latencies too long, rates too low"
    timings: ClassVar[frozenset[type[Timing]]] = frozenset({IterationTiming})
    assumptions: ClassVar[tuple[str, ...]] = (
        *IterationLevelModel.assumptions,
        "Margins hold as far as simulations went: they are shown, not proven.",
    )
    honours: ClassVar[frozenset[str]] = IterationLevelModel.honours - {"queue_capacity", "tagged"}
    source: ClassVar[str] = "docs/background/queue-models.md, conservative bounds"
    cost: ClassVar[str] = "that of iteration-level"
    conservative: ClassVar[bool] = True

    def refusals(
        self, service: ServiceProcess, statistics: Sequence[Statistic] = ()
    ) -> Mapping[str, BoolArray]:
        """Return why no bound is known; see `QueueModel.refusals`."""
        reasons = self.unsupported(service)
        if not isinstance(service.timing, IterationTiming):
            return reasons
        bursty = service.arrival_scv > 1
        tails = {s.metric for s in statistics if s.percentile is not None}
        everywhere = np.ones(service.shape, dtype=np.bool_)
        whole = service.input_tokens + service.output_tokens
        unknown = {
            f"no bound is known for arrival_scv above {_MOST_ARRIVAL_SCV:g}": (
                service.arrival_scv > _MOST_ARRIVAL_SCV
            ),
            f"no bound is known for KV caches of less than {_LEAST_CACHE:g} mean requests": (
                service.kv_capacity_tokens < _LEAST_CACHE * whole
            ),
            "no bound is known for percentiles of TPOT": everywhere & (Metric.TPOT in tails),
            "no bound is known for percentiles of ITL where arrival_scv is above 1": (
                bursty & (Metric.ITL in tails)
            ),
        }
        return reasons | {why: mask for why, mask in unknown.items() if mask.any()}

    def evaluate(
        self,
        service: ServiceProcess,
        arrival_rate_rps: ArrayLike,
        statistics: Sequence[Statistic] = (),
    ) -> QueueMetrics:
        """Return upper bounds of latencies, queues and what is in use; see `QueueModel.evaluate`.

        Above 90 or 95 % of the capacity of `iteration-level` nothing is stable.
        """
        self.require(service, statistics)
        rate = checked_arrival_rate(arrival_rate_rps, service.shape)
        counted, harder = self._capacity(service), _harder(service)
        load = rate / counted
        stable = load < 1.0
        raised = np.where(stable, load * (1.0 + _RAISED * (1.0 - load)), 2.0)
        beyond = IterationLevelModel().evaluate(harder, raised * counted, statistics)
        wanted = [s for s in statistics if s.percentile is not None]
        latency = {
            s: beyond.value(s) * np.broadcast_to(_margin(service, s), rate.shape)
            for s in (*map(Statistic, Metric), *wanted)
        }
        latency |= {s: np.where(stable, latency[s], np.inf) for s in wanted}
        wait, whole = (
            np.where(stable, latency[Statistic(metric)], 0.0)
            for metric in (Metric.WAIT, Metric.E2E)
        )
        throughput = np.where(stable, rate, np.broadcast_to(counted, rate.shape))
        in_service = throughput * (whole - wait) / _MS_PER_S
        return replace(
            beyond,
            stable=stable,
            throughput_rps=throughput,
            queue_length=np.where(stable, throughput * wait / _MS_PER_S, np.inf),
            concurrency=np.where(stable, in_service, beyond.concurrency),
            **{str(metric): latency[Statistic(metric)] for metric in Metric},
            percentiles={s: latency[s] for s in wanted},
        )

    def max_rate(self, service: ServiceProcess, targets: Targets) -> FloatArray:
        """Return a rate at which every target holds by these bounds; see `QueueModel.max_rate`."""
        self.require(service, targets.statistics)
        counted, harder = self._capacity(service), _harder(service)
        tightened = Targets(
            tuple(
                Target(t.statistic, t.bound / _margin(service, t.statistic))
                for t in targets.targets
            ),
            targets.promised_throughput,
        )
        raised = np.minimum(IterationLevelModel().max_rate(harder, tightened) / counted, 1.0)
        # The load that is raised to this one: the smaller root of a quadratic, without difference.
        much = 1.0 + _RAISED
        load = 2.0 * raised / (much + np.sqrt(much**2 - 4.0 * _RAISED * raised))
        rate: FloatArray = np.minimum(load, 1.0 - 1e-6) * counted
        return rate

    def _capacity(self, service: ServiceProcess) -> FloatArray:
        capacity = IterationLevelModel().max_rate(_harder(service), Targets())
        room = service.chunk_tokens - service.max_batch
        left = np.where(room < service.input_tokens, _CAPACITY_LEFT_CHUNKED, _CAPACITY_LEFT)
        counted: FloatArray = (1.0 - left) * capacity
        return counted


def _harder(service: ServiceProcess) -> ServiceProcess:
    """Return a process that waits longer."""
    routing = service.routing
    return ServiceProcess(
        service.timing,
        service.input_lengths,
        service.output_lengths,
        service.max_batch,
        arrival_scv=np.maximum(service.arrival_scv, 1.0),
        chunk_tokens=service.chunk_tokens,
        kv_capacity_tokens=service.kv_capacity_tokens,
        prefix_hit_rate=service.prefix_hit_rate,
        draft_tokens=service.draft_tokens,
        acceptance_rate=service.acceptance_rate,
        replicas=service.replicas,
        routing=np.where(routing == Routing.LEAST_OUTSTANDING, Routing.RANDOM, routing),
        role=service.role,
    )


def _margin(service: ServiceProcess, statistic: Statistic) -> FloatArray:
    """Return the factor on a latency, per pair."""
    uncertain = (Metric.WAIT, Metric.TPOT)
    tail = statistic.percentile is not None or statistic.metric in uncertain
    plain, bursty, cache = (
        (_TAILS, _TAILS_BURSTY, _TAILS_CACHE) if tail else (_MEANS, _MEANS_BURSTY, _MEANS_CACHE)
    )
    # What a cache holds limits the batch where a full one would need more.
    whole = service.input_tokens + service.output_tokens
    limits = service.kv_capacity_tokens < 2.0 * service.max_batch * whole
    found = np.where(service.arrival_scv > 1.0, bursty, plain)
    both: FloatArray = np.where(limits, np.maximum(found, 1.0) * (cache / plain), found)
    return both
