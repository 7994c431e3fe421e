"""Serve many requests at one go."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizer.engine.compilation import borrowed, compiled
from optimizer.engine.routing import Router, blindly_chosen, chosen_replica, is_blind
from optimizer.engine.rules import Rules
from optimizer.engine.state import NONE, EngineState
from optimizer.engine.stepping import advance
from optimizer.engine.submission import place_request, submit
from optimizer.engine.time_law import TimeLaw
from optimizer.engine.traffic import Traffic

__all__ = ["advance_all", "in_order", "serve"]

IntArray = NDArray[np.int64]


def in_order(
    state: EngineState, rules: Rules, router: Router, traffic: Traffic, number: int
) -> tuple[IntArray, IntArray]:
    """Return the replica of every request, where it can be told, and the order to serve them in.

    Where the choice does not depend on what the replicas are doing, they have nothing to do with
    each other: each serves its requests after the other, while its state is in the cache of the
    processor. Else replicas are NONE and the order is that of arrival.
    """
    size = traffic.arrival_ms.size
    if not is_blind(router):
        return np.full(size, NONE), np.arange(size)
    chosen = np.empty(size, np.int64)
    blindly_chosen(state, rules, router, number, chosen)
    return chosen, np.argsort(chosen, kind="stable")


@compiled
def serve(
    state: EngineState,
    rules: Rules,
    law: TimeLaw,
    router: Router,
    traffic: Traffic,
    chosen: IntArray,
    order: IntArray,
    start: int,
    number: int,
) -> int:
    """Serve the traffic from a place in the order on; return the place where there was no room.

    It stops where no slot is free, or where the record of finished requests could overflow. The
    request at place p of the traffic has the number `number` + p.
    """
    state, law, traffic = borrowed(state), borrowed(law), borrowed(traffic)
    for turn in range(start, order.size):
        free = state.free_slots[-1]
        present = state.requests.size - free
        if free == 0 or state.done_count[0] + present + 1 > state.done.size:
            return turn
        place, r = order[turn], chosen[order[turn]]
        now = traffic.arrival_ms[place]
        slot = place_request(state, traffic, place, number + place)
        if r == NONE:
            advance_all(state, rules, law, now)
            r = chosen_replica(state, rules, router, slot, number + place)
        else:
            advance(state, rules, law, r, now)
        submit(state, rules, r, slot)
    return order.size


@compiled
def advance_all(state: EngineState, rules: Rules, law: TimeLaw, until: float) -> None:
    """Let every replica work until a time [ms]."""
    state, law = borrowed(state), borrowed(law)
    for r in range(state.replicas.size):
        advance(state, rules, law, r, until)
