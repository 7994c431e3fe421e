"""The waiting queue of a replica, and the queue of its link."""

from __future__ import annotations

from optimizer.engine.compilation import inlined
from optimizer.engine.rules import Policy, Rules
from optimizer.engine.state import NONE, EngineState

__all__ = ["enqueue", "enqueue_copy", "enqueue_first", "leave_queue"]


@inlined
def enqueue(state: EngineState, rules: Rules, r: int, slot: int) -> None:
    """Let a request wait behind those that go before it."""
    requests, replica = state.requests, state.replicas[r]
    before = replica.last_waiting
    if rules.policy == Policy.PRIORITY:
        # Those of one priority come in their order already, so that few are passed.
        while before != NONE and _precedes(state, slot, before):
            before = requests[before].previous
    _insert(state, r, slot, before)


@inlined
def enqueue_first(state: EngineState, rules: Rules, r: int, slot: int) -> None:
    """Let a preempted request wait: at the head, or by its priority."""
    if rules.policy == Policy.PRIORITY:
        enqueue(state, rules, r, slot)
    else:
        _insert(state, r, slot, NONE)


@inlined
def leave_queue(state: EngineState, r: int, slot: int) -> None:
    """Take a request out of the waiting queue."""
    requests, replica = state.requests, state.replicas[r]
    before, after = requests[slot].previous, requests[slot].next
    if before == NONE:
        replica.first_waiting = after
    else:
        requests[before].next = after
    if after == NONE:
        replica.last_waiting = before
    else:
        requests[after].previous = before
    replica.waiting -= 1


@inlined
def enqueue_copy(state: EngineState, rules: Rules, r: int, slot: int, now: float) -> None:
    """Copy the KV cache of a request over the link, after the copies that wait there."""
    replica, request = state.replicas[r], state.requests[slot]
    start = max(now, replica.link_free)
    request.ready = start + rules.link_latency_ms + rules.link_ms_per_token * request.computed
    replica.link_free = request.ready
    request.next_copy = NONE
    if replica.first_copy == NONE:
        replica.first_copy = slot
    else:
        state.requests[replica.last_copy].next_copy = slot
    replica.last_copy = slot


@inlined
def _insert(state: EngineState, r: int, slot: int, before: int) -> None:
    requests, replica = state.requests, state.replicas[r]
    after = replica.first_waiting if before == NONE else requests[before].next
    requests[slot].previous = before
    requests[slot].next = after
    if before == NONE:
        replica.first_waiting = slot
        replica.blocked = 0  # that was said of another
    else:
        requests[before].next = slot
    if after == NONE:
        replica.last_waiting = slot
    else:
        requests[after].previous = slot
    replica.waiting += 1


@inlined
def _precedes(state: EngineState, slot: int, other: int) -> bool:
    """Whether a request goes before another by (priority, arrival, id)."""
    one, two = state.requests[slot], state.requests[other]
    if one.priority != two.priority:
        return one.priority < two.priority
    if one.arrival != two.arrival:
        return one.arrival < two.arrival
    return one.id < two.id
