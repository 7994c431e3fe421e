"""Several continuations of one request that share its blocks: parallel sampling, beam search.

vLLM V1 has given this up: it sends `n` requests that meet in the prefix cache. The rule is that of
V0: a child refers to every block of its parent, and whoever writes first to a block that others
refer to writes to a copy.
"""

from __future__ import annotations

from optimizer.engine.compilation import borrowed, compiled
from optimizer.engine.preemption import catch_up
from optimizer.engine.randomness import mixed
from optimizer.engine.residence import join
from optimizer.engine.rules import KvAccounting, Rules
from optimizer.engine.state import NONE, RUNNING, UNTOLD, EngineState

__all__ = ["fork"]


@compiled
def fork(state: EngineState, rules: Rules, slot: int, number: int) -> int:
    """Let a request go on twice; return the slot of the child, or NONE without room for it.

    Only between two iterations, of a request that has emitted its first token and runs. There must
    be a free slot.

    Parameters
    ----------
    number
        Number of the child.
    """
    state = borrowed(state)
    parent = state.requests[slot]
    r = parent.replica
    replica = state.replicas[r]
    reserving = rules.kv_accounting == KvAccounting.RESERVED
    wanted = parent.prompt + parent.output
    if (
        parent.state != RUNNING
        or parent.decoding == 0
        or replica.in_flight == 1
        or replica.running + replica.copied_in >= rules.max_num_seqs
        or (not reserving and state.free_seats[-1] == 0)
        or (reserving and replica.reserved + wanted > rules.kv_capacity_tokens)
    ):
        return NONE
    k = 0
    while state.running[r, k] != slot:
        k += 1
    catch_up(state, r, k)
    replica.next_visit = replica.iteration
    state.free_slots[-1] -= 1
    copy = state.free_slots[state.free_slots[-1]]
    state.requests[copy] = state.requests[slot]
    child = state.requests[copy]
    child.id = number
    state.guesses[copy] = UNTOLD
    last = parent.segments - 1
    for segment in range(parent.segments):
        state.keys[copy, segment] = state.keys[slot, segment]
        state.ends[copy, segment] = state.ends[slot, segment]
    if last >= 0:
        state.keys[copy, last] = mixed(state.keys[slot, last], number)
    if reserving:
        replica.reserved += wanted
    else:
        state.free_seats[-1] -= 1
        child.seat = state.free_seats[state.free_seats[-1]]
        for place in range(parent.held):
            block = state.tables[parent.seat, place]
            state.tables[child.seat, place] = block
            state.blocks[r, block].references += 1
        replica.tabled += parent.held
    replica.context += min(child.computed, child.known)
    replica.outstanding += 1
    join(state, r, copy)
    return copy
