"""Continuous batching with iteration times from a table, linearised where the replica works."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import ArrayLike

from queue_models.arrays import BoolArray, FloatArray, IntArray
from queue_models.base import QueueMetrics, QueueModel, Statistic, Targets
from queue_models.iteration_level import IterationLevelModel
from queue_models.node_search import crossing
from queue_models.process import ServiceProcess, checked_arrival_rate
from queue_models.timing import IterationTiming, TableTiming, Timing
from queue_models.work import RequestWork

__all__ = ["TabledModel"]

# Share of the requests' tokens -> decode, prompt and KV tokens of an iteration.
_WorkAt = Callable[[FloatArray], tuple[FloatArray, FloatArray, FloatArray]]

_MS_PER_S = 1000.0
_HALVINGS = 50
# Shares of the mean number in service between which its slope is taken.
_FEWER, _MORE = 0.5, 1.5
# Points in place of the distribution of prompt lengths.
_PROMPT_POINTS = 8
# Mean number of prompts that begin in an iteration, standing for none.
_LEAST_BEGUN = 1e-9
# Least share of an iteration that does not depend on its work: a table that rises faster than its
# work would leave less than nothing for an empty iteration.
_LEAST_BASE = 0.02
# Sizing searches between these loads, as points -ln(1 - load), and ends this close below a bound.
_SEARCH_LOADS = (1e-6, 0.3, 0.6, 0.8, 0.93, 0.985, 1.0 - 1e-6)
_SEARCH_NODES = -np.log1p(-np.array(_SEARCH_LOADS))
_PRECISION = 1e-7
# Stand-in inside logarithms for a metric of 0.
_NOTHING = 1e-300


@final
class TabledModel(QueueModel):
    """`iteration-level` with a law that is linear around what the replica does at a rate.

    At every rate the mean number in service n follows from n = rate K T(n), T(n) being the table's
    time for its share of work. Slopes are taken there: for decode tokens and KV tokens between half
    and one and a half times that number, for prompt tokens from none to as many as begin in an
    iteration, a Poisson number of prompts.
    """

    name: ClassVar[str] = "tabled"
    summary: ClassVar[str] = "iteration-level for tabled iteration times, linear around each rate"
    timings: ClassVar[frozenset[type[Timing]]] = frozenset({TableTiming})
    assumptions: ClassVar[tuple[str, ...]] = (
        *IterationLevelModel.assumptions,
        "Iteration times are linear over the iterations that a rate brings about.",
    )
    honours: ClassVar[frozenset[str]] = IterationLevelModel.honours
    source: ClassVar[str] = "docs/background/queue-models.md, tabled iteration times"
    cost: ClassVar[str] = "that of iteration-level, and of a sizing some 7 evaluations"

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
        pair = np.arange(service.input_tokens.size).reshape(service.shape)
        points = service.flat.take(np.broadcast_to(pair, rate.shape).ravel())
        law = _TableLaw(points)
        linear = points.with_timing(law.around(rate.ravel() / _MS_PER_S))
        return IterationLevelModel().evaluate(linear, rate.ravel(), statistics).reshape(rate.shape)

    def max_rate(self, service: ServiceProcess, targets: Targets) -> FloatArray:
        """Return the largest rate within the targets; see `QueueModel.max_rate`."""
        self.require(service, targets.statistics)
        flat = service.flat
        capacity = _TableLaw(flat).capacity * _MS_PER_S
        bounds = [np.broadcast_to(t.bound, service.shape).ravel() for t in targets.targets]

        def excess(pairs: IntArray, point: FloatArray) -> FloatArray:
            offered = -np.expm1(-point) * capacity[pairs]
            metrics = self.evaluate(flat.take(pairs), offered, targets.statistics)
            worst = np.full(len(pairs), -np.inf)
            for statistic, bound in zip(targets.statistics, bounds, strict=True):
                value = np.maximum(metrics.value(statistic), _NOTHING)
                worst = np.maximum(worst, np.log(value / bound[pairs]))
            return worst

        rate = _SEARCH_LOADS[-1] * capacity
        if bounds and rate.size:
            point = crossing(excess, _SEARCH_NODES, rate.size, _PRECISION)
            rate = -np.expm1(-point) * capacity
        busy = np.flatnonzero(rate > 0)
        rate[busy] = self.evaluate(flat.take(busy), rate[busy]).throughput_rps
        return rate.reshape(service.shape)


@dataclass(frozen=True, eq=False)
class _Prompts:
    """Computed prompt lengths of every pair and their probabilities, (P, Q)."""

    lengths: FloatArray
    shares: FloatArray

    @classmethod
    def of(cls, service: ServiceProcess, work: RequestWork) -> _Prompts:
        """Return those of flat pairs."""
        lengths, shares = service.input_lengths.quantised(_PROMPT_POINTS)
        whole = service.input_tokens
        computed = np.divide(
            work.prefill_tokens, whole, out=np.zeros_like(work.prefill_tokens), where=whole > 0
        )
        return cls(lengths * computed[:, None], shares)

    def mean(self) -> FloatArray:
        """Return their means, (P,)."""
        return np.asarray(np.einsum("pq,pq->p", self.lengths, self.shares))

    def square(self) -> FloatArray:
        """Return their second moments, (P,)."""
        return np.asarray(np.einsum("pq,pq->p", self.lengths**2, self.shares))


class _TableLaw:
    """Iteration times of flat pairs as functions of the number in service."""

    def __init__(self, service: ServiceProcess) -> None:
        assert isinstance(service.timing, TableTiming)
        self.table, self.work = service.timing, RequestWork.of(service)
        self._prompts = _Prompts.of(service, self.work)
        self._kv = self.work.kv_prefill + self.work.kv_decode
        self._most = np.minimum(self.work.slots, self.work.budgeted_slots)

    @property
    def capacity(self) -> FloatArray:
        """Requests per ms of a replica that never runs empty."""
        return self._most / (self.work.iterations * self._linear(self._most)[0])

    def around(self, rate: FloatArray) -> IterationTiming:
        """Return the linear law around what these rates [requests/ms] bring about."""
        low, high = np.zeros_like(rate), self._most
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            enough = middle >= rate * self.work.iterations * self._linear(middle)[0]
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        return self._linear(high)[1]

    def _linear(self, present: FloatArray) -> tuple[FloatArray, IterationTiming]:
        """Return the mean iteration time [ms] with so many in service, and the law around it."""
        share = present / self.work.iterations
        decode, kv = self.work.decode_tokens * share, self._kv * share
        none = np.zeros_like(present)
        # One request is in service at least, whatever the mean, when there is an iteration.
        fewer, more = _FEWER * share, np.maximum(_MORE * share, 1.0 / self.work.iterations)
        per_decode = self._slope(
            lambda s: (self.work.decode_tokens * s, none, kv), fewer, more, self.work.decode_tokens
        )
        per_kv = self._slope(lambda s: (decode, none, self._kv * s), fewer, more, self._kv)
        without = self.table.iteration_ms(decode, none, kv)
        per_prompt = self._prompt_slope(share, decode, kv, without)
        slopes = per_decode * decode + per_kv * kv
        # Slopes that would leave less for an empty iteration are cut down together.
        steep = without - slopes < _LEAST_BASE * without
        kept = np.where(steep, (1.0 - _LEAST_BASE) * without / np.where(steep, slopes, 1.0), 1.0)
        base = without - kept * slopes
        law = IterationTiming(base, kept * per_decode, per_prompt, kept * per_kv)
        return without + per_prompt * self.work.prefill_tokens * share, law

    def _prompt_slope(
        self, share: FloatArray, decode: FloatArray, kv: FloatArray, without: FloatArray
    ) -> FloatArray:
        """Return ms per prompt token, over the numbers of prompts that iterations compute.

        Prompts begin as a Poisson number per iteration, `share` on average: one of them is known by
        its distribution, more by their mean and variance. What exceeds the budget is left to the
        next iteration, at the same price.
        """
        room = np.maximum(self.work.chunk_tokens - decode, 1.0)
        begun = np.maximum(share, _LEAST_BEGUN)
        one = begun * np.exp(-begun)
        more = np.maximum(-np.expm1(-begun) - one, 0.0)
        mean, square = self._prompts.mean(), self._prompts.square()
        some = more > _LEAST_BEGUN
        of_more = np.where(some, more, 1.0)
        middle = (begun - one) * mean / of_more
        spread = ((begun - one) * square + begun**2 * mean**2) / of_more - middle**2
        deviation = np.minimum(np.sqrt(np.maximum(spread, 0.0)), middle)
        lengths = [*self._prompts.lengths.T, middle - deviation, middle + deviation]
        chances = [*(self._prompts.shares.T * one), 0.5 * more * some, 0.5 * more * some]
        tokens, extra = np.zeros_like(share), np.zeros_like(share)
        for length, chance in zip(lengths, chances, strict=True):
            prompt = np.minimum(length, room)
            tokens += chance * prompt
            # Rounding may leave less than nothing for a hundredth of a token.
            rise = np.maximum(self.table.iteration_ms(decode, prompt, kv) - without, 0.0)
            extra += chance * rise
        return np.divide(extra, tokens, out=np.zeros_like(tokens), where=tokens > 0)

    def _slope(
        self, work_at: _WorkAt, fewer: FloatArray, more: FloatArray, tokens: FloatArray
    ) -> FloatArray:
        """Return ms per token between two shares of the requests' tokens."""
        rise = self.table.iteration_ms(*work_at(more)) - self.table.iteration_ms(*work_at(fewer))
        run = tokens * (more - fewer)
        return np.divide(np.maximum(rise, 0.0), run, out=np.zeros_like(run), where=run > 0)
