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

_ROUTER, _NOBODY, _NOWHERE = Router(), Traffic.none(), np.zeros(0, np.int64)


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
    until: float,
) -> int:
    """Serve the traffic from a place in the order on; return the place where there was no room.

    It stops where no slot is free, or where the record of finished requests could overflow. The
    request at place p of the traffic has the number `number` + p. After the last one every replica
    works until a time [ms].
    """
    state, law, traffic = borrowed(state), borrowed(law), borrowed(traffic)
    for turn in range(start, order.size + 1):
        # A single place advances replicas, so that all that is compiled into it is there once.
        now, first, stop = until, 0, state.replicas.size
        if turn < order.size:
            free = state.free_slots[-1]
            present = state.requests.size - free
            if free == 0 or state.done_count[0] + present + 1 > state.done.size:
                return turn
            now = traffic.arrival_ms[order[turn]]
            r = chosen[order[turn]]
            if r != NONE:
                first, stop = r, r + 1
        for r in range(first, stop):
            advance(state, rules, law, r, now)
        if turn < order.size:
            place = order[turn]
            slot = place_request(state, traffic, place, number + place)
            r = chosen[place]
            if r == NONE:
                r = chosen_replica(state, rules, router, slot, number + place)
            submit(state, rules, r, slot)
    return order.size


def advance_all(state: EngineState, rules: Rules, law: TimeLaw, until: float) -> None:
    """Let every replica work until a time [ms]."""
    serve(state, rules, law, _ROUTER, _NOBODY, _NOWHERE, _NOWHERE, 0, 0, until)
