"""How a request is taken back by whoever sent it."""

from __future__ import annotations

from optimizer.engine.compilation import borrowed, compiled
from optimizer.engine.preemption import catch_up, remove_running
from optimizer.engine.queues import leave_queue
from optimizer.engine.residence import leave, record
from optimizer.engine.rules import KvAccounting, Rules
from optimizer.engine.state import (
    ABORTED,
    CANCELLED_IN,
    CANCELLED_OUT,
    COPIED_IN,
    COPIED_OUT,
    RUNNING,
    SWAPPED,
    WAITING,
    EngineState,
)

__all__ = ["abort"]


@compiled
def abort(state: EngineState, rules: Rules, slot: int, now: float) -> None:
    """End a request that has not ended, and free its blocks.

    An iteration in flight lasts as long as it would have. Blocks that are being copied are free
    when the copy is done.
    """
    state = borrowed(state)
    request = state.requests[slot]
    r = request.replica
    replica = state.replicas[r]
    if request.state == RUNNING:
        k = 0
        while state.running[r, k] != slot:
            k += 1
        if replica.in_flight == 1 and state.visit[r, k] > replica.iteration:
            replica.context -= 1  # of the iteration in flight
        catch_up(state, r, k)
        remove_running(state, r, k)
        leave(state, rules, r, slot, now, ABORTED)
        return
    if request.state in (WAITING, SWAPPED, COPIED_OUT):
        leave_queue(state, r, slot)
        replica.blocked = 0
    if request.state == WAITING or request.state == SWAPPED:
        replica.outstanding -= 1
        if rules.kv_accounting == KvAccounting.BLOCKS and request.state == SWAPPED:
            replica.cpu_free += request.held
        record(state, r, slot, now, ABORTED)
    elif request.state == COPIED_OUT:
        replica.outstanding -= 1
        request.state = CANCELLED_OUT
    elif request.state == COPIED_IN:
        replica.outstanding -= 1
        request.state = CANCELLED_IN
