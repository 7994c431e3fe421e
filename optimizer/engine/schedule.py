"""What an iteration computes: vLLM V1's scheduler.

There are no phases. Every request has tokens that are known and tokens that are computed, and an
iteration lets the second catch up with the first under a budget: first for the requests that run,
in the order of their admission, then for those that wait. A running request for which there is no
block preempts others; whoever waits is admitted only when nobody was preempted.

A request in the middle of its decode needs nothing but one token per iteration. It is looked at
again in the iteration at which it needs a block, fills one or ends; until then it is only counted.
"""

from __future__ import annotations

from optimizer.engine.admission import admit_waiting
from optimizer.engine.compilation import borrowed, compiled, inlined
from optimizer.engine.content import cache_blocks
from optimizer.engine.preemption import hold_over, preempt, victim
from optimizer.engine.residence import append_blocks, finish_copies, write_privately
from optimizer.engine.rules import KvAccounting, Preemption, Rules
from optimizer.engine.state import EngineState
from optimizer.engine.time_law import TimeLaw, iteration_ms

__all__ = ["begin_iteration"]


@compiled
def begin_iteration(state: EngineState, rules: Rules, law: TimeLaw, r: int) -> bool:
    """Schedule an iteration that starts now; return whether there is anything in it."""
    state, law = borrowed(state), borrowed(law)
    replica = state.replicas[r]
    finish_copies(state, rules, r)
    while True:
        preemptions = replica.preemptions
        budget, decode, prefill = _schedule_running(state, rules, r)
        replica.blocked = 0
        if replica.preemptions == preemptions:
            decode, prefill = admit_waiting(state, rules, law, r, budget, decode, prefill)
        if decode + prefill > 0:
            break
        if replica.preemptions == preemptions:
            return False
        # Whoever was first has preempted itself: the others are tried at once.
    lasts = replica.pace * iteration_ms(law, decode, prefill, replica.context)
    replica.ends = replica.now + lasts
    replica.in_flight = replica.looked_at = 1
    replica.decode_tokens += decode
    replica.prefill_tokens += prefill
    return True


@inlined
def _schedule_running(state: EngineState, rules: Rules, r: int) -> tuple[int, int, int]:
    """Schedule those that run; return the budget left, and decode and prompt tokens."""
    replica = state.replicas[r]
    budget, decode, prefill, counted = rules.max_num_batched_tokens, 0, 0, 0
    k = 0
    while k < replica.running and budget > 0:
        if state.visit[r, k] > replica.iteration:
            budget -= 1
            decode += 1
            counted += 1
            k += 1
            continue
        request = state.requests[state.running[r, k]]
        need = _tokens_needed(state, rules, r, k, budget)
        missing = _missing_blocks(state, rules, r, k, need)
        if need > 0 and missing > replica.free:
            waits = False
            stopped = False
            while missing > replica.free:
                if rules.preemption == Preemption.SWAP and (
                    missing <= replica.free + replica.coming_free
                ):
                    waits = True
                    break
                v = victim(state, rules, r)
                if v < k:
                    # It was scheduled in this iteration already.
                    if state.visit[r, v] > replica.iteration:
                        budget += 1
                        decode -= 1
                        counted -= 1
                        state.planned[r, v] = 0
                    else:
                        budget += state.planned[r, v]
                        if state.requests[state.running[r, v]].decoding == 1:
                            decode -= state.planned[r, v]
                        else:
                            prefill -= state.planned[r, v]
                else:
                    state.planned[r, v] = 0
                    stopped = v == k
                preempt(state, rules, r, v)
                if v < k:
                    k -= 1
                if stopped:
                    break
            if stopped:
                break
            if waits:
                need = 0
        if need == 0:
            hold_over(state, r, k)
            k += 1
            continue
        _extend(state, rules, r, k, need, missing)
        budget -= need
        if request.decoding == 1:
            decode += need
        else:
            prefill += need
        k += 1
    for place in range(k, replica.running):
        hold_over(state, r, place)
    replica.context += counted
    return budget, decode, prefill


@inlined
def _tokens_needed(state: EngineState, rules: Rules, r: int, k: int, budget: int) -> int:
    """Return the tokens of a running request that this iteration computes at most."""
    replica, request = state.replicas[r], state.requests[state.running[r, k]]
    need = request.known - request.computed
    if request.decoding == 1 and rules.draft_tokens > 0:
        need = min(need + rules.draft_tokens, rules.max_model_len - 1 - request.computed)
    most = rules.long_prefill_token_threshold
    if 0 < most < need and replica.running + replica.waiting > 1:
        need = most
    return min(need, budget)


@inlined
def _missing_blocks(state: EngineState, rules: Rules, r: int, k: int, need: int) -> int:
    """Return the blocks to allocate for so many tokens more, a private copy included."""
    if rules.kv_accounting == KvAccounting.RESERVED:
        return 0
    request = state.requests[state.running[r, k]]
    tokens = min(request.computed + need + rules.lookahead_tokens, rules.max_model_len)
    missing = max(0, -(-tokens // rules.block_size) - request.held)
    return missing + _writes_shared(state, rules, r, k)


@inlined
def _writes_shared(state: EngineState, rules: Rules, r: int, k: int) -> bool:
    """Whether the next token goes into a block that others refer to."""
    request = state.requests[state.running[r, k]]
    if request.computed % rules.block_size == 0:
        return False
    block = state.tables[request.seat, request.computed // rules.block_size]
    return state.blocks[r, block].references > 1


@inlined
def _extend(state: EngineState, rules: Rules, r: int, k: int, need: int, missing: int) -> None:
    """Allocate what is missing, and count the tokens as computed."""
    replica, slot = state.replicas[r], state.running[r, k]
    request = state.requests[slot]
    before = request.computed
    if missing > 0 and _writes_shared(state, rules, r, k):
        write_privately(state, r, slot, before // rules.block_size)
        missing -= 1
    if missing > 0:
        append_blocks(state, r, slot, missing)
    after = before + need
    if rules.prefix_caching:
        cache_blocks(state, rules, r, slot, min(after, request.known))
    request.computed = after
    state.planned[r, k] = need
    replica.context += min(after, request.known) - before
