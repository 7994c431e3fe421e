"""Prefix reuse: what a cache of KV blocks holds when, on real traces and live."""

from __future__ import annotations

from optimizer.kv.reuse.belady import belady_hits
from optimizer.kv.reuse.block_trace import BlockTrace, TracedRequest
from optimizer.kv.reuse.fleet_hit_rate import with_prefix_hit_rate
from optimizer.kv.reuse.policies import DEFAULT_POLICY, EvictionPolicy
from optimizer.kv.reuse.prefix_index import PrefixIndex, PrefixMatch
from optimizer.kv.reuse.replay import CacheRules, Replay, WriteMode, replay
from optimizer.kv.reuse.reuse_study import (
    CurvePoint,
    ReuseStudy,
    Tier,
    TierUse,
    default_capacities,
    study_reuse,
)
from optimizer.kv.reuse.trace_files import read_trace

__all__ = [
    "DEFAULT_POLICY",
    "BlockTrace",
    "CacheRules",
    "CurvePoint",
    "EvictionPolicy",
    "PrefixIndex",
    "PrefixMatch",
    "Replay",
    "ReuseStudy",
    "Tier",
    "TierUse",
    "TracedRequest",
    "WriteMode",
    "belady_hits",
    "default_capacities",
    "read_trace",
    "replay",
    "study_reuse",
    "with_prefix_hit_rate",
]
