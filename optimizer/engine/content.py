"""What a request's tokens are, as far as the prefix cache must know: the hash of every block.

The content of a request is a list of segments; the key of a segment stands for everything up to
its end, as a chained hash does. A block's hash is made of the key of the segment that its last
token falls into and of the block's number: equal prefixes give equal hashes. The last segment goes
on without end and covers the output.
"""

from __future__ import annotations

from optimizer.engine.block_pool import find, remember
from optimizer.engine.compilation import inlined
from optimizer.engine.randomness import mixed
from optimizer.engine.rules import Rules
from optimizer.engine.state import EngineState

__all__ = ["cache_full_blocks", "cached_tokens", "find_prefix"]


@inlined
def find_prefix(state: EngineState, rules: Rules, r: int, slot: int, seat: int) -> int:
    """Write the longest cached prefix of a request into a table; return its blocks.

    The last token is always computed, since its output is wanted.
    """
    most = (state.requests[slot].known - 1) // rules.block_size
    segment = hits = 0
    while hits < most:
        segment = _segment_of(state, rules, slot, hits, segment)
        block = find(state, r, _block_key(state.keys[slot, segment], hits))
        if block == 0:
            break
        state.tables[seat, hits] = block
        hits += 1
    return hits


@inlined
def cached_tokens(state: EngineState, rules: Rules, r: int, slot: int) -> int:
    """Return how many tokens of a request's prefix a replica has in its cache."""
    if not rules.prefix_caching:
        return 0
    most = (state.requests[slot].known - 1) // rules.block_size
    segment = hits = 0
    while hits < most:
        segment = _segment_of(state, rules, slot, hits, segment)
        if find(state, r, _block_key(state.keys[slot, segment], hits)) == 0:
            break
        hits += 1
    return hits * rules.block_size


@inlined
def cache_full_blocks(state: EngineState, rules: Rules, r: int, slot: int, tokens: int) -> None:
    """Let the blocks that so many tokens fill be found."""
    request = state.requests[slot]
    segment = request.segment
    for place in range(request.hashed, tokens // rules.block_size):
        segment = _segment_of(state, rules, slot, place, segment)
        block = state.tables[request.seat, place]
        if state.blocks[r, block].key == 0:
            remember(state, r, block, _block_key(state.keys[slot, segment], place))
        request.hashed = place + 1
    request.segment = segment


@inlined
def _block_key(key: int, place: int) -> int:
    mix = mixed(key, place)
    return mix if mix != 0 else 1  # 0 says that there is none


@inlined
def _segment_of(state: EngineState, rules: Rules, slot: int, place: int, segment: int) -> int:
    """Return the segment of a block's last token, searched from an earlier one on."""
    last_token = (place + 1) * rules.block_size - 1
    last_segment = state.requests[slot].segments - 1
    while segment < last_segment and state.ends[slot, segment] <= last_token:
        segment += 1
    return segment
