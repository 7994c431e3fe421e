"""The engine at work with every token told: in arrays, by the thousand at a call.

The schedule is that of `stepping.advance`, iteration for iteration; what comes out of each is
written down, and metered, before it ends.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from optimizer.engine.compilation import borrowed, compiled, inlined
from optimizer.engine.completion import emitted_tokens, emitting, end_iteration
from optimizer.engine.meters import Distribution, Meters, Total, observe
from optimizer.engine.residence import record
from optimizer.engine.routing import Router, chosen_replica
from optimizer.engine.rules import ReplicaRole, Rules
from optimizer.engine.schedule import begin_iteration
from optimizer.engine.state import NONE, REFUSED, EngineState
from optimizer.engine.submission import place_request, submit
from optimizer.engine.time_law import TimeLaw
from optimizer.engine.traffic import Traffic

__all__ = ["Told", "new_told", "next_due", "serve_telling"]


class Told(NamedTuple):
    """Tokens that came out: one entry for each request and iteration; room for E entries."""

    time_ms: Any  # (E,)
    request: Any  # (E,) number
    tokens: Any  # (E,) how many came out together
    count: Any  # (1,) entries


def new_told(size: int) -> Told:
    """Return room for so many entries; with none, tokens are metered but not told."""
    return Told(
        np.zeros(size), np.zeros(size, np.int64), np.zeros(size, np.int32), np.zeros(1, np.int64)
    )


@compiled
def serve_telling(
    state: EngineState,
    rules: Rules,
    law: TimeLaw,
    router: Router,
    meters: Meters,
    told: Told,
    traffic: Traffic,
    start: int,
    number: int,
    before: float,
    until: float,
    most: int,
) -> tuple[int, bool]:
    """Serve the traffic that comes before a time, from a place on; then work until a time [ms].

    The request at place p has the number `number` + p; it is refused where no replica accepts
    any. What ends exactly at the time until which all work is not ended yet.

    Returns
    -------
    The place reached, and whether the time is reached, too. Neither need be where there is no room
    to write more down, the time not where a replica has ended `most` iterations.
    """
    state, law, traffic = borrowed(state), borrowed(law), borrowed(traffic)
    meters, told = borrowed(meters), borrowed(told)
    for place in range(start, traffic.arrival_ms.size + 1):
        # A single place advances replicas, so that all that is compiled into it is there once.
        comes = place < traffic.arrival_ms.size and traffic.arrival_ms[place] < before
        now, limit = until, most
        if comes:
            if state.free_slots[-1] == 0 or not _has_room(state, told, 0):
                return place, False
            now, limit = traffic.arrival_ms[place], max(most, _ANY)
        reached = True
        for r in range(state.replicas.size):
            done = _advance(state, rules, law, meters, told, r, now, limit)
            if comes and not done:
                return place, False
            reached = reached and done
        if not comes:
            return place, reached
        slot = place_request(state, traffic, place, number + place)
        r = chosen_replica(state, rules, router, slot, number + place)
        if r == NONE:
            record(state, NONE, slot, now, REFUSED)
        else:
            submit(state, rules, r, slot)
    return traffic.arrival_ms.size, True


@compiled
def next_due(state: EngineState, now: float) -> float:
    """Return when a replica that has worked until now has something to do next; inf: never."""
    state = borrowed(state)
    due = np.inf
    for r in range(state.replicas.size):
        replica = state.replicas[r]
        if replica.in_flight == 1:
            due = min(due, replica.ends)
        elif replica.now >= now and replica.running + replica.waiting > 0:
            due = min(due, replica.now)
        elif replica.first_copy != NONE:
            due = min(due, state.requests[replica.first_copy].ready)
    return due


_ANY = 2**62


@inlined
def _advance(
    state: EngineState,
    rules: Rules,
    law: TimeLaw,
    meters: Meters,
    told: Told,
    r: int,
    until: float,
    most: int,
) -> bool:
    """Let one replica work; see `serve_telling` and `stepping.advance`."""
    replica = state.replicas[r]
    while True:
        if replica.in_flight == 1:
            if replica.ends >= until:
                return True
            if most == 0 or not _has_room(state, told, replica.running):
                return False
            _tell(state, rules, meters, told, r)
            end_iteration(state, rules, r)
            most -= 1
        if replica.now >= until:
            return True
        if not _has_room(state, told, 0):
            return False
        if replica.running + replica.waiting == 0 or not _begin(state, rules, law, meters, r):
            # There is nothing to compute before a copy is done.
            if replica.first_copy == NONE:
                return True
            ready = state.requests[replica.first_copy].ready
            if ready >= until:
                return True
            replica.now = max(replica.now, ready)
            _begin(state, rules, law, meters, r)


@inlined
def _has_room(state: EngineState, told: Told, entries: int) -> bool:
    """Whether what may happen next can be written down: tokens, and all requests being over."""
    present = state.requests.size - state.free_slots[-1]
    listens = told.time_ms.size > 0
    return state.done_count[0] + present + 1 <= state.done.size and not (
        listens and told.count[0] + entries > told.time_ms.size
    )


@inlined
def _begin(state: EngineState, rules: Rules, law: TimeLaw, meters: Meters, r: int) -> bool:
    replica = state.replicas[r]
    before = replica.decode_tokens + replica.prefill_tokens
    if not begin_iteration(state, rules, law, r):
        return False
    tokens = replica.decode_tokens + replica.prefill_tokens - before
    observe(meters, r, Distribution.ITERATION_TOKENS, tokens, 1)
    return True


@inlined
def _tell(state: EngineState, rules: Rules, meters: Meters, told: Told, r: int) -> None:
    """Write down and meter the tokens that the iteration in flight ends with."""
    replica = state.replicas[r]
    listens = told.time_ms.size > 0
    at = told.count[0]
    counted = 0
    for k in range(replica.running):
        tokens = 1
        if state.visit[r, k] > replica.iteration:
            counted += 1
        else:
            most = emitting(state, r, k)
            if most == 0:
                continue
            tokens = emitted_tokens(state, rules, r, k, most)
            _meter(state, rules, meters, r, k, tokens)
            if most > 1:
                meters.totals[r, Total.DRAFTS] += 1
                for place in range(tokens - 1):
                    meters.accepted[r, place] += 1
        if listens:
            told.time_ms[at] = replica.ends
            told.request[at] = state.requests[state.running[r, k]].id
            told.tokens[at] = tokens
            at += 1
    told.count[0] = at
    if counted > 0:
        observe(meters, r, Distribution.ITL, (replica.ends - replica.now) / 1e3, counted)


@inlined
def _meter(state: EngineState, rules: Rules, meters: Meters, r: int, k: int, tokens: int) -> None:
    """Meter tokens of a request that is looked at: its first ones, or the gap before them."""
    replica, request = state.replicas[r], state.requests[state.running[r, k]]
    fresh = request.first < 0.0
    if fresh:
        observe(meters, r, Distribution.TTFT, (replica.ends - request.arrival) / 1e3, 1)
        meters.totals[r, Total.PROMPT_TOKENS] += request.prompt
        meters.totals[r, Total.CACHED_TOKENS] += request.hit
    if not fresh or rules.role == ReplicaRole.DECODE:
        since = replica.now if request.last < 0.0 else request.last
        observe(meters, r, Distribution.ITL, (replica.ends - since) / tokens / 1e3, tokens)
