"""What comes out of an iteration: tokens, and requests that end with them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizer.engine.compilation import borrowed, compiled, inlined
from optimizer.engine.randomness import mixed, uniform
from optimizer.engine.residence import leave
from optimizer.engine.rules import KvAccounting, ReplicaRole, Rules
from optimizer.engine.state import (
    COMPLETED,
    GAP_BINS,
    GAP_BITS,
    GUESSED,
    NONE,
    UNTOLD,
    EngineState,
)

__all__ = [
    "FIRST_BIN",
    "count_gap",
    "emitted_tokens",
    "emitting",
    "end_iteration",
    "gap_edges",
]

# Bits of 2**-10 ms, the lower edge of the first bin.
FIRST_BIN = (1023 - 10) << GAP_BITS
_FAR = np.iinfo(np.int64).max


@compiled
def end_iteration(state: EngineState, rules: Rules, r: int) -> None:
    """Let tokens come out at the end of the iteration in flight."""
    state = borrowed(state)
    replica = state.replicas[r]
    lasted = replica.ends - replica.now
    replica.iterations += 1
    replica.busy_ms += lasted
    replica.running_ms += lasted * replica.running
    if replica.running >= rules.max_num_seqs:
        replica.full_ms += lasted
    replica.context_ms += lasted * replica.context
    replica.tabled_ms += lasted * replica.tabled
    replica.block_ms += lasted * (state.blocks.shape[1] - 1 - replica.free)
    kept = counted = 0
    first = _FAR
    for k in range(replica.running):
        visit = state.visit[r, k]
        if visit > replica.iteration:
            counted += 1
        else:
            visit = _outcome(state, rules, r, k)
            if visit == NONE:
                continue
        state.running[r, kept] = state.running[r, k]
        state.visit[r, kept] = visit
        first = min(first, visit)
        kept += 1
    if counted > 0:
        count_gap(state, lasted, counted)
        replica.emitted_tokens += counted
    replica.running = kept
    replica.next_visit = first
    replica.now = replica.ends
    replica.iteration += 1
    replica.in_flight = 0


@inlined
def emitting(state: EngineState, r: int, k: int) -> int:
    """Return how many tokens the request at place k can emit: none, or one and its drafts."""
    request = state.requests[state.running[r, k]]
    if state.visit[r, k] > state.replicas[r].iteration:
        return 1
    if state.planned[r, k] == 0 or request.computed < request.known:
        return 0
    return request.computed - request.known + 1


@inlined
def _outcome(state: EngineState, rules: Rules, r: int, k: int) -> int:
    """Let the request at place k emit; return when it is looked at again, or NONE if it left."""
    replica, slot = state.replicas[r], state.running[r, k]
    request = state.requests[slot]
    most = emitting(state, r, k)
    if most == 0:
        return replica.iteration + 1
    emitted = emitted_tokens(state, rules, r, k, most)
    ends = request.known + emitted >= request.prompt + request.output
    if rules.external:
        ends = state.verdict[r, k] < 0
    if most > 1:
        replica.drafts += most - 1
        replica.accepted_drafts += emitted - 1
    request.known += emitted
    request.computed = request.known - 1
    replica.context += emitted - 1
    replica.emitted_tokens += emitted
    fresh = request.first < 0.0
    if fresh:
        request.first = replica.ends
    if not fresh or rules.role == ReplicaRole.DECODE:
        since = replica.now if request.last < 0.0 else request.last
        count_gap(state, (replica.ends - since) / emitted, emitted)
    request.last = -1.0
    request.decoding = 1
    if ends:
        leave(state, rules, r, slot, replica.ends, COMPLETED)
        return NONE
    return _next_visit(state, rules, r, k)


@inlined
def emitted_tokens(state: EngineState, rules: Rules, r: int, k: int, most: int) -> int:
    """Return the tokens that come out: drafts accepted one after another, and one more."""
    if rules.external:
        return abs(state.verdict[r, k])
    slot = state.running[r, k]
    request = state.requests[slot]
    tokens = 1
    while tokens < most and _accepted(state, rules, slot, request.known + tokens):
        tokens += 1
    return min(tokens, request.prompt + request.output - request.known)


@inlined
def _accepted(state: EngineState, rules: Rules, slot: int, known: int) -> bool:
    """Whether the draft of the last of so many tokens is accepted: as was told, or by chance."""
    request = state.requests[slot]
    place = known - request.prompt - 1
    if place < state.guesses.shape[1] and state.guesses[slot, place] != UNTOLD:
        return state.guesses[slot, place] == GUESSED
    return uniform(mixed(rules.seed, request.id), known) < rules.acceptance_rate


@inlined
def _next_visit(state: EngineState, rules: Rules, r: int, k: int) -> int:
    """Return the next iteration at which a decoding request needs more than being counted.

    `computed` and `known` are moved on to what they are then.
    """
    following = state.replicas[r].iteration + 1
    if rules.external or rules.draft_tokens > 0:
        return following
    request = state.requests[state.running[r, k]]
    computed, size = request.computed, rules.block_size
    ahead = request.prompt + request.output - 2 - computed
    if rules.kv_accounting == KvAccounting.BLOCKS:
        ahead = min(ahead, max(request.held * size - rules.lookahead_tokens - computed, 0))
        if rules.prefix_caching:
            unit = rules.prefix_match_unit
            ahead = min(ahead, unit - 1 - computed % unit)
        if computed % size != 0:
            block = state.tables[request.seat, computed // size]
            if state.blocks[r, block].references > 1:
                ahead = 0
    request.computed += ahead
    request.known += ahead
    return following + ahead


@inlined
def count_gap(state: EngineState, gap: float, tokens: int) -> None:
    """Count tokens that came out so long after the ones before them [ms]."""
    place = (np.float64(gap).view(np.int64) >> (52 - GAP_BITS)) - FIRST_BIN
    state.gaps[min(max(place, 0), GAP_BINS - 1)] += tokens


def gap_edges() -> NDArray[np.float64]:
    """Return the edges of the bins of gaps, (GAP_BINS + 1,) [ms]."""
    bits = (np.arange(GAP_BINS + 1, dtype=np.int64) + FIRST_BIN) << (52 - GAP_BITS)
    return bits.view(np.float64)
