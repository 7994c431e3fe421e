"""One request against the cache: look up, refer, store, evict."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizer.kv.reuse.arc import refer
from optimizer.kv.reuse.cache_state import ANSWER, PROMPT, CacheState
from optimizer.kv.reuse.compilation import compiled, inlined
from optimizer.kv.reuse.placement import (
    ARC,
    GDSF,
    LFU,
    LFU_AGEING,
    LRU,
    REUSE_TIME,
    evict,
    fit,
    offer_leaf,
    place,
    remove,
)
from optimizer.kv.reuse.reuse_times import (
    FEATURES,
    ReuseTimes,
    grade_of,
    learn_when_due,
    note,
    power,
    stratum_of,
)

__all__ = ["prefetch", "serve"]

IntArray = NDArray[np.int64]


@compiled
def serve(
    s: CacheState,
    m: ReuseTimes,
    policy: int,
    write_back: bool,
    admit_from: int,
    nodes: IntArray,
    prompt: int,
    request: int,
    now: float,
    tokens: IntArray,
    hits: IntArray,
) -> None:
    """Serve one request.

    Parameters
    ----------
    nodes
        Blocks of the prompt from the head, then those of the answer.
    prompt
        How many of them are the prompt's.
    admit_from
        References that a block needs, this one included, to be stored.
    tokens
        Of the prompt, of the answer, and of a block.
    hits
        Filled with the leading prompt blocks found, per tier.
    """
    known = _look_up(s, nodes[:prompt], hits)
    _refer(s, m, policy, nodes, prompt, known, request, now, tokens)
    _store(s, policy, write_back, admit_from, nodes)
    for tier in range(s.tiers.shape[0]):
        if not fit(s, m, policy, write_back, tier, request, now):
            _give_up_tail(s, policy, write_back, tier, nodes)
    for tier in range(s.tiers.shape[0]):
        _offer_last(s, policy, tier, nodes)
    if policy == REUSE_TIME:
        learn_when_due(m, nodes.shape[0], now)


@compiled
def prefetch(
    s: CacheState,
    m: ReuseTimes,
    policy: int,
    write_back: bool,
    nodes: IntArray,
    request: int,
    waiting: int,
    now: float,
    moved: IntArray,
) -> None:
    """Bring the stored prefix of a waiting request to the fastest tier and hold it there.

    `request` is the one that is served, `waiting` the one that the blocks are for; `moved` is
    filled with the blocks read from each tier.
    """
    wanted = min(nodes.shape[0], s.tiers[0].capacity)
    count = 0
    for j in range(wanted):
        node = nodes[j]
        tier = _fastest(s, node)
        if tier < 0:
            break
        s.nodes[node].held = max(s.nodes[node].held, waiting)
        count += 1
        if tier > 0:
            moved[tier] += 1
            if write_back:
                remove(s, policy, tier, node)
            place(s, policy, 0, node)
    for tier in range(s.tiers.shape[0]):
        if not fit(s, m, policy, write_back, tier, request, now):
            _give_up_tail(s, policy, write_back, tier, nodes[:count])
    _offer_last(s, policy, 0, nodes[:count])


@inlined
def _fastest(s: CacheState, node: int) -> int:
    for tier in range(s.tiers.shape[0]):
        if s.slots[tier, node].resident:
            return tier
    return -1


@inlined
def _look_up(s: CacheState, nodes: IntArray, hits: IntArray) -> int:
    """Count leading blocks by tier, and those referred to before, stored or not."""
    known, stored = 0, True
    for j in range(nodes.shape[0]):
        node = nodes[j]
        if s.nodes[node].touches == 0:
            break
        known += 1
        if stored:
            tier = _fastest(s, node)
            stored = tier >= 0
            if stored:
                hits[tier] += 1
    return known


@compiled
def _refer(
    s: CacheState,
    m: ReuseTimes,
    policy: int,
    nodes: IntArray,
    prompt: int,
    known: int,
    request: int,
    now: float,
    tokens: IntArray,
) -> None:
    """Update what is known of every block, from the tail: of one request the head is used last."""
    count = nodes.shape[0]
    features = np.zeros(FEATURES, dtype=np.uint8)
    turn = s.nodes[nodes[known - 1]].turn + 1 if known > 0 else 0
    if policy == REUSE_TIME:
        features[0] = power(float(turn))
        features[1] = power(max(tokens[0] - tokens[2] * known, 0) / 64.0)
        features[2] = power(tokens[0] / 64.0)
        features[3] = power(float(tokens[1]))
    for j in range(count - 1, -1, -1):
        node = nodes[j]
        if policy == REUSE_TIME:
            features[4] = power(float(j))
            features[5] = power(float(count - 1 - j))
            features[6] = 1 if j >= prompt else (2 if j >= known else 0)
            features[7] = power(now - s.nodes[node].time) if s.nodes[node].touches > 0 else 0
            stratum = stratum_of(s.nodes[node].touches + 1)
            note(m, node, now, features, stratum)
            s.nodes[node].grade = grade_of(m, features, stratum)
        elif policy == ARC:
            refer(s, node)
        if j >= known:
            s.nodes[node].turn = turn
            s.nodes[node].kind = ANSWER if j >= prompt else PROMPT
        s.whole[0].references += 1
        s.nodes[node].touches += 1
        s.nodes[node].uses += 1
        s.nodes[node].order = s.whole[0].references
        s.nodes[node].time = now
        s.nodes[node].held = max(s.nodes[node].held, request)
        s.nodes[node].priority = _priority(s, policy, node)


@inlined
def _priority(s: CacheState, policy: int, node: int) -> float:
    if policy in (LRU, ARC):
        return float(s.nodes[node].order)
    if policy == LFU:
        return float(s.nodes[node].uses)
    # The fastest tier's clock: what moves down keeps its rank.
    if policy == LFU_AGEING:
        return float(s.tiers[0].clock + s.nodes[node].uses)
    if policy == GDSF:
        return float(s.tiers[0].clock + s.nodes[node].uses * s.nodes[node].cost)
    return 0.0


@compiled
def _store(s: CacheState, policy: int, write_back: bool, admit_from: int, nodes: IntArray) -> None:
    """Store the blocks head first: each in the fastest tier, with write-through in all tiers."""
    before = 0
    for tier in range(s.tiers.shape[0]):
        end = min(nodes.shape[0], before + s.tiers[tier].capacity)
        for j in range(before, end):
            node = nodes[j]
            if s.nodes[node].touches < admit_from and _fastest(s, node) < 0:
                return
            if s.slots[tier, node].resident:
                continue
            if write_back:
                for other in range(s.tiers.shape[0]):
                    if s.slots[other, node].resident:
                        remove(s, policy, other, node)
            place(s, policy, tier, node)
        if write_back:
            before = end


@compiled
def _give_up_tail(s: CacheState, policy: int, write_back: bool, tier: int, nodes: IntArray) -> None:
    """Drop the end of the request itself, where all else is in use."""
    for j in range(nodes.shape[0] - 1, -1, -1):
        if s.tiers[tier].blocks <= s.tiers[tier].capacity:
            return
        node = nodes[j]
        if s.slots[tier, node].resident and s.slots[tier, node].children == 0:
            evict(s, policy, write_back, tier, node)


@inlined
def _offer_last(s: CacheState, policy: int, tier: int, nodes: IntArray) -> None:
    """Of a path at most the last stored block of a tier is a leaf there."""
    for j in range(nodes.shape[0] - 1, -1, -1):
        node = nodes[j]
        if s.slots[tier, node].resident:
            if s.slots[tier, node].children == 0:
                offer_leaf(s, policy, tier, node)
            return
