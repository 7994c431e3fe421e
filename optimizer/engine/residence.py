"""A request on a replica: its blocks, and how it leaves."""

from __future__ import annotations

from optimizer.engine.block_pool import release, take
from optimizer.engine.compilation import inlined
from optimizer.engine.content import cache_blocks
from optimizer.engine.queues import enqueue_copy
from optimizer.engine.rules import KvAccounting, ReplicaRole, Rules
from optimizer.engine.state import (
    ABORTED,
    CANCELLED_IN,
    CANCELLED_OUT,
    COMPLETED,
    COPIED_IN,
    COPIED_OUT,
    HANDED_OVER,
    NONE,
    RUNNING,
    SWAPPED,
    EngineState,
)

__all__ = [
    "append_blocks",
    "finish_copies",
    "free_blocks",
    "join",
    "leave",
    "record",
    "write_privately",
]


@inlined
def append_blocks(state: EngineState, r: int, slot: int, blocks: int) -> None:
    """Take free blocks for a request that has a seat."""
    request = state.requests[slot]
    for place in range(request.held, request.held + blocks):
        state.tables[request.seat, place] = take(state, r)
    request.held += blocks
    state.replicas[r].tabled += blocks


@inlined
def write_privately(state: EngineState, r: int, slot: int, place: int) -> None:
    """Copy a block that others share, before it is written to (copy-on-write)."""
    seat = state.requests[slot].seat
    shared = state.tables[seat, place]
    state.tables[seat, place] = take(state, r)
    state.blocks[r, shared].references -= 1
    state.replicas[r].copied_blocks += 1


@inlined
def free_blocks(state: EngineState, r: int, slot: int) -> None:
    """Give up the blocks of a request, and its seat."""
    request = state.requests[slot]
    if request.seat == NONE:
        return
    release(state, r, request.seat, request.held)
    height = state.free_seats[-1]
    state.free_seats[height] = request.seat
    state.free_seats[-1] = height + 1
    request.seat = NONE
    request.held = request.hashed = request.segment = 0


@inlined
def join(state: EngineState, r: int, slot: int) -> None:
    """Append a request to those that run, to be looked at in this iteration."""
    replica = state.replicas[r]
    k = replica.running
    state.running[r, k] = slot
    state.visit[r, k] = replica.iteration
    state.planned[r, k] = 0
    replica.running = k + 1
    state.requests[slot].state = RUNNING


@inlined
def leave(state: EngineState, rules: Rules, r: int, slot: int, now: float, outcome: int) -> None:
    """End a request that runs; the caller takes it out of the list of those that do."""
    replica, request = state.replicas[r], state.requests[slot]
    replica.outstanding -= 1
    replica.context -= min(request.computed, request.known)
    replica.tabled -= request.held
    replica.blocked = 0
    if rules.role == ReplicaRole.PREFILL and outcome == COMPLETED:
        # Its KV cache is sent to a decode replica before the room is free.
        request.state = HANDED_OVER
        enqueue_copy(state, rules, r, slot, now)
        return
    if rules.kv_accounting == KvAccounting.RESERVED:
        replica.reserved -= request.prompt + request.output
    record(state, r, slot, now, outcome)


@inlined
def record(state: EngineState, r: int, slot: int, now: float, outcome: int) -> None:
    """Write down a request that is over, and free what it still holds."""
    request = state.requests[slot]
    entry = state.done[state.done_count[0]]
    state.done_count[0] += 1
    entry.id = request.id
    entry.arrival = request.arrival
    entry.admitted = request.admitted
    entry.first = request.first
    entry.finished = now
    entry.prompt = request.prompt
    entry.asked = request.asked
    entry.emitted = request.known - request.prompt
    entry.hit = request.hit
    entry.preemptions = request.preemptions
    entry.replica = r
    entry.priority = request.priority
    entry.outcome = outcome
    entry.stops = request.stops
    free_blocks(state, r, slot)
    height = state.free_slots[-1]
    state.free_slots[height] = slot
    state.free_slots[-1] = height + 1


@inlined
def finish_copies(state: EngineState, rules: Rules, r: int) -> None:
    """Act on the copies that the link has done by now, in their order."""
    replica = state.replicas[r]
    while replica.first_copy != NONE:
        slot = replica.first_copy
        request = state.requests[slot]
        if request.ready > replica.now:
            return
        replica.first_copy = request.next_copy
        if request.state == COPIED_OUT:
            request.state = SWAPPED
            kept = request.computed, request.held
            replica.coming_free -= request.held
            free_blocks(state, r, slot)
            request.computed, request.held = kept
        elif request.state == COPIED_IN:
            replica.copied_in -= 1
            replica.cpu_free += request.held
            replica.context += request.computed
            replica.tabled += request.held
            if rules.prefix_caching:
                cache_blocks(state, rules, r, slot, request.computed)
            request.decoding = request.first >= 0.0 and request.known == request.computed + 1
            join(state, r, slot)
        elif request.state == CANCELLED_OUT:
            replica.coming_free -= request.held
            replica.cpu_free += request.held
            record(state, r, slot, request.ready, ABORTED)
        elif request.state == CANCELLED_IN:
            replica.copied_in -= 1
            replica.cpu_free += request.held
            record(state, r, slot, request.ready, ABORTED)
        elif request.state == HANDED_OVER:
            if rules.kv_accounting == KvAccounting.RESERVED:
                replica.reserved -= request.prompt + request.output
            record(state, r, slot, request.ready, COMPLETED)
        replica.blocked = 0
