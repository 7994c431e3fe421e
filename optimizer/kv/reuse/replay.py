"""Replay of a trace against a cache of one or several tiers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from optimizer.errors import Fault, SpecError
from optimizer.kv.ranges import Range, refuse_outside
from optimizer.kv.reuse.block_trace import BlockTrace
from optimizer.kv.reuse.policies import DEFAULT_POLICY, EvictionPolicy

if TYPE_CHECKING:
    from optimizer.kv.prefill import PrefillLaw
    from optimizer.kv.reuse.cache_state import CacheState
    from optimizer.kv.reuse.reuse_times import ReuseTimes

__all__ = ["CacheRules", "Replay", "WriteMode", "new_cache", "replay"]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

_RANGES = {
    "admit_from": Range("references", low=1, high=1e6),
    "lookahead_requests": Range("requests", high=1e6),
}


class WriteMode(StrEnum):
    """When a block comes to the slower tiers."""

    BACK = "write-back"  # when a faster tier drops it: a block is in one tier
    THROUGH = "write-through"  # when it is stored: a faster tier's blocks are copies


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRules:
    """How a cache is run.

    Parameters
    ----------
    policy
        Which block leaves a tier first.
    write
        How tiers work together.
    admit_from
        References that a block needs, the present one included, to be stored: 1 stores all, 2
        what comes a second time.
    lookahead_requests
        Waiting requests whose stored prefixes are brought to the fastest tier ahead of them.

    Raises
    ------
    SpecError
        Naming each figure outside its range.
    """

    policy: EvictionPolicy = DEFAULT_POLICY
    write: WriteMode = WriteMode.BACK
    admit_from: int = 1
    lookahead_requests: int = 0

    def __post_init__(self) -> None:
        refuse_outside({name: getattr(self, name) for name in _RANGES}, _RANGES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What came of a trace; T tiers, from the fastest.

    Parameters
    ----------
    trace
        That was replayed.
    capacity_blocks
        Of the tiers, shape (T,).
    hit_blocks
        Leading prompt blocks found in each tier, shape (requests, T).
    prefetched_blocks
        Blocks brought to the fastest tier ahead of the request, by where they were, (requests, T).
    written_blocks
        Blocks written to each tier, shape (T,).
    """

    trace: BlockTrace
    capacity_blocks: IntArray
    hit_blocks: IntArray
    prefetched_blocks: IntArray
    written_blocks: IntArray

    @property
    def block_hit_rate(self) -> float:
        """Share of prompt blocks found in any tier."""
        return float(self.hit_blocks.sum() / self.trace.prompt_references)

    @property
    def hit_tokens(self) -> IntArray:
        """Prompt tokens found, per request."""
        return self.trace.hit_tokens(self.hit_blocks.sum(axis=1))

    @property
    def token_hit_rate(self) -> float:
        """Share of prompt tokens found: the `prefix_hit_rate` of a service."""
        return float(self.hit_tokens.sum() / self.trace.input_tokens.sum())

    def saved_ms(self, prefill: PrefillLaw) -> FloatArray:
        """Return the prefill that each request is spared: that of its leading tokens."""
        return prefill.time(self.hit_tokens).ms


def replay(
    trace: BlockTrace,
    capacity_blocks: int | Sequence[int],
    rules: CacheRules | None = None,
    *,
    prefill: PrefillLaw | None = None,
) -> Replay:
    """Run the requests of a trace through a cache, one after the other.

    A request's hit is the number of its leading blocks that some tier holds. After the look-up all
    its blocks are stored, head first; a block of the request itself, or of one prefetched for, does
    not leave. Leaves leave first, so that what is stored are prefixes.

    Parameters
    ----------
    trace
        Requests.
    capacity_blocks
        Blocks of the tiers, fastest first; a single number for one tier.
    rules
        None: the defaults.
    prefill
        What GDSF takes as the cost of a block; None: every block costs the same.

    Raises
    ------
    SpecError
        If there is no tier, or one is smaller than a block.
    """
    from optimizer.kv.reuse.replay_loop import replay_requests

    chosen = rules or CacheRules()
    tiers = np.atleast_1d(np.asarray(capacity_blocks, dtype=np.int64))
    if tiers.ndim != 1 or not tiers.size or np.any(tiers < 1):
        message = "must be one number of blocks per tier, each at least 1"
        raise SpecError([Fault(message, path="capacity_blocks", value=repr(capacity_blocks))])
    # More room than there are blocks is of no use.
    state, model = new_cache(trace.node_count, np.minimum(tiers, trace.node_count), chosen.policy)
    state.nodes.parent = trace.parents
    if prefill is not None:
        state.nodes.cost = _relative_costs(trace, prefill)
    hits = np.zeros((len(trace), tiers.size), dtype=np.int64)
    prefetched = np.zeros_like(hits)
    replay_requests(
        state,
        model,
        chosen.policy.code,
        chosen.write is WriteMode.BACK,
        chosen.admit_from,
        chosen.lookahead_requests,
        trace.offsets,
        trace.nodes,
        trace.prompt_blocks,
        trace.times_s,
        trace.input_tokens,
        trace.output_tokens,
        trace.block_tokens,
        hits,
        prefetched,
    )
    return Replay(
        trace=trace,
        capacity_blocks=tiers,
        hit_blocks=hits,
        prefetched_blocks=prefetched,
        written_blocks=np.asarray(state.tiers.written),
    )


def new_cache(
    nodes: int, capacity_blocks: IntArray, policy: EvictionPolicy
) -> tuple[CacheState, ReuseTimes]:
    """Return an empty cache for up to `nodes` blocks, and a model that has seen nothing."""
    from optimizer.kv.reuse.cache_state import new_state
    from optimizer.kv.reuse.reuse_times import new_model

    learned = policy is EvictionPolicy.REUSE_TIME
    state = new_state(
        nodes,
        capacity_blocks,
        heaps_per_tier=0 if learned else 2 if policy is EvictionPolicy.ARC else 1,
        with_leaf_lists=learned,
        ghosts=2 * int(np.sum(capacity_blocks)) + 2 if policy is EvictionPolicy.ARC else 1,
    )
    return state, new_model(nodes if learned else 0)


def _relative_costs(trace: BlockTrace, prefill: PrefillLaw) -> FloatArray:
    """Prefill time of each node's block, over that of the first block."""
    depth = np.zeros(trace.node_count, dtype=np.int64)
    for node, parent in enumerate(trace.parents):  # a parent is numbered before its children
        depth[node] = depth[parent] + 1 if parent >= 0 else 0
    ends = np.arange(depth.max() + 2) * trace.block_tokens
    cost = np.diff(prefill.time(ends).ms)
    relative: FloatArray = cost[depth] / cost[0]
    return relative
