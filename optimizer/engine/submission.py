"""How a request enters an engine."""

from __future__ import annotations

from optimizer.engine.compilation import borrowed, compiled
from optimizer.engine.queues import enqueue
from optimizer.engine.residence import record
from optimizer.engine.rules import KvAccounting, Rules
from optimizer.engine.state import NONE, REFUSED, TOO_LONG, UNTOLD, WAITING, EngineState
from optimizer.engine.traffic import Traffic

__all__ = ["extend_content", "place_request", "submit"]

_ENDLESS = 2**31 - 1


@compiled
def place_request(state: EngineState, traffic: Traffic, place: int, number: int) -> int:
    """Keep the request at a place of the traffic in a free slot, under a number; return the slot.

    There must be a free slot, and room for its content.
    """
    state, traffic = borrowed(state), borrowed(traffic)
    state.free_slots[-1] -= 1
    slot: int = state.free_slots[state.free_slots[-1]]
    request = state.requests[slot]
    request.id = number
    request.arrival = traffic.arrival_ms[place]
    request.deadline = request.arrival + traffic.deadline_ms[place]
    request.admitted = request.first = -1.0
    request.last = traffic.first_ms[place]
    request.prompt = traffic.prompt[place]
    request.output = request.asked = traffic.output[place]
    request.given = traffic.given[place]
    # What comes with the whole prompt computed comes with its first token too.
    request.known = request.prompt + (1 if request.given >= request.prompt else 0)
    request.priority = traffic.priority[place]
    request.computed = request.held = request.hashed = request.segment = 0
    request.hit = request.preemptions = request.decoding = request.stops = 0
    request.seat = request.replica = NONE
    request.state = WAITING
    state.guesses[slot] = UNTOLD
    first, stop = traffic.segment_of[place], traffic.segment_of[place + 1]
    request.segments = stop - first
    for segment in range(first, stop):
        state.keys[slot, segment - first] = traffic.keys[segment]
        state.ends[slot, segment - first] = traffic.ends[segment]
    return slot


@compiled
def submit(state: EngineState, rules: Rules, r: int, slot: int) -> None:
    """Hand a request to a replica, which has worked until its arrival."""
    state = borrowed(state)
    replica, request = state.replicas[r], state.requests[slot]
    request.replica = r
    tokens = request.prompt + request.output
    too_long = tokens > rules.max_model_len
    if rules.kv_accounting == KvAccounting.BLOCKS:
        longest = min(tokens + rules.draft_tokens + rules.lookahead_tokens, rules.max_model_len)
        too_long = too_long or -(-longest // rules.block_size) > rules.num_blocks - 1
    if too_long:
        record(state, r, slot, request.arrival, TOO_LONG)
        return
    if 0 <= rules.max_waiting <= replica.outstanding - rules.max_num_seqs:
        record(state, r, slot, request.arrival, REFUSED)
        return
    replica.outstanding += 1
    if replica.in_flight == 0:
        replica.now = max(replica.now, request.arrival)
    enqueue(state, rules, r, slot)


@compiled
def extend_content(state: EngineState, slot: int, key: int, end: int) -> None:
    """Say what the content of a request is up to a token that was in its last, endless segment.

    There must be room for one segment more.
    """
    state = borrowed(state)
    request = state.requests[slot]
    last = request.segments - 1
    state.keys[slot, last + 1] = state.keys[slot, last]
    state.ends[slot, last + 1] = _ENDLESS
    state.keys[slot, last] = key
    state.ends[slot, last] = end
    request.segments = last + 2
