"""How a request is told, while it runs, after how many tokens it ends."""

from __future__ import annotations

from optimizer.engine.compilation import borrowed, compiled
from optimizer.engine.rules import KvAccounting, Rules
from optimizer.engine.state import RUNNING, EngineState

__all__ = ["shorten"]


@compiled
def shorten(state: EngineState, rules: Rules, slot: int, output: int) -> bool:
    """Let a request end with its token of this number, before all that it asked for.

    Returns
    -------
    False, and nothing is done, where that token is out already, or where one beyond it is on its
    way: what an iteration in flight computes comes out.
    """
    state = borrowed(state)
    request = state.requests[slot]
    r = request.replica
    replica = state.replicas[r]
    k = ahead = 0
    if request.state == RUNNING:
        while state.running[r, k] != slot:
            k += 1
        ahead = max(state.visit[r, k] - replica.iteration, 0)
    left = request.prompt + output - 1 - (request.known - ahead)
    if left < (1 if ahead > 0 and replica.in_flight == 1 else 0) or output > request.output:
        return False
    if rules.kv_accounting == KvAccounting.RESERVED and request.state == RUNNING:
        replica.reserved -= request.output - output
    request.output = output
    request.stops = 1
    if left < ahead:
        # It is looked at again in the iteration that its last token comes out of.
        request.known -= ahead - left
        request.computed -= ahead - left
        state.visit[r, k] -= ahead - left
        replica.next_visit = min(replica.next_visit, state.visit[r, k])
    return True
