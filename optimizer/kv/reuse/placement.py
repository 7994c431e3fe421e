"""Storing and dropping blocks: where they come and go, the tree and the leaves are kept in step."""

from __future__ import annotations

from optimizer.kv.reuse.arc import OFTEN, arc_heap, become_ghost, count_placed
from optimizer.kv.reuse.cache_state import CacheState
from optimizer.kv.reuse.compilation import compiled, inlined
from optimizer.kv.reuse.leaf_heap import pop_leaf, push_leaf
from optimizer.kv.reuse.least_worth import is_held, least_worth
from optimizer.kv.reuse.reuse_times import ReuseTimes

__all__ = [
    "ARC",
    "GDSF",
    "LFU",
    "LFU_AGEING",
    "LRU",
    "REUSE_TIME",
    "fit",
    "offer_leaf",
    "place",
    "remove",
]

# Codes of policies, as `EvictionPolicy.code` counts them.
LRU, LFU, LFU_AGEING, GDSF, ARC, REUSE_TIME = 0, 1, 2, 3, 4, 5


@inlined
def place(s: CacheState, policy: int, tier: int, node: int) -> None:
    """Store a block in a tier that does not have it; its leaf is offered by the caller."""
    s.slots[tier, node].resident = True
    s.tiers[tier].blocks += 1
    s.tiers[tier].written += 1
    if policy == ARC:
        count_placed(s, tier, node, 1)
    parent = s.nodes[node].parent
    if parent >= 0:
        s.slots[tier, parent].children += 1
        if policy == REUSE_TIME and s.slots[tier, parent].leaf_position >= 0:
            _unlist(s, tier, parent)


@inlined
def remove(s: CacheState, policy: int, tier: int, node: int) -> None:
    """Drop a block from a tier; its parent may become a leaf there."""
    if policy == REUSE_TIME and s.slots[tier, node].leaf_position >= 0:
        _unlist(s, tier, node)
    if policy == ARC:
        count_placed(s, tier, node, -1)
    s.slots[tier, node].resident = False
    s.tiers[tier].blocks -= 1
    parent = s.nodes[node].parent
    if parent >= 0:
        s.slots[tier, parent].children -= 1
        if s.slots[tier, parent].children == 0 and s.slots[tier, parent].resident:
            offer_leaf(s, policy, tier, parent)


@inlined
def offer_leaf(s: CacheState, policy: int, tier: int, node: int) -> None:
    """Make a leaf of a tier known to the policy."""
    if policy == REUSE_TIME:
        if s.slots[tier, node].leaf_position < 0:
            at = s.tiers[tier].leaves
            s.leaves[tier, at] = node
            s.slots[tier, node].leaf_position = at
            s.tiers[tier].leaves = at + 1
    elif policy == ARC:
        push_leaf(s, 2 * tier + (1 if s.nodes[node].segment == OFTEN else 0), tier, node)
    else:
        push_leaf(s, tier, tier, node)


@compiled
def fit(
    s: CacheState,
    m: ReuseTimes,
    policy: int,
    write_back: bool,
    tier: int,
    request: int,
    now: float,
) -> bool:
    """Evict until a tier keeps its capacity; False where every leaf is in use."""
    node = -1
    while s.tiers[tier].blocks > s.tiers[tier].capacity:
        if policy == REUSE_TIME:
            node = least_worth(s, m, tier, node, request, now)
        elif policy == ARC:
            node = _arc_victim(s, tier, request)
        else:
            node = _unheld(s, tier, tier, request)
        if node < 0:
            return False
        if policy in (LFU_AGEING, GDSF):
            s.tiers[tier].clock = s.nodes[node].priority
        evict(s, policy, write_back, tier, node)
    return True


@inlined
def evict(s: CacheState, policy: int, write_back: bool, tier: int, node: int) -> None:
    """Drop a block, with write-back into the next tier; the use count ends with the last copy."""
    remove(s, policy, tier, node)
    below = tier + 1
    if write_back and below < s.tiers.shape[0]:
        place(s, policy, below, node)
        if s.slots[below, node].children == 0:
            offer_leaf(s, policy, below, node)
        return
    for other in range(s.tiers.shape[0]):
        if s.slots[other, node].resident:
            return
    s.nodes[node].uses = 0
    if policy == ARC:
        become_ghost(s, node)


@compiled
def _arc_victim(s: CacheState, tier: int, request: int) -> int:
    first = arc_heap(s, tier)
    node = _unheld(s, 2 * tier + first, tier, request)
    if node < 0:
        node = _unheld(s, 2 * tier + 1 - first, tier, request)
    return node


@inlined
def _unheld(s: CacheState, heap: int, tier: int, request: int) -> int:
    """Pop leaves until one is not in use; put those in use back."""
    found, kept = -1, 0
    while True:
        node = pop_leaf(s, heap, tier)
        if node < 0:
            break
        if not is_held(s, node, request):
            found = node
            break
        s.aside[kept] = node
        kept += 1
    for i in range(kept):
        push_leaf(s, heap, tier, s.aside[i])
    return found


@inlined
def _unlist(s: CacheState, tier: int, node: int) -> None:
    """Take a node from the list of leaves; the last one takes its place."""
    last = s.tiers[tier].leaves - 1
    at = s.slots[tier, node].leaf_position
    moved = s.leaves[tier, last]
    s.leaves[tier, at] = moved
    s.slots[tier, moved].leaf_position = at
    s.slots[tier, node].leaf_position = -1
    s.tiers[tier].leaves = last
