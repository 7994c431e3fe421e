"""Time on a replica: from iteration to iteration, for a simulation and for an emulator alike."""

from __future__ import annotations

from typing import Any

import numpy as np

from optimizer.engine.compilation import borrowed, compiled, inlined
from optimizer.engine.completion import count_gap, end_iteration
from optimizer.engine.rules import Rules
from optimizer.engine.schedule import begin_iteration
from optimizer.engine.state import NONE, EngineState
from optimizer.engine.time_law import TimeLaw, iteration_ms

__all__ = ["advance", "next_event"]


@inlined
def advance(state: EngineState, rules: Rules, law: TimeLaw, r: int, until: float) -> None:
    """Let a replica work on what it has until a time [ms].

    Iterations that end before it are ended, and one that ends at it is not: who arrives then is
    there when the next one starts.
    """
    replica = state.replicas[r]
    while True:
        if replica.in_flight == 1:
            if replica.ends >= until:
                return
            if replica.looked_at == 1:
                end_iteration(state, rules, r)
            else:
                _run_undisturbed(state, rules, law, r, until)
                if replica.in_flight == 1:
                    return
        if replica.now >= until:
            return
        if _is_undisturbed(state, rules, r):
            _start_counted(state, law, r)
        elif replica.running + replica.waiting == 0 or not begin_iteration(state, rules, law, r):
            # There is nothing to compute before a copy is done.
            if replica.first_copy == NONE:
                return
            ready = state.requests[replica.first_copy].ready
            if ready >= until:
                return
            replica.now = max(replica.now, ready)
            begin_iteration(state, rules, law, r)


@compiled
def next_event(state: EngineState, r: int) -> float:
    """Return when something happens on a replica by itself: the end of an iteration or a copy."""
    state = borrowed(state)
    replica = state.replicas[r]
    if replica.in_flight == 1:
        return replica.ends
    if replica.first_copy != NONE:
        return state.requests[replica.first_copy].ready
    return np.inf


@inlined
def _is_undisturbed(state: EngineState, rules: Rules, r: int) -> bool:
    """Whether in the next iteration every running request gets a token and nothing else happens."""
    replica = state.replicas[r]
    return (
        0 < replica.running <= rules.max_num_batched_tokens
        and replica.iteration < replica.next_visit
        and _nobody_comes(rules, replica)
    )


@inlined
def _nobody_comes(rules: Rules, replica: Any) -> bool:
    """Whether no one can be admitted before someone leaves, and no copy is on its way."""
    nobody = replica.waiting == 0 or (replica.blocked == 1 and not rules.drop_late)
    return nobody and replica.first_copy == NONE


@inlined
def _start_counted(state: EngineState, law: TimeLaw, r: int) -> None:
    """Start an iteration in which all who run are only counted."""
    replica = state.replicas[r]
    replica.context += replica.running
    lasts = replica.pace * iteration_ms(law, replica.running, 0, replica.context)
    replica.ends = replica.now + lasts
    replica.in_flight = 1
    replica.looked_at = 0
    replica.decode_tokens += replica.running


@inlined
def _run_undisturbed(state: EngineState, rules: Rules, law: TimeLaw, r: int, until: float) -> None:
    """End the iteration in flight, and run others like it as long as nothing happens.

    The same sums as those of `end_iteration` and `_start_counted`, in the same order.
    """
    replica = state.replicas[r]
    running, context, iteration = replica.running, replica.context, replica.iteration
    pace = replica.pace
    now, ends, began = replica.now, replica.ends, replica.now
    # Whoever came since the iteration began may be admitted to the next one.
    first = iteration
    visit = replica.next_visit if _nobody_comes(rules, replica) else iteration + 1
    context_ms = 0.0
    while True:
        count_gap(state, ends - now, running)
        context_ms += (ends - now) * context
        now = ends
        iteration += 1
        if iteration >= visit or now >= until:
            replica.in_flight = 0
            break
        context += running
        ends = now + pace * iteration_ms(law, running, 0, context)
        if ends >= until:
            break
    done = iteration - first
    lasted = now - began
    replica.now, replica.ends, replica.iteration, replica.context = now, ends, iteration, context
    replica.iterations += done
    replica.emitted_tokens += done * running
    replica.decode_tokens += (done - 1 + replica.in_flight) * running
    replica.busy_ms += lasted
    replica.running_ms += lasted * running
    if running >= rules.max_num_seqs:
        replica.full_ms += lasted
    replica.context_ms += context_ms
    replica.tabled_ms += lasted * replica.tabled
    replica.block_ms += lasted * (state.blocks.shape[1] - 1 - replica.free)
