"""Simulate replicas of one service until its latencies are known well enough."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from optimizer.engine.batch import advance_all, in_order, serve
from optimizer.engine.completion import gap_edges
from optimizer.engine.errors import SimulationError
from optimizer.engine.measurement import (
    BATCHES,
    Estimate,
    Measurement,
    half_width,
    histogram_quantile,
)
from optimizer.engine.routing import Router
from optimizer.engine.rules import EngineConfig, KvAccounting
from optimizer.engine.state import DROPPED, REFUSED, TOO_LONG, grown, new_state
from optimizer.engine.time_law import time_law
from optimizer.engine.traffic import Traffic
from optimizer.engine.workload import AbstractWorkload
from queue_models import Metric, Statistic, Timing

__all__ = ["Progress", "Run", "RunUsage", "simulate_replicas"]

_PIECE = 65536
_FULL_BATCHES = 8
_TOTALS = (
    "iterations",
    "busy_ms",
    "running_ms",
    "block_ms",
    "tabled_ms",
    "context_ms",
    "emitted_tokens",
    "queried_tokens",
    "hit_tokens",
    "preemptions",
    "swaps",
    "drafts",
    "accepted_drafts",
)
_WARM_UP = 0.1
# A backlog that grows by more than this share of the arrivals will not end.
_GROWTH = 0.02

Progress = Callable[[int, float], None]
"""Called with the requests simulated so far and the relative precision reached (inf at first)."""


@dataclass(frozen=True)
class RunUsage:
    """How the replicas were used, over the time that counts.

    Shares are of 1; `busy` is time with an iteration in flight, `batch` the mean number running as
    a share of `max_num_seqs`, `kv` blocks in use, `fragmentation` slots of allocated blocks that
    hold no token.
    """

    busy: float
    batch: float
    running: float
    kv: float
    fragmentation: float
    iteration_ms: float
    iterations: int
    output_tokens_per_s: float
    preemptions: int
    swaps: int
    prefix_hit_share: float
    accepted_draft_share: float


@dataclass(frozen=True)
class Run:
    """What was simulated of one service.

    Parameters
    ----------
    requests
        Requests that count.
    duration_s
        Time over which they arrived.
    throughput_rps
        Completed per second, all replicas together.
    goodput_rps
        Completed within every bound per second.
    good_share
        Their share of all that arrived.
    keeps_up
        False where the backlog grew to the end: there is no steady state to estimate.
    converged
        Whether every statistic asked for is as precise as asked for.
    refused_share
        Refused by a full queue, dropped at their turn, or too long.
    statistics
        Every statistic asked for.
    within
        Share of all requests completed within each bound.
    usage
        Of the replicas.
    """

    requests: int
    duration_s: float
    throughput_rps: float
    goodput_rps: float
    good_share: Estimate
    keeps_up: bool
    converged: bool
    refused_share: float
    statistics: Mapping[Statistic, Estimate]
    within: Mapping[Metric, Estimate]
    usage: RunUsage
    gaps: NDArray[np.int64] = field(repr=False)


def simulate_replicas(
    config: EngineConfig,
    timing: Timing,
    workload: AbstractWorkload,
    statistics: Sequence[Statistic] = (),
    *,
    replicas: int = 1,
    router: Router | None = None,
    bounds: Mapping[Metric, float] | None = None,
    precision: float = 0.02,
    least_requests: int = 20_000,
    most_requests: int = 2_000_000,
    seed: int = 0,
    kind: int = 0,
    progress: Progress | None = None,
) -> Run:
    """Simulate until every statistic is known to a relative precision, or requests run out.

    Parameters
    ----------
    config, timing, workload
        Settings of a replica, its iteration times (one pair), and what all replicas together are
        asked for.
    statistics
        Means and percentiles wanted. Gaps between tokens (`Metric.ITL`) are over all tokens.
    replicas, router
        How many, and how requests are spread.
    bounds
        Bounds of one request's latencies that make up goodput [ms].
    precision
        Relative half-width of the 95 % confidence interval to reach.
    least_requests, most_requests
        Requests that count; a tenth of the first comes before and does not.
    seed
        Of arrivals, lengths and all draws.
    kind
        Of a `MixedWorkload`, the kind of requests that is measured, from 1; 0: all. Gaps between
        tokens, and how replicas are used, are always those of all.
    progress
        Told after every piece.

    Raises
    ------
    SimulationError
        If requests remain that the engine cannot go on with.
    """
    # Those who come while the last that count end are fewer than a quarter of these.
    least = max(least_requests, _FULL_BATCHES * replicas * config.max_num_seqs)
    batch = -(-least // (2 * BATCHES))
    measured = Measurement(int(_WARM_UP * least), batch, bounds or {}, kind)
    replay = _Replay(config, timing, workload, replicas, router or Router(), seed)
    reached = math.inf
    while True:
        replay.go_on(measured, progress, reached)
        estimates = {s: replay.estimate(s, measured) for s in statistics}
        reached = max((e.relative for e in estimates.values()), default=0.0)
        keeps_up = replay.keeps_up()
        enough = reached <= precision
        if enough or replay.ended or not keeps_up or 2 * measured.counted > most_requests:
            return replay.result(measured, estimates, keeps_up=keeps_up, converged=enough)
        measured.widen()
        replay.marks = replay.marks[::2]


@dataclass(frozen=True)
class _Mark:
    """The engine at the end of a batch of arrivals."""

    time_ms: float
    requests: int
    outstanding: int
    gaps: NDArray[np.int64]
    totals: Mapping[str, float]


class _Replay:
    """A run that can be gone on with; marks are set at the ends of batches of arrivals."""

    def __init__(
        self,
        config: EngineConfig,
        timing: Timing,
        workload: AbstractWorkload,
        replicas: int,
        router: Router,
        seed: int,
    ) -> None:
        self._config = replace(config, seed=seed)
        self._rules, self._law = self._config.rules(), time_law(timing)
        self._router, self._replicas = router, replicas
        self._state = new_state(self._rules, replicas, done=2 * _PIECE)
        self._source = _Source(workload, np.random.SeedSequence(seed))
        self.marks: list[_Mark] = []
        self.ended = False

    def go_on(self, measured: Measurement, progress: Progress | None, reached: float) -> None:
        """Serve requests until all that count are over, or there are no more."""
        late = measured.stop + (measured.stop - measured.first) // 4
        while self._source.number < late and measured.counted < measured.stop - measured.first:
            place = self._source.number - measured.first
            batches = max(place // measured.batch + 1, 0)
            size = measured.first + batches * measured.batch - self._source.number
            traffic = self._source.take(min(size, _PIECE))
            if traffic is None:
                self.ended = True
                advance_all(self._state, self._rules, self._law, np.inf)
                self._fetch(measured)
                self._require_idle()
                self._mark()
                return
            self._serve(traffic, measured)
            place = self._source.number - measured.first
            within = 0 <= place <= measured.stop - measured.first
            if within and place % measured.batch == 0:
                advance_all(self._state, self._rules, self._law, self._source.now_ms)
                self._mark()
            if progress is not None:
                progress(self._source.number, reached)

    def estimate(self, statistic: Statistic, measured: Measurement) -> Estimate:
        """Return the estimate of a statistic; gaps between tokens are counted by time."""
        if statistic.metric is not Metric.ITL:
            return measured.estimate(statistic)
        size = max((len(self.marks) - 1) // BATCHES, 1)
        ends = self.marks[::size]
        parts = [b.gaps - a.gaps for a, b in itertools.pairwise(ends)]
        values = [_gap_statistic(part, statistic.percentile) for part in parts]
        whole = _gap_statistic(self.marks[-1].gaps - self.marks[0].gaps, statistic.percentile)
        return Estimate(math.nan if whole is None else whole, half_width(values))

    def keeps_up(self) -> bool:
        """Whether the backlog does not grow from a third to a third of the time that counts."""
        if self.ended or len(self.marks) < 4:
            return True
        third = (len(self.marks) - 1) // 3
        one, two, three = (self.marks[i] for i in (third, 2 * third, -1))
        arrived = self._source.number * third / (len(self.marks) - 1)
        least = min(two.outstanding - one.outstanding, three.outstanding - two.outstanding)
        return least <= _GROWTH * arrived

    def result(
        self,
        measured: Measurement,
        statistics: Mapping[Statistic, Estimate],
        *,
        keeps_up: bool,
        converged: bool,
    ) -> Run:
        """Return what was measured."""
        first, last = self.marks[0], self.marks[-1]
        duration_s = (last.time_ms - first.time_ms) / 1e3
        total = {name: last.totals[name] - first.totals[name] for name in _TOTALS}
        counted = max(measured.counted, 1)
        good = measured.good_share()
        turned_away = measured.outcomes[[REFUSED, TOO_LONG, DROPPED]].sum()
        # What came, less what was turned away or is still there.
        left = last.requests - first.requests - (last.outstanding - first.outstanding)
        share = measured.own / counted
        done = share * left * (1.0 - turned_away / counted)
        return Run(
            requests=measured.own,
            duration_s=duration_s,
            throughput_rps=float(done / duration_s),
            goodput_rps=share * good.value * (last.requests - first.requests) / duration_s,
            good_share=good,
            keeps_up=keeps_up,
            converged=converged and keeps_up,
            refused_share=float(turned_away / counted),
            statistics=statistics,
            within={metric: measured.share_within(metric) for metric in measured.bounds},
            usage=self._usage(total, duration_s),
            gaps=last.gaps - first.gaps,
        )

    def _usage(self, total: Mapping[str, float], duration_s: float) -> RunUsage:
        def per(part: str, whole: float) -> float:
            return float(total[part] / whole) if whole else 0.0

        time_ms = 1e3 * duration_s * self._replicas
        blocks = self._config.kv_accounting is KvAccounting.BLOCKS
        slots_ms = total["tabled_ms"] * self._config.block_size
        return RunUsage(
            busy=per("busy_ms", time_ms),
            batch=per("running_ms", time_ms * self._config.max_num_seqs),
            running=per("running_ms", time_ms),
            kv=per("block_ms", time_ms * self._config.usable_blocks)
            if blocks
            else per("context_ms", time_ms * self._config.kv_capacity_tokens),
            fragmentation=1.0 - per("context_ms", slots_ms) if slots_ms else 0.0,
            iteration_ms=per("busy_ms", total["iterations"]),
            iterations=int(total["iterations"]),
            output_tokens_per_s=total["emitted_tokens"] / duration_s,
            preemptions=int(total["preemptions"]),
            swaps=int(total["swaps"]),
            prefix_hit_share=per("hit_tokens", total["queried_tokens"]),
            accepted_draft_share=per("accepted_drafts", total["drafts"]),
        )

    def _serve(self, traffic: Traffic, measured: Measurement) -> None:
        longest = int((traffic.prompt.astype(np.int64) + traffic.output).max())
        segments = int(np.diff(traffic.segment_of).max())
        self._state = grown(self._state, self._rules, segments=segments, longest=longest)
        place, number = 0, self._source.number - traffic.arrival_ms.size
        chosen, order = in_order(self._state, self._rules, self._router, traffic, number)
        while True:
            engine = self._state, self._rules, self._law, self._router
            place = serve(*engine, traffic, chosen, order, place, number)
            self._fetch(measured)
            if place == traffic.arrival_ms.size:
                return
            if self._state.free_slots[-1] == 0:
                self._grow()

    def _grow(self) -> None:
        slots = 2 * self._state.requests.size
        self._state = grown(self._state, self._rules, slots=slots)
        if slots > self._state.done.size // 2:
            done = np.zeros(4 * slots, self._state.done.dtype).view(np.recarray)
            self._state = self._state._replace(done=done)

    def _fetch(self, measured: Measurement) -> None:
        count = int(self._state.done_count[0])
        self._state.done_count[0] = 0
        if count:
            measured.add(self._state.done[:count])

    def _mark(self) -> None:
        replicas = self._state.replicas
        self.marks.append(
            _Mark(
                max(self._source.now_ms, float(replicas.now.max()) if self.ended else 0.0),
                self._source.number,
                int(replicas.outstanding.sum()),
                self._state.gaps.copy(),
                {name: float(replicas[name].sum()) for name in _TOTALS},
            )
        )

    def _require_idle(self) -> None:
        left = int(self._state.replicas.outstanding.sum())
        if left:
            raise SimulationError(
                f"{left} requests remain that can neither run nor leave: a fault of the engine"
            )


class _Source:
    """Pieces of a workload of whatever size is asked for."""

    def __init__(self, workload: AbstractWorkload, seed: np.random.SeedSequence) -> None:
        self._pieces = workload.pieces(_PIECE, seed)
        self._piece: Traffic | None = None
        self._place = 0
        self.number = 0
        self.now_ms = 0.0

    def take(self, most: int) -> Traffic | None:
        """Return the next requests, at most so many; None when there are no more."""
        if self._piece is None or self._place == self._piece.arrival_ms.size:
            self._piece, self._place = next(self._pieces, None), 0
            if self._piece is None:
                return None
        traffic = self._piece.part(self._place, self._place + most)
        self._place += traffic.arrival_ms.size
        self.number += traffic.arrival_ms.size
        self.now_ms = float(traffic.arrival_ms[-1])
        return traffic


def _gap_statistic(gaps: NDArray[np.int64], percentile: float | None) -> float | None:
    if percentile is not None:
        return histogram_quantile(gaps, percentile / 100.0)
    edges = gap_edges()
    total = int(gaps.sum())
    return float(gaps @ (0.5 * (edges[:-1] + edges[1:])) / total) if total else None
