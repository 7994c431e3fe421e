"""Simulate replicas of one service until its latencies are known well enough."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.engine.completion import gap_edges
from optimizer.engine.errors import SimulationStoppedError
from optimizer.engine.measurement import (
    BATCHES,
    Estimate,
    Measurement,
    half_width,
    histogram_quantile,
)
from optimizer.engine.pool_chain import PoolChain
from optimizer.engine.replica_pool import PIECE, AbstractServers, Pool, RunningPool, Totals
from optimizer.engine.request_source import RequestSource
from optimizer.engine.routing import Router
from optimizer.engine.rules import EngineConfig, KvAccounting
from optimizer.engine.run import DISTRIBUTIONS, Run, RunUsage
from optimizer.engine.state import DROPPED, REFUSED, TOO_LONG
from optimizer.engine.store_loading import LoadingPool, StoreLoading
from optimizer.engine.workload import AbstractWorkload
from queue_models import Metric, Statistic, Timing

__all__ = ["Progress", "simulate_pools", "simulate_replicas"]

_FULL_BATCHES = 8
_WARM_UP = 0.1
# A backlog that grows by more than this share of the arrivals will not end.
_GROWTH = 0.02

Progress = Callable[[int, float], None]
"""Called with the requests simulated so far and the relative precision reached (inf at first)."""


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
    precise: Sequence[Statistic] | None = None,
    least_requests: int = 20_000,
    most_requests: int = 2_000_000,
    seed: int = 0,
    kind: int = 0,
    progress: Progress | None = None,
    stopped: Callable[[], bool] = lambda: False,
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
    precise
        Which of the statistics it is asked of; by default all.
    least_requests, most_requests
        Requests that count; a tenth of the first comes before and does not.
    seed
        Of arrivals, lengths and all draws.
    kind
        Of a `MixedWorkload`, the kind of requests that is measured, from 1; 0: all. Gaps between
        tokens, and how replicas are used, are always those of all.
    progress
        Told after every piece.
    stopped
        Asked after every piece whether to end with what there is.

    Raises
    ------
    SimulationError
        If requests remain that the engine cannot go on with.
    SimulationStoppedError
        If it was stopped before anything was measured.
    """
    pool = Pool(config=config, timing=timing, replicas=replicas, router=router or Router())
    return simulate_pools(
        [pool],
        workload,
        statistics,
        bounds=bounds,
        precision=precision,
        precise=precise,
        least_requests=least_requests,
        most_requests=most_requests,
        seed=seed,
        kind=kind,
        progress=progress,
        stopped=stopped,
    )


def simulate_pools(
    pools: Sequence[Pool],
    workload: AbstractWorkload,
    statistics: Sequence[Statistic] = (),
    *,
    bounds: Mapping[Metric, float] | None = None,
    precision: float = 0.02,
    precise: Sequence[Statistic] | None = None,
    least_requests: int = 20_000,
    most_requests: int = 2_000_000,
    seed: int = 0,
    kind: int = 0,
    loading: StoreLoading | None = None,
    progress: Progress | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Run:
    """Simulate a pool, or a prefill pool and the decode pool after it; see `simulate_replicas`.

    Waits (`Metric.WAIT`) are those in the first pool; the first gap between the tokens of a
    request holds the transfer of its KV cache and the wait in the second.

    Parameters
    ----------
    pools
        One; or two with the roles PREFILL and DECODE: requests go from one to the other over the
        links of the prefill replicas.
    loading
        Of a single pool: what its requests load from a store first.

    Raises
    ------
    SimulationError
        If a role is another, or requests remain that the engine cannot go on with.
    SimulationStoppedError
        If it was stopped before anything was measured.
    """
    servers: AbstractServers
    if len(pools) == 1:
        (pool,) = pools
        servers = RunningPool(pool, seed) if loading is None else LoadingPool(pool, loading, seed)
    else:
        prefill, decode = pools
        servers = PoolChain(prefill, decode, seed)
    # Those who come while the last that count end are fewer than a quarter of these.
    places = max(pool.replicas * pool.config.max_num_seqs for pool in pools)
    least = max(least_requests, _FULL_BATCHES * places)
    if workload.requests is not None:
        # A trace has what it has; its first tenth is the warm-up.
        least = max(int(workload.requests / (1.0 + _WARM_UP)), 1)
    batch = -(-least // (2 * BATCHES))
    measured = Measurement(int(_WARM_UP * least), batch, bounds or {}, kind)
    replay = _Replay(servers, workload, seed)
    asked = statistics if precise is None else precise
    reached = math.inf
    while True:
        replay.go_on(measured, progress, reached, stopped)
        if len(replay.marks) < 2 or not measured.counted:
            raise SimulationStoppedError("stopped before anything was measured")
        estimates = {s: replay.estimate(s, measured) for s in statistics}
        reached = max((estimates[s].relative for s in asked), default=0.0)
        keeps_up = replay.keeps_up()
        enough = reached <= precision and not replay.stopped
        over = replay.ended or replay.stopped
        if enough or over or not keeps_up or 2 * measured.counted > most_requests:
            return replay.result(measured, estimates, keeps_up=keeps_up, converged=enough)
        measured.widen()
        replay.marks = replay.marks[::2]


@dataclass(frozen=True)
class _Mark:
    """The servers at the end of a batch of arrivals."""

    time_ms: float
    requests: int
    outstanding: int
    gaps: NDArray[np.int64]
    totals: tuple[Totals, ...]


class _Replay:
    """A run that can be gone on with; marks are set at the ends of batches of arrivals."""

    def __init__(self, servers: AbstractServers, workload: AbstractWorkload, seed: int) -> None:
        self._servers = servers
        self._source = RequestSource(workload, np.random.SeedSequence(seed))
        self.marks: list[_Mark] = []
        self.ended = self.stopped = False

    def go_on(
        self,
        measured: Measurement,
        progress: Progress | None,
        reached: float,
        stopped: Callable[[], bool],
    ) -> None:
        """Serve requests until all that count are over, or there are no more."""
        late = measured.stop + (measured.stop - measured.first) // 4
        while self._source.number < late and measured.counted < measured.stop - measured.first:
            if stopped():
                self.stopped = True
                return
            first = self._source.number
            place = first - measured.first
            batches = max(place // measured.batch + 1, 0)
            size = measured.first + batches * measured.batch - first
            traffic = self._source.take(min(size, PIECE))
            if traffic is None:
                self.ended = True
                self._mark(self._servers.finish(measured.add))
                return
            self._servers.serve(traffic, first, measured.add)
            place = self._source.number - measured.first
            within = 0 <= place <= measured.stop - measured.first
            if within and place % measured.batch == 0:
                self._servers.advance(self._source.now_ms, measured.add)
                self._mark(self._source.now_ms)
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
        totals = [
            {name: after[name] - before[name] for name in after}
            for before, after in zip(first.totals, last.totals, strict=True)
        ]
        good = measured.good_share()
        turned_away = measured.outcomes[[REFUSED, TOO_LONG, DROPPED]].sum() / measured.counted
        # What came, less what was turned away or is still there.
        left = last.requests - first.requests - (last.outstanding - first.outstanding)
        share = measured.own / measured.counted
        usages = [
            _usage(pool, total, duration_s)
            for pool, total in zip(self._servers.pools, totals, strict=True)
        ]
        return Run(
            requests=measured.own,
            duration_s=duration_s,
            throughput_rps=float(share * left * (1.0 - turned_away) / duration_s),
            goodput_rps=share * good.value * (last.requests - first.requests) / duration_s,
            good_share=good,
            keeps_up=keeps_up,
            converged=converged and keeps_up,
            refused_share=float(turned_away),
            statistics=statistics,
            within={metric: measured.share_within(metric) for metric in measured.bounds},
            usage=usages[0],
            decode_usage=usages[1] if len(usages) > 1 else None,
            counts={metric: measured.histogram(metric) for metric in DISTRIBUTIONS},
            gaps=last.gaps - first.gaps,
        )

    def _mark(self, now_ms: float) -> None:
        self.marks.append(
            _Mark(
                now_ms,
                self._source.number,
                self._servers.outstanding,
                self._servers.gaps,
                self._servers.totals(),
            )
        )


def _usage(pool: Pool, total: Totals, duration_s: float) -> RunUsage:
    def per(part: str, whole: float) -> float:
        return float(total[part] / whole) if whole else 0.0

    config, time_ms = pool.config, 1e3 * duration_s * pool.replicas
    slots_ms = total["tabled_ms"] * config.block_size
    return RunUsage(
        busy=per("busy_ms", time_ms),
        batch=per("running_ms", time_ms * config.max_num_seqs),
        running=per("running_ms", time_ms),
        kv=per("block_ms", time_ms * config.usable_blocks)
        if config.kv_accounting is KvAccounting.BLOCKS
        else per("context_ms", time_ms * config.kv_capacity_tokens),
        fragmentation=1.0 - per("context_ms", slots_ms) if slots_ms else 0.0,
        iteration_ms=per("busy_ms", total["iterations"]),
        iterations=int(total["iterations"]),
        output_tokens_per_s=total["emitted_tokens"] / duration_s,
        preemptions=int(total["preemptions"]),
        swaps=int(total["swaps"]),
        prefix_hit_share=per("hit_tokens", total["queried_tokens"]),
        accepted_draft_share=per("accepted_drafts", total["drafts"]),
        loading_ms=per("loading_ms", total["loads"]) if "loads" in total else None,
        store_busy=total["store_ms"] / (1e3 * duration_s) if "loads" in total else None,
    )


def _gap_statistic(gaps: NDArray[np.int64], percentile: float | None) -> float | None:
    if percentile is not None:
        return histogram_quantile(gaps, percentile / 100.0)
    edges = gap_edges()
    total = int(gaps.sum())
    return float(gaps @ (0.5 * (edges[:-1] + edges[1:])) / total) if total else None
