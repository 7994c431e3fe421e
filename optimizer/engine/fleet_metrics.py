"""What a replica shows to those who watch it, as plain numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from optimizer.engine.meters import Distribution, Meters, Total
from optimizer.engine.state import EngineState

__all__ = ["Histogram", "ReplicaMetrics", "replica_metrics"]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Values counted in buckets.

    Parameters
    ----------
    edges
        Upper edges, inclusive, rising; the last is infinite.
    cumulative
        How many values are at most each edge.
    sum
        Of all values, in seconds or tokens.
    """

    edges: tuple[float, ...]
    cumulative: tuple[int, ...]
    sum: float

    @property
    def count(self) -> int:
        """How many values there are."""
        return self.cumulative[-1]


@dataclass(frozen=True, slots=True)
class ReplicaMetrics:
    """What vLLM's `/metrics` says of one engine; counts are since its start.

    Parameters
    ----------
    replica
        Its number.
    running, waiting
        Requests in the batch and before it, now.
    kv_usage
        Share of the KV blocks in use, 0 to 1, now.
    prompt_tokens, cached_prompt_tokens
        Of requests that have emitted; those found in the prefix cache.
    generation_tokens
        Emitted.
    prefix_queries, prefix_hits
        Tokens looked up in the prefix cache and found there.
    preemptions
        Requests that lost their KV cache.
    drafts, draft_tokens, accepted_draft_tokens
        Speculative decoding: times that tokens were drafted, how many tokens, how many of them were
        accepted.
    accepted_by_place
        Of those, how many at each place of a draft; empty without drafts.
    finished
        Requests by vLLM's reason: stop, length, abort, error.
    refused
        Requests turned away by a full queue, as too long or as too late.
    histograms
        By what they are of; times in seconds.
    """

    replica: int
    running: int
    waiting: int
    kv_usage: float
    prompt_tokens: int
    cached_prompt_tokens: int
    generation_tokens: int
    prefix_queries: int
    prefix_hits: int
    preemptions: int
    drafts: int
    draft_tokens: int
    accepted_draft_tokens: int
    accepted_by_place: tuple[int, ...]
    finished: Mapping[str, int]
    refused: int
    histograms: Mapping[Distribution, Histogram]


def replica_metrics(state: EngineState, meters: Meters, row: int, number: int) -> ReplicaMetrics:
    """Return what the replica kept in a row shows now."""
    replica, totals = state.replicas[row], meters.totals[row].tolist()
    usable = max(state.blocks.shape[1] - 1, 1)
    return ReplicaMetrics(
        replica=number,
        running=int(replica.running),
        waiting=int(replica.waiting + replica.copied_in),
        kv_usage=1.0 - int(replica.free) / usable,
        prompt_tokens=totals[Total.PROMPT_TOKENS],
        cached_prompt_tokens=totals[Total.CACHED_TOKENS],
        generation_tokens=int(replica.emitted_tokens),
        prefix_queries=int(replica.queried_tokens),
        prefix_hits=int(replica.hit_tokens),
        preemptions=int(replica.preemptions),
        drafts=totals[Total.DRAFTS],
        draft_tokens=int(replica.drafts),
        accepted_draft_tokens=int(replica.accepted_drafts),
        accepted_by_place=tuple(meters.accepted[row].tolist()),
        finished={
            "stop": totals[Total.STOPPED],
            "length": totals[Total.AT_LENGTH],
            "abort": totals[Total.ABORTED],
            "error": totals[Total.FAILED],
        },
        refused=totals[Total.REFUSED],
        histograms={d: _histogram(meters, row, d) for d in Distribution},
    )


def _histogram(meters: Meters, row: int, distribution: Distribution) -> Histogram:
    edges = meters.edges[distribution]
    finite = int(np.isfinite(edges).sum())
    cumulative = meters.counts[row, distribution, : finite + 1].cumsum()
    return Histogram(
        (*edges[:finite].tolist(), math.inf),
        tuple(cumulative.tolist()),
        float(meters.sums[row, distribution]),
    )
