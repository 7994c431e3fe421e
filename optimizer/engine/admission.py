"""Which waiting requests join the batch."""

from __future__ import annotations

import numpy as np

from optimizer.engine.block_pool import hold, let_go
from optimizer.engine.compilation import inlined
from optimizer.engine.content import cache_blocks, find_part, find_prefix
from optimizer.engine.queues import enqueue_copy, leave_queue
from optimizer.engine.residence import append_blocks, join, record
from optimizer.engine.rules import KvAccounting, Rules
from optimizer.engine.state import (
    COPIED_IN,
    COPIED_OUT,
    DROPPED,
    SWAPPED,
    EngineState,
)
from optimizer.engine.time_law import TimeLaw, iteration_ms

__all__ = ["admit_waiting"]


@inlined
def admit_waiting(
    state: EngineState, rules: Rules, law: TimeLaw, r: int, budget: int, decode: int, prefill: int
) -> tuple[int, int]:
    """Admit from the head of the queue until something does not fit.

    Returns
    -------
    Decode and prompt tokens of the iteration, those given included.
    """
    replica = state.replicas[r]
    while replica.waiting > 0 and budget > 0:
        if replica.running + replica.copied_in >= rules.max_num_seqs:
            replica.blocked = 1
            break
        slot = replica.first_waiting
        request = state.requests[slot]
        if rules.drop_late and _comes_too_late(state, rules, law, slot, replica.now):
            leave_queue(state, r, slot)
            replica.outstanding -= 1
            record(state, r, slot, replica.now, DROPPED)
            continue
        if request.state == COPIED_OUT:
            break
        if request.state == SWAPPED:
            if not _copy_back(state, rules, r, slot):
                replica.blocked = 1
                break
            continue
        if rules.kv_accounting == KvAccounting.RESERVED:
            scheduled = _reserve(state, rules, r, slot, budget)
        else:
            scheduled = _allocate(state, rules, r, slot, budget, decode + prefill > 0)
        if scheduled <= 0:
            replica.blocked = 1 if scheduled < 0 else 0
            break
        leave_queue(state, r, slot)
        join(state, r, slot)
        state.planned[r, replica.running - 1] = scheduled
        if request.admitted < 0.0:
            request.admitted = replica.now
        replica.context += min(request.computed, request.known)
        budget -= scheduled
        if request.decoding == 1:
            decode += scheduled
        else:
            prefill += scheduled
    return decode, prefill


@inlined
def _allocate(
    state: EngineState, rules: Rules, r: int, slot: int, budget: int, others_scheduled: bool
) -> int:
    """Find a request's prefix and allocate blocks; return the tokens scheduled.

    0: the budget does not allow it now. -1: the blocks do not, before someone leaves.
    """
    replica, request = state.replicas[r], state.requests[slot]
    if state.free_seats[-1] == 0:
        return -1
    seat = state.free_seats[state.free_seats[-1] - 1]
    given = request.given
    # From a prefill replica, its first token included; it does not look for a local prefix.
    is_decoding = given > 0 and request.known > request.prompt
    watermark = rules.watermark_blocks if others_scheduled else 0
    hits = idle = source = part = 0
    if rules.prefix_caching and not is_decoding:
        hits, idle = _prefix(state, rules, r, slot, seat)
        if rules.prefix_match_unit < rules.block_size:
            source, part = _part(state, rules, r, slot, hits, replica.free - idle - watermark)
            idle += source != 0 and state.blocks[r, source].references == 0
    found = max(hits * rules.block_size + part, given)
    need = request.known - found
    if is_decoding:
        need += rules.draft_tokens
    need = _limited(rules, need, replica.running + replica.waiting > 1)
    if not rules.chunked_prefill and need > budget:
        return 0
    need = min(need, budget)
    size = rules.block_size
    wanted = -(-(found + need) // size)
    whole = max(wanted, -(-request.known // size)) if rules.reserve_full_isl else wanted
    if whole - hits + idle + watermark > replica.free:
        return -1

    state.free_seats[-1] -= 1
    request.seat = seat
    for place in range(hits):
        hold(state, r, state.tables[seat, place])
    request.held = request.hashed = hits
    replica.tabled += hits
    if source != 0:
        hold(state, r, source)
    append_blocks(state, r, slot, wanted - hits)
    if source != 0:
        # The first block appended has become a copy of what was found.
        let_go(state, r, source)
        replica.copied_blocks += 1
    request.computed = found + need
    if rules.prefix_caching:
        cache_blocks(state, rules, r, slot, min(request.computed, request.known))
        _count_hits(state, r, slot, hits * size + part)
    request.decoding = is_decoding
    return need


@inlined
def _prefix(state: EngineState, rules: Rules, r: int, slot: int, seat: int) -> tuple[int, int]:
    """Return the blocks of the cached prefix, and how many of them count as free until now."""
    hits = find_prefix(state, rules, r, slot, seat)
    idle = 0
    for place in range(hits):
        idle += state.blocks[r, state.tables[seat, place]].references == 0
    return hits, idle


@inlined
def _part(
    state: EngineState, rules: Rules, r: int, slot: int, hits: int, free: int
) -> tuple[int, int]:
    """Return the block to copy and the tokens in it, or (0, 0).

    To be copied a block must stay where it is until the copy has a block of its own. Where there
    is no room for both, nothing is copied: else a request might wait for its own prefix for ever.
    """
    source, part = find_part(state, rules, r, slot, hits)
    whole = -(-state.requests[slot].known // rules.block_size) - hits
    if source != 0 and state.blocks[r, source].references == 0 and whole + 1 > free:
        return 0, 0
    return source, part


@inlined
def _count_hits(state: EngineState, r: int, slot: int, tokens: int) -> None:
    """Count a lookup; those of preempted requests are not counted, as in vLLM's main counters."""
    replica, request = state.replicas[r], state.requests[slot]
    if request.preemptions == 0:
        request.hit = tokens
        replica.queried_tokens += request.known
        replica.hit_tokens += tokens


@inlined
def _reserve(state: EngineState, rules: Rules, r: int, slot: int, budget: int) -> int:
    """Set tokens aside for prompt and output; return as `_allocate` does."""
    replica, request = state.replicas[r], state.requests[slot]
    wanted = request.prompt + request.output
    # One that could never fit is served alone.
    if replica.running > 0 and replica.reserved + wanted > rules.kv_capacity_tokens:
        return -1
    need = request.known - request.given
    if request.known > request.prompt:
        need += rules.draft_tokens
        request.decoding = 1
    need = _limited(rules, need, replica.running + replica.waiting > 1)
    if not rules.chunked_prefill and need > budget:
        return 0
    need = min(need, budget)
    replica.reserved += wanted
    request.computed = request.given + need
    request.hit = request.given
    return need


@inlined
def _limited(rules: Rules, need: int, others: bool) -> int:
    """Apply the threshold for long prompts."""
    most = rules.long_prefill_token_threshold
    return most if others and 0 < most < need else need


@inlined
def _copy_back(state: EngineState, rules: Rules, r: int, slot: int) -> bool:
    """Start to copy a swapped request back; return whether there was room."""
    replica, request = state.replicas[r], state.requests[slot]
    # Without room for its next token it would be preempted at once.
    wanted = max(request.held, -(-request.known // rules.block_size))
    if wanted > replica.free or state.free_seats[-1] == 0:
        return False
    leave_queue(state, r, slot)
    state.free_seats[-1] -= 1
    request.seat = state.free_seats[state.free_seats[-1]]
    blocks, request.held = request.held, 0
    append_blocks(state, r, slot, blocks)
    replica.tabled -= blocks  # it does not run yet
    request.state = COPIED_IN
    replica.copied_in += 1
    enqueue_copy(state, rules, r, slot, replica.now)
    return True


@inlined
def _comes_too_late(state: EngineState, rules: Rules, law: TimeLaw, slot: int, now: float) -> bool:
    """Whether the first token would miss its deadline though the request were computed at once."""
    request = state.requests[slot]
    if request.deadline == np.inf or request.preemptions > 0 or request.first >= 0.0:
        return False
    tokens = request.prompt - request.given
    budget = rules.max_num_batched_tokens
    earliest = (tokens // budget) * iteration_ms(law, 0, budget, 0)
    earliest += iteration_ms(law, 0, tokens % budget, 0) if tokens % budget > 0 else 0.0
    return now + earliest > request.deadline
