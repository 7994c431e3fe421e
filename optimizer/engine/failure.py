"""What becomes of requests when their replica fails."""

from __future__ import annotations

import numpy as np

from optimizer.engine.compilation import borrowed, compiled
from optimizer.engine.preemption import catch_up
from optimizer.engine.residence import record
from optimizer.engine.state import (
    ABORTED,
    CANCELLED_IN,
    CANCELLED_OUT,
    FAILED,
    EngineState,
)

__all__ = ["fail_all"]


@compiled
def fail_all(state: EngineState, r: int, now: float) -> None:
    """End every request of a replica, whatever it waits for; the replica must be reset then."""
    state = borrowed(state)
    for k in range(state.replicas[r].running):
        catch_up(state, r, k)
    present = np.ones(state.requests.size, np.bool_)
    for place in range(state.free_slots[-1]):
        present[state.free_slots[place]] = False
    for slot in range(present.size):
        request = state.requests[slot]
        if present[slot] and request.replica == r:
            cancelled = request.state == CANCELLED_IN or request.state == CANCELLED_OUT
            record(state, r, slot, now, ABORTED if cancelled else FAILED)
