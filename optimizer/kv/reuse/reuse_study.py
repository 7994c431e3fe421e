"""The document of a replay: hit rates over capacities and policies, tiers, what reuse saves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from optimizer.kv.devices import StorageDevice
from optimizer.kv.kv_shape import KvShape
from optimizer.kv.prefill import PrefillLaw
from optimizer.kv.reuse.belady import belady_hits
from optimizer.kv.reuse.block_trace import BlockTrace
from optimizer.kv.reuse.policies import EvictionPolicy
from optimizer.kv.reuse.replay import CacheRules, Replay, replay

__all__ = ["CurvePoint", "ReuseStudy", "Tier", "TierUse", "default_capacities", "study_reuse"]

_CURVE_POINTS = 8
_MS_PER_S = 1e3


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CurvePoint(_Part):
    """One policy at one capacity, one tier."""

    capacity_blocks: int
    policy: str
    block_hit_rate: float
    token_hit_rate: float = Field(description="The prefix_hit_rate of a service.")
    belady_block_hit_rate: float = Field(description="The most that any policy can have.")
    share_of_belady: float | None = Field(description="Null: nothing can be hit.")
    saved_prefill_s: float | None = Field(description="Null: no prefill law was given.")


class TierUse(_Part):
    """What one tier did."""

    name: str
    capacity_blocks: int
    hit_blocks: int
    hit_rate: float = Field(description="Of all prompt blocks.")
    prefetched_blocks: int = Field(description="Read ahead of the requests.")
    written_blocks: int
    read_gb: float | None = Field(description="Hits and prefetches; null: the model is not said.")
    written_gb: float | None
    load_s: float | None = Field(description="Of the hits, idle device; null: no such figures.")


class ReuseStudy(_Part):
    """What of a trace's prompts a prefix cache finds."""

    schema_version: Literal[1] = 1
    trace: str
    requests: int
    block_tokens: int
    prompt_blocks: int
    distinct_blocks: int
    prompt_tokens: int
    unlimited_block_hit_rate: float
    unlimited_token_hit_rate: float
    policy: str
    write: str
    admit_from: int
    lookahead_requests: int
    prefill_s: float | None = Field(description="Of all prompts without reuse.")
    capacity_blocks: int = Field(description="Of all tiers.")
    block_hit_rate: float
    prefix_hit_rate: float = Field(description="Share of prompt tokens found; for a service.")
    belady_block_hit_rate: float
    saved_prefill_s: float | None
    tiers: list[TierUse]
    curve: list[CurvePoint]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """A tier of the cache.

    Parameters
    ----------
    name
        `gpu`, `cpu`, ...
    capacity_blocks
        At least 1.
    device
        What its blocks are loaded from; None: loading takes no time, or is not of interest.
    """

    name: str
    capacity_blocks: int
    device: StorageDevice | None = None


def study_reuse(
    name: str,
    trace: BlockTrace,
    tiers: Sequence[Tier],
    rules: CacheRules,
    *,
    policies: Sequence[EvictionPolicy] = (),
    capacities: Sequence[int] = (),
    shape: KvShape | None = None,
    prefill: PrefillLaw | None = None,
) -> ReuseStudy:
    """Replay a trace on the tiers, and every policy of a list on one tier of every capacity.

    Parameters
    ----------
    name
        Of the trace.
    trace, tiers, rules
        What is replayed.
    policies, capacities
        Of the curve.
    shape
        For bytes and loading times.
    prefill
        For the seconds that are saved.
    """
    done = replay(trace, [tier.capacity_blocks for tier in tiers], rules, prefill=prefill)
    total = int(done.capacity_blocks.sum())
    everything = replay(trace, trace.node_count, CacheRules(policy=EvictionPolicy.LRU))
    return ReuseStudy(
        trace=name,
        requests=len(trace),
        block_tokens=trace.block_tokens,
        prompt_blocks=trace.prompt_references,
        distinct_blocks=trace.node_count,
        prompt_tokens=int(trace.input_tokens.sum()),
        unlimited_block_hit_rate=everything.block_hit_rate,
        unlimited_token_hit_rate=everything.token_hit_rate,
        policy=rules.policy,
        write=rules.write,
        admit_from=rules.admit_from,
        lookahead_requests=rules.lookahead_requests,
        prefill_s=None if prefill is None else _seconds(prefill, trace.input_tokens),
        capacity_blocks=total,
        block_hit_rate=done.block_hit_rate,
        prefix_hit_rate=done.token_hit_rate,
        belady_block_hit_rate=_belady_rate(trace, total),
        saved_prefill_s=_saved_s(done, prefill),
        tiers=[_tier_use(done, tier, k, shape) for k, tier in enumerate(tiers)],
        curve=_curve(trace, policies, capacities, rules, prefill),
    )


def default_capacities(trace: BlockTrace) -> list[int]:
    """Return capacities from a hundredth of the distinct blocks to all of them."""
    count = trace.node_count
    steps = np.geomspace(max(count / 128, 1), count, _CURVE_POINTS)
    return sorted({int(np.ceil(step)) for step in steps})


def _curve(
    trace: BlockTrace,
    policies: Sequence[EvictionPolicy],
    capacities: Sequence[int],
    rules: CacheRules,
    prefill: PrefillLaw | None,
) -> list[CurvePoint]:
    points = list[CurvePoint]()
    for capacity in capacities:
        bound = _belady_rate(trace, capacity)
        for policy in policies:
            own = CacheRules(policy=policy, admit_from=rules.admit_from)
            done = replay(trace, capacity, own, prefill=prefill)
            points.append(
                CurvePoint(
                    capacity_blocks=capacity,
                    policy=policy,
                    block_hit_rate=done.block_hit_rate,
                    token_hit_rate=done.token_hit_rate,
                    belady_block_hit_rate=bound,
                    share_of_belady=done.block_hit_rate / bound if bound > 0 else None,
                    saved_prefill_s=_saved_s(done, prefill),
                )
            )
    return points


def _belady_rate(trace: BlockTrace, capacity: int) -> float:
    return float(belady_hits(trace, capacity).sum() / trace.prompt_references)


def _seconds(prefill: PrefillLaw, tokens: np.ndarray[tuple[int], np.dtype[np.int64]]) -> float:
    return float(prefill.time(tokens).ms.sum() / _MS_PER_S)


def _saved_s(done: Replay, prefill: PrefillLaw | None) -> float | None:
    return None if prefill is None else float(done.saved_ms(prefill).sum() / _MS_PER_S)


def _tier_use(done: Replay, tier: Tier, k: int, shape: KvShape | None) -> TierUse:
    hits = done.hit_blocks[:, k]
    prefetched = int(done.prefetched_blocks[:, k].sum())
    written = int(done.written_blocks[k])
    block_gb, load_s = None, None
    if shape is not None:
        block_gb = float(shape.total_bytes(done.trace.block_tokens)) / 1e9
        if tier.device is not None:
            loads = hits[hits > 0] * done.trace.block_tokens
            load_s = float(tier.device.load(shape, loads).whole.ms.sum() / _MS_PER_S)
    return TierUse(
        name=tier.name,
        capacity_blocks=tier.capacity_blocks,
        hit_blocks=int(hits.sum()),
        hit_rate=float(hits.sum() / done.trace.prompt_references),
        prefetched_blocks=prefetched,
        written_blocks=written,
        read_gb=None if block_gb is None else block_gb * (int(hits.sum()) + prefetched),
        written_gb=None if block_gb is None else block_gb * written,
        load_s=load_s,
    )
