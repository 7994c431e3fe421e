"""Who is preempted, and what becomes of its KV cache."""

from __future__ import annotations

from optimizer.engine.compilation import inlined
from optimizer.engine.queues import enqueue_copy, enqueue_first
from optimizer.engine.residence import free_blocks
from optimizer.engine.rules import Policy, Preemption, Rules
from optimizer.engine.state import COPIED_OUT, WAITING, EngineState

__all__ = ["catch_up", "hold_over", "preempt", "remove_running", "victim"]


@inlined
def victim(state: EngineState, rules: Rules, r: int) -> int:
    """Return the place of the request that is preempted next."""
    replica = state.replicas[r]
    last = replica.running - 1
    if rules.policy == Policy.FCFS:
        return last
    chosen = 0
    for k in range(1, replica.running):
        one, other = state.requests[state.running[r, k]], state.requests[state.running[r, chosen]]
        if one.priority > other.priority or (
            one.priority == other.priority and one.arrival > other.arrival
        ):
            chosen = k
    return chosen


@inlined
def catch_up(state: EngineState, r: int, k: int) -> None:
    """Bring a request that was to be looked at later back to the present."""
    ahead = state.visit[r, k] - state.replicas[r].iteration
    if ahead > 0:
        request = state.requests[state.running[r, k]]
        request.computed -= ahead
        request.known -= ahead
        state.visit[r, k] = state.replicas[r].iteration


@inlined
def hold_over(state: EngineState, r: int, k: int) -> None:
    """Leave a running request out of this iteration."""
    catch_up(state, r, k)
    state.planned[r, k] = 0
    _note_last_token(state, r, state.running[r, k])


@inlined
def preempt(state: EngineState, rules: Rules, r: int, k: int) -> None:
    """Take the blocks of the request at place k, and let it wait."""
    replica, slot = state.replicas[r], state.running[r, k]
    request = state.requests[slot]
    catch_up(state, r, k)
    _note_last_token(state, r, slot)
    replica.context -= min(request.computed, request.known)
    replica.tabled -= request.held
    request.computed -= state.planned[r, k]  # of this iteration
    remove_running(state, r, k)
    request.preemptions += 1
    replica.preemptions += 1
    request.decoding = 0
    swapped = (
        rules.preemption == Preemption.SWAP
        and request.computed > 0
        and replica.cpu_free >= request.held
        and state.free_seats[-1] > 0
    )
    if swapped:
        replica.swaps += 1
        replica.cpu_free -= request.held
        replica.coming_free += request.held
        request.state = COPIED_OUT
        enqueue_copy(state, rules, r, slot, replica.now)
    else:
        free_blocks(state, r, slot)
        request.computed = request.given = 0
        request.state = WAITING
    enqueue_first(state, rules, r, slot)


@inlined
def remove_running(state: EngineState, r: int, k: int) -> None:
    """Close the gap that the request at place k leaves."""
    replica = state.replicas[r]
    replica.running -= 1
    for place in range(k, replica.running):
        state.running[r, place] = state.running[r, place + 1]
        state.visit[r, place] = state.visit[r, place + 1]
        state.planned[r, place] = state.planned[r, place + 1]


@inlined
def _note_last_token(state: EngineState, r: int, slot: int) -> None:
    """Remember when the last token came out, once it is no longer at the last boundary."""
    request = state.requests[slot]
    if request.decoding == 1 and request.last < 0.0:
        request.last = state.replicas[r].now
