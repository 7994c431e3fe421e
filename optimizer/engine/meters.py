"""What an engine's operators watch, counted as it works: vLLM's counters and histograms.

Everything is per replica and starts at 0 with it, as in a process of its own.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from optimizer.engine.compilation import borrowed, compiled, inlined
from optimizer.engine.state import (
    ABORTED,
    COMPLETED,
    FAILED,
    NONE,
    EngineState,
)

__all__ = [
    "Distribution",
    "Meters",
    "Total",
    "bucket_edges",
    "meter_finished",
    "meters_for",
    "new_meters",
    "observe",
    "observe_here",
    "reset_meters",
]


class Distribution(IntEnum):
    """What histograms are kept of; times in seconds, lengths in tokens."""

    TTFT = 0
    ITL = 1
    TPOT = 2  # of a request
    E2E = 3
    QUEUE = 4
    INFERENCE = 5
    PREFILL = 6
    DECODE = 7
    PROMPT_TOKENS = 8
    GENERATION_TOKENS = 9
    MAX_GENERATION_TOKENS = 10
    PARAMS_MAX_TOKENS = 11
    PREFILL_COMPUTED_TOKENS = 12
    ITERATION_TOKENS = 13
    PARAMS_N = 14
    PREEMPTIONS = 15


class Total(IntEnum):
    """What is counted beside what the engine's state counts itself."""

    PROMPT_TOKENS = 0  # of requests that have emitted
    CACHED_TOKENS = 1  # of them, found in the prefix cache
    STOPPED = 2  # requests, by how they ended
    AT_LENGTH = 3
    ABORTED = 4
    FAILED = 5
    REFUSED = 6  # by a full queue, as too long or as too late
    DRAFTS = 7  # times that tokens were drafted


class Meters(NamedTuple):
    """Counts of R replicas; of each distribution, requests or tokens by bucket."""

    edges: Any  # (distributions, buckets) upper edges, inclusive; inf beyond the last
    counts: Any  # (R, distributions, buckets + 1); those beyond the last edge come right after it
    sums: Any  # (R, distributions)
    totals: Any  # (R, totals)
    accepted: Any  # (R, places) drafted tokens that were accepted, by their place in the draft
    unrouted: Any  # (1,) requests that no replica accepted


# vllm/v1/metrics/loggers.py and buckets.py of vLLM 0.33.
_TTFT_S = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
_PER_TOKEN_S = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0),
)
_REQUEST_S = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0),
    *(120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0),
)
_ITERATION_TOKENS = (1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
_CHOICES = (1, 2, 5, 10, 20)
_PREEMPTIONS = (1, 2, 3, 4, 5, 10, 20)


def bucket_edges(distribution: Distribution, max_model_len: int) -> tuple[float, ...]:
    """Return the upper edges of vLLM's buckets, inclusive, without the infinite one."""
    match distribution:
        case Distribution.TTFT:
            return _TTFT_S
        case Distribution.ITL | Distribution.TPOT:
            return _PER_TOKEN_S
        case Distribution.ITERATION_TOKENS:
            return tuple(map(float, _ITERATION_TOKENS))
        case Distribution.PARAMS_N:
            return tuple(map(float, _CHOICES))
        case Distribution.PREEMPTIONS:
            return tuple(map(float, _PREEMPTIONS))
    if distribution < Distribution.PROMPT_TOKENS:
        return _REQUEST_S
    series = (step * 10.0**power for power in range(10) for step in (1, 2, 5))
    return tuple(edge for edge in series if edge <= max_model_len)


def new_meters(replicas: int, max_model_len: int, draft_tokens: int = 0) -> Meters:
    """Return the meters of replicas that have just started."""
    rows = [bucket_edges(distribution, max_model_len) for distribution in Distribution]
    edges = np.full((len(rows), max(map(len, rows))), np.inf)
    for row, values in zip(edges, rows, strict=True):
        row[: len(values)] = values
    return Meters(
        edges=edges,
        counts=np.zeros((replicas, len(rows), edges.shape[1] + 1), np.int64),
        sums=np.zeros((replicas, len(rows))),
        totals=np.zeros((replicas, len(Total)), np.int64),
        accepted=np.zeros((replicas, draft_tokens), np.int64),
        unrouted=np.zeros(1, np.int64),
    )


def meters_for(meters: Meters, replicas: int) -> Meters:
    """Return the meters with room for so many replicas, more than now."""

    def padded(array: NDArray[Any]) -> NDArray[Any]:
        larger = np.zeros((replicas, *array.shape[1:]), array.dtype)
        larger[: array.shape[0]] = array
        return larger

    return meters._replace(
        counts=padded(meters.counts),
        sums=padded(meters.sums),
        totals=padded(meters.totals),
        accepted=padded(meters.accepted),
    )


def reset_meters(meters: Meters, r: int) -> None:
    """Start all counts of a replica at 0."""
    for counted in (meters.counts, meters.sums, meters.totals, meters.accepted):
        counted[r] = 0


@inlined
def observe(meters: Meters, r: int, distribution: int, value: float, times: int) -> None:
    """Count a value so many times."""
    place = 0
    while place < meters.edges.shape[1] and value > meters.edges[distribution, place]:
        place += 1
    meters.counts[r, distribution, place] += times
    meters.sums[r, distribution] += value * times


@compiled
def observe_here(meters: Meters, r: int, distribution: int, value: float) -> None:
    """Count a value once, from Python."""
    meters = borrowed(meters)
    observe(meters, r, distribution, value, 1)


@compiled
def meter_finished(state: EngineState, meters: Meters) -> None:
    """Count the requests in the record of finished ones."""
    state, meters = borrowed(state), borrowed(meters)
    for place in range(state.done_count[0]):
        entry = state.done[place]
        r = entry.replica
        if r == NONE:
            meters.unrouted[0] += 1
        elif entry.outcome == COMPLETED:
            meters.totals[r, Total.STOPPED if entry.stops == 1 else Total.AT_LENGTH] += 1
            _observe_completed(state, meters, r, place)
        elif entry.outcome == ABORTED:
            meters.totals[r, Total.ABORTED] += 1
        elif entry.outcome == FAILED:
            meters.totals[r, Total.FAILED] += 1
        else:
            meters.totals[r, Total.REFUSED] += 1


@inlined
def _observe_completed(state: EngineState, meters: Meters, r: int, place: int) -> None:
    entry = state.done[place]
    decode_s = (entry.finished - entry.first) / 1e3
    observe(meters, r, Distribution.E2E, (entry.finished - entry.arrival) / 1e3, 1)
    observe(meters, r, Distribution.QUEUE, (entry.admitted - entry.arrival) / 1e3, 1)
    observe(meters, r, Distribution.INFERENCE, (entry.finished - entry.admitted) / 1e3, 1)
    observe(meters, r, Distribution.PREFILL, (entry.first - entry.admitted) / 1e3, 1)
    observe(meters, r, Distribution.DECODE, decode_s, 1)
    if entry.emitted > 1:
        observe(meters, r, Distribution.TPOT, decode_s / (entry.emitted - 1), 1)
    observe(meters, r, Distribution.PROMPT_TOKENS, entry.prompt, 1)
    observe(meters, r, Distribution.GENERATION_TOKENS, entry.emitted, 1)
    observe(meters, r, Distribution.MAX_GENERATION_TOKENS, entry.emitted, 1)
    observe(meters, r, Distribution.PARAMS_MAX_TOKENS, entry.asked, 1)
    observe(meters, r, Distribution.PREFILL_COMPUTED_TOKENS, entry.prompt - entry.hit, 1)
    observe(meters, r, Distribution.PREEMPTIONS, entry.preemptions, 1)
