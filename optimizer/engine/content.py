"""What a request's tokens are, as far as the prefix cache must know: the hash of every block.

The content of a request is a list of segments; the key of a segment stands for everything up to
its end, as a chained hash does. A block's hash is made of the key of the segment that its last
token falls into and of the block's number: equal prefixes give equal hashes. The last segment goes
on without end and covers the output.

A block that is not full can be found too, by a hash of its first tokens, if these are a multiple of
`prefix_match_unit`. It has one hash at a time: that of the most tokens, in the end that of all.
"""

from __future__ import annotations

from optimizer.engine.block_pool import find, forget, remember
from optimizer.engine.compilation import inlined
from optimizer.engine.randomness import mixed
from optimizer.engine.rules import Rules
from optimizer.engine.state import EngineState

__all__ = ["cache_blocks", "cached_tokens", "find_part", "find_prefix"]


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
def find_part(state: EngineState, rules: Rules, r: int, slot: int, hits: int) -> tuple[int, int]:
    """Return the block that holds the most tokens after a cached prefix, and how many, or (0, 0).

    Parameters
    ----------
    hits
        Blocks of the prefix.
    """
    size, unit = rules.block_size, rules.prefix_match_unit
    tokens = min(state.requests[slot].known - 1 - hits * size, size - 1) // unit * unit
    while tokens > 0:
        block = find(state, r, _part_key(state, rules, slot, hits, tokens))
        if block != 0:
            return block, tokens
        tokens -= unit
    return 0, 0


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
    found = hits * rules.block_size
    if rules.prefix_match_unit < rules.block_size:
        found += find_part(state, rules, r, slot, hits)[1]
    return found


@inlined
def cache_blocks(state: EngineState, rules: Rules, r: int, slot: int, tokens: int) -> None:
    """Let the blocks that so many tokens fill be found."""
    request = state.requests[slot]
    segment = request.segment
    for place in range(request.hashed, tokens // rules.block_size):
        segment = _segment_of(state, rules, slot, place, segment)
        block = state.tables[request.seat, place]
        if state.blocks[r, block].key == 0:
            remember(state, r, block, _block_key(state.keys[slot, segment], place))
        elif rules.prefix_match_unit < rules.block_size:
            _rename(state, r, block, _block_key(state.keys[slot, segment], place))
        request.hashed = place + 1
    request.segment = segment
    if rules.prefix_match_unit < rules.block_size:
        _cache_part(state, rules, r, slot, tokens)


@inlined
def _cache_part(state: EngineState, rules: Rules, r: int, slot: int, tokens: int) -> None:
    """Let the last block, which so many tokens do not fill, be found by what it holds."""
    place, part = tokens // rules.block_size, tokens % rules.block_size
    part -= part % rules.prefix_match_unit
    block = state.tables[state.requests[slot].seat, place]
    if part > 0 and state.blocks[r, block].references == 1:
        _rename(state, r, block, _part_key(state, rules, slot, place, part))


@inlined
def _rename(state: EngineState, r: int, block: int, key: int) -> None:
    """Let a block be found under a key, and no more under another one."""
    if state.blocks[r, block].key == key:
        return
    if state.blocks[r, block].key != 0:
        forget(state, r, block)
    remember(state, r, block, key)


@inlined
def _part_key(state: EngineState, rules: Rules, slot: int, place: int, tokens: int) -> int:
    """Return the hash of the first tokens of a block."""
    last_token = place * rules.block_size + tokens - 1
    segment, last_segment = 0, state.requests[slot].segments - 1
    while segment < last_segment and state.ends[slot, segment] <= last_token:
        segment += 1
    return _block_key(_block_key(state.keys[slot, segment], place), tokens)


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
