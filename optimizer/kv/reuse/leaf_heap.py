"""A binary heap of evictable leaves per tier; stale entries are dropped when they surface."""

from __future__ import annotations

from optimizer.kv.reuse.cache_state import CacheState
from optimizer.kv.reuse.compilation import compiled, inlined

__all__ = ["pop_leaf", "push_leaf"]


@inlined
def push_leaf(s: CacheState, heap: int, tier: int, node: int) -> None:
    """Add a leaf at its present priority; rebuild from what is valid when there is no room."""
    if s.heap_sizes[heap] == s.heaps.shape[1]:
        _drop_stale(s, heap, tier)
    _sift_up(s, heap, s.heap_sizes[heap], s.nodes[node].priority, s.nodes[node].order, node)
    s.heap_sizes[heap] += 1


@inlined
def pop_leaf(s: CacheState, heap: int, tier: int) -> int:
    """Take the valid leaf of least priority, the longest unused of equals; -1: none."""
    while s.heap_sizes[heap] > 0:
        node = s.heaps[heap, 0].node
        priority, order = s.heaps[heap, 0].priority, s.heaps[heap, 0].order
        last = s.heap_sizes[heap] - 1
        s.heap_sizes[heap] = last
        if last > 0:
            _sift_down(s, heap)
        if (
            s.slots[tier, node].resident
            and s.slots[tier, node].children == 0
            and s.nodes[node].priority == priority
            and s.nodes[node].order == order
        ):
            return int(node)
    return -1


@inlined
def _before(p: float, o: int, q: float, u: int) -> bool:
    return p < q or (p == q and o < u)


@inlined
def _sift_up(s: CacheState, heap: int, at: int, priority: float, order: int, node: int) -> None:
    while at > 0:
        up = (at - 1) // 2
        if not _before(priority, order, s.heaps[heap, up].priority, s.heaps[heap, up].order):
            break
        s.heaps[heap, at].priority = s.heaps[heap, up].priority
        s.heaps[heap, at].order = s.heaps[heap, up].order
        s.heaps[heap, at].node = s.heaps[heap, up].node
        at = up
    s.heaps[heap, at].priority = priority
    s.heaps[heap, at].order = order
    s.heaps[heap, at].node = node


@inlined
def _sift_down(s: CacheState, heap: int) -> None:
    """Put the entry behind the last one where the first was."""
    size = s.heap_sizes[heap]
    priority, order = s.heaps[heap, size].priority, s.heaps[heap, size].order
    node, at = s.heaps[heap, size].node, 0
    while True:
        down = 2 * at + 1
        if down >= size:
            break
        if down + 1 < size and _before(
            s.heaps[heap, down + 1].priority,
            s.heaps[heap, down + 1].order,
            s.heaps[heap, down].priority,
            s.heaps[heap, down].order,
        ):
            down += 1
        if not _before(s.heaps[heap, down].priority, s.heaps[heap, down].order, priority, order):
            break
        s.heaps[heap, at].priority = s.heaps[heap, down].priority
        s.heaps[heap, at].order = s.heaps[heap, down].order
        s.heaps[heap, at].node = s.heaps[heap, down].node
        at = down
    s.heaps[heap, at].priority = priority
    s.heaps[heap, at].order = order
    s.heaps[heap, at].node = node


@compiled
def _drop_stale(s: CacheState, heap: int, tier: int) -> None:
    """Keep one entry of each valid leaf."""
    count = s.heap_sizes[heap]
    s.heap_sizes[heap] = 0
    for i in range(count):
        node = s.heaps[heap, i].node
        priority, order = s.heaps[heap, i].priority, s.heaps[heap, i].order
        if (
            s.slots[tier, node].resident
            and s.slots[tier, node].children == 0
            and s.nodes[node].priority == priority
            and s.nodes[node].order == order
        ):
            at = s.heap_sizes[heap]
            s.heap_sizes[heap] = at + 1
            _sift_up(s, heap, at, priority, order, node)
            s.nodes[node].order = -order - 1  # a second entry of this leaf is stale from here on
    for i in range(s.heap_sizes[heap]):
        s.nodes[s.heaps[heap, i].node].order = s.heaps[heap, i].order
