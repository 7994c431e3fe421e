"""ARC's book-keeping: two lists of what is stored, two of what was dropped, and their balance.

Blocks used once and blocks used more often since they came form two lists; a reference to a block
that either list dropped lately (a ghost) shifts capacity to it.
"""

from __future__ import annotations

from optimizer.kv.reuse.cache_state import CacheState
from optimizer.kv.reuse.compilation import compiled, inlined

__all__ = ["OFTEN", "arc_heap", "become_ghost", "count_placed", "refer"]

_NOWHERE, _ONCE, OFTEN, _GHOST_ONCE, _GHOST_OFTEN = 0, 1, 2, -1, -2


@inlined
def refer(s: CacheState, node: int) -> None:
    """Take note of a reference: stored blocks and ghosts become often used, others used once."""
    segment = s.nodes[node].segment
    if segment == _GHOST_ONCE:
        step = max(1.0, s.ghost_rings[1].count / s.ghost_rings[0].count)
        s.whole[0].wanted_once = min(s.whole[0].wanted_once + step, float(s.whole[0].capacity))
    elif segment == _GHOST_OFTEN:
        step = max(1.0, s.ghost_rings[0].count / s.ghost_rings[1].count)
        s.whole[0].wanted_once = max(s.whole[0].wanted_once - step, 0.0)
    if segment < 0:
        s.ghost_rings[-segment - 1].count -= 1
    if segment == _ONCE:
        for tier in range(s.tiers.shape[0]):
            if s.slots[tier, node].resident:
                count_placed(s, tier, node, -1)
    s.nodes[node].segment = _ONCE if segment == _NOWHERE else OFTEN


@inlined
def count_placed(s: CacheState, tier: int, node: int, change: int) -> None:
    """Count a block used once that came to a tier (1) or left it (-1)."""
    if s.nodes[node].segment == _ONCE:
        s.tiers[tier].once += change
        s.whole[0].once += change


@inlined
def arc_heap(s: CacheState, tier: int) -> int:
    """Return which heap of a tier is to give a victim: 0 of blocks used once, 1 of the others."""
    share = s.whole[0].wanted_once * s.tiers[tier].capacity / s.whole[0].capacity
    return 0 if s.tiers[tier].once > share else 1


@compiled
def become_ghost(s: CacheState, node: int) -> None:
    """Remember a dropped block, and forget the oldest ghosts beyond ARC's bounds."""
    row = 0 if s.nodes[node].segment == _ONCE else 1
    s.nodes[node].segment = _GHOST_ONCE if row == 0 else _GHOST_OFTEN
    length = s.ghosts.shape[1]
    if s.ghost_rings[row].added - s.ghost_rings[row].taken == length:
        _forget_oldest(s, row)
    at = s.ghost_rings[row].added % length
    s.ghosts[row, at].node = node
    s.ghosts[row, at].order = s.nodes[node].order
    s.ghost_rings[row].added += 1
    s.ghost_rings[row].count += 1
    total = s.whole[0].capacity
    while s.ghost_rings[0].count > max(total - s.whole[0].once, 0):
        _forget_oldest(s, 0)
    while s.ghost_rings[1].count > 0 and s.ghost_rings[0].count + s.ghost_rings[1].count > total:
        _forget_oldest(s, 1)


@compiled
def _forget_oldest(s: CacheState, row: int) -> None:
    """Take the oldest entry; it counts unless its block has been used since."""
    at = s.ghost_rings[row].taken % s.ghosts.shape[1]
    s.ghost_rings[row].taken += 1
    node = s.ghosts[row, at].node
    if s.nodes[node].segment == -row - 1 and s.nodes[node].order == s.ghosts[row, at].order:
        s.nodes[node].segment = _NOWHERE
        s.ghost_rings[row].count -= 1
