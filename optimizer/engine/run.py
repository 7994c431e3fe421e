"""What comes out of a simulation of one service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from optimizer.engine.measurement import Estimate, histogram_quantile
from queue_models import Metric, Statistic

__all__ = ["DISTRIBUTIONS", "Run", "RunUsage"]

DISTRIBUTIONS = (Metric.TTFT, Metric.E2E)
"""Latencies of requests whose whole distribution a run keeps; that of gaps it keeps, too."""


@dataclass(frozen=True)
class RunUsage:
    """How the replicas were used, over the time that counts.

    Shares are of 1; `busy` is time with an iteration in flight, `batch` the mean number running as
    a share of `max_num_seqs`, `kv` blocks in use, `fragmentation` slots of allocated blocks that
    hold no token. Where requests load from a store, `loading_ms` is the mean time of a load, with
    its wait for the store, and `store_busy` the share of the time that the store reads for them.
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
    loading_ms: float | None = None
    store_busy: float | None = None


@dataclass(frozen=True, kw_only=True)
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
        Of the replicas, those that prefill where others decode.
    decode_usage
        Of the replicas that decode, where these are others.
    counts, gaps
        Counts in the bins of `optimizer.engine.completion.gap_edges`: of requests by latency, of
        tokens by the gap before them.
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
    decode_usage: RunUsage | None = None
    counts: Mapping[Metric, NDArray[np.int64]] = field(repr=False)
    gaps: NDArray[np.int64] = field(repr=False)

    def quantile(self, metric: Metric, share: float) -> float | None:
        """Return a quantile of TTFT, E2E or the gaps between tokens [ms]; None without any."""
        counts = self.gaps if metric is Metric.ITL else self.counts[metric]
        return histogram_quantile(counts, share)
