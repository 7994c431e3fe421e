"""The pool of KV blocks of a replica: free list, references and prefix cache.

The free list is doubly linked through block 0, the null block. Blocks are taken from its front. A
block that nobody refers to any more goes to its back if it has a hash, and stays in the prefix
cache until it is taken; it goes to the front if it has none. Blocks of equal content are not
merged: they are twins under one key, of which the first cached is found.
"""

from __future__ import annotations

from optimizer.engine.compilation import inlined
from optimizer.engine.state import NONE, EngineState

__all__ = ["find", "forget", "hold", "let_go", "release", "remember", "take"]


@inlined
def take(state: EngineState, r: int) -> int:
    """Take a block from the front of the free list; what it held in the prefix cache is evicted."""
    blocks = state.blocks
    block = blocks[r, 0].next
    _unlink(state, r, block)
    if blocks[r, block].key != 0:
        forget(state, r, block)
    blocks[r, block].references = 1
    return block


@inlined
def hold(state: EngineState, r: int, block: int) -> None:
    """Refer to a cached block once more; one that is free leaves the free list."""
    if state.blocks[r, block].references == 0:
        _unlink(state, r, block)
    state.blocks[r, block].references += 1


@inlined
def let_go(state: EngineState, r: int, block: int) -> None:
    """Refer to a cached block once less; one that nobody refers to goes to the back."""
    state.blocks[r, block].references -= 1
    if state.blocks[r, block].references == 0:
        _link_behind(state, r, block, state.blocks[r, 0].previous)


@inlined
def release(state: EngineState, r: int, seat: int, held: int) -> None:
    """Give up the blocks of a table, the last first, so that it is evicted first.

    Blocks without a hash go to the front of the free list together, in this order.
    """
    blocks, table = state.blocks, state.tables
    front = 0
    for place in range(held - 1, -1, -1):
        block = table[seat, place]
        blocks[r, block].references -= 1
        if blocks[r, block].references > 0:
            continue
        if blocks[r, block].key == 0:
            _link_behind(state, r, block, front)
            front = block
        else:
            _link_behind(state, r, block, blocks[r, 0].previous)


@inlined
def find(state: EngineState, r: int, key: int) -> int:
    """Return the block cached first under a key, or 0."""
    block = state.buckets[r, key & (state.buckets.shape[1] - 1)]
    while block != 0 and state.blocks[r, block].key != key:
        block = state.blocks[r, block].chain
    return block


@inlined
def remember(state: EngineState, r: int, block: int, key: int) -> None:
    """Let a full block be found under its key."""
    blocks = state.blocks
    first = find(state, r, key)
    blocks[r, block].key = key
    if first == 0:
        bucket = key & (state.buckets.shape[1] - 1)
        blocks[r, block].chain = state.buckets[r, bucket]
        state.buckets[r, bucket] = block
        blocks[r, block].next_twin = block
        blocks[r, block].previous_twin = block
        return
    last = blocks[r, first].previous_twin
    blocks[r, block].chain = NONE
    blocks[r, block].next_twin = first
    blocks[r, block].previous_twin = last
    blocks[r, last].next_twin = block
    blocks[r, first].previous_twin = block


@inlined
def forget(state: EngineState, r: int, block: int) -> None:
    """Take a block out of the prefix cache; its next twin takes its place."""
    blocks = state.blocks
    twin = blocks[r, block].next_twin
    if twin != block:
        before = blocks[r, block].previous_twin
        blocks[r, before].next_twin = twin
        blocks[r, twin].previous_twin = before
    if blocks[r, block].chain != NONE:
        follower = blocks[r, block].chain
        if twin != block:
            blocks[r, twin].chain = follower
            follower = twin
        bucket = blocks[r, block].key & (state.buckets.shape[1] - 1)
        at = state.buckets[r, bucket]
        if at == block:
            state.buckets[r, bucket] = follower
        else:
            while blocks[r, at].chain != block:
                at = blocks[r, at].chain
            blocks[r, at].chain = follower
    blocks[r, block].key = 0


@inlined
def _unlink(state: EngineState, r: int, block: int) -> None:
    blocks = state.blocks
    before, after = blocks[r, block].previous, blocks[r, block].next
    blocks[r, before].next = after
    blocks[r, after].previous = before
    state.replicas[r].free -= 1


@inlined
def _link_behind(state: EngineState, r: int, block: int, before: int) -> None:
    blocks = state.blocks
    after = blocks[r, before].next
    blocks[r, block].previous = before
    blocks[r, block].next = after
    blocks[r, before].next = block
    blocks[r, after].previous = block
    state.replicas[r].free += 1
