"""Serve many requests at one go."""

from __future__ import annotations

from optimizer.engine.compilation import borrowed, compiled
from optimizer.engine.routing import Router, chosen_replica, is_blind
from optimizer.engine.rules import Rules
from optimizer.engine.state import EngineState
from optimizer.engine.stepping import advance
from optimizer.engine.submission import place_request, submit
from optimizer.engine.time_law import TimeLaw
from optimizer.engine.traffic import Traffic

__all__ = ["advance_all", "serve"]


@compiled
def serve(
    state: EngineState,
    rules: Rules,
    law: TimeLaw,
    router: Router,
    traffic: Traffic,
    start: int,
    number: int,
) -> int:
    """Serve the traffic from a place on, as far as there is room; return where it stopped.

    It stops where no slot is free, or where the record of finished requests could overflow. The
    request at place p has the number `number` + p.
    """
    state, law, traffic = borrowed(state), borrowed(law), borrowed(traffic)
    for place in range(start, traffic.arrival_ms.size):
        free = state.free_slots[-1]
        present = state.requests.size - free
        if free == 0 or state.done_count[0] + present + 1 > state.done.size:
            return place
        now = traffic.arrival_ms[place]
        if not is_blind(router):
            advance_all(state, rules, law, now)
        slot = place_request(state, traffic, place, number + place)
        r = chosen_replica(state, rules, router, slot, number + place)
        advance(state, rules, law, r, now)
        submit(state, rules, r, slot)
    return traffic.arrival_ms.size


@compiled
def advance_all(state: EngineState, rules: Rules, law: TimeLaw, until: float) -> None:
    """Let every replica work until a time [ms]."""
    state, law = borrowed(state), borrowed(law)
    for r in range(state.replicas.size):
        advance(state, rules, law, r, until)
