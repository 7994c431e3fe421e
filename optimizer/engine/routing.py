"""Which replica a request is sent to."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optimizer.engine.compilation import borrowed, compiled, inlined
from optimizer.engine.content import cached_tokens
from optimizer.engine.randomness import mixed, uniform
from optimizer.engine.rules import Rules
from optimizer.engine.state import NONE, EngineState

__all__ = ["Router", "RouterPolicy", "blindly_chosen", "chosen_replica", "is_blind"]

# Draws of the router are apart from those of the engine.
_STREAM = 0x526F757465


class RouterPolicy(IntEnum):
    """How requests are spread over replicas; the first three as in the queue models."""

    RANDOM = 0
    ROUND_ROBIN = 1
    LEAST_OUTSTANDING = 2  # ties at random
    PREFIX_AWARE = 3  # to the longest cached prefix, unless that would unbalance the load


class Router(NamedTuple):
    """How requests are routed.

    With PREFIX_AWARE the fewest outstanding requests decide instead where the most and the fewest
    differ by more than `most_apart` requests and by more than the factor `most_times`.
    """

    policy: int = int(RouterPolicy.RANDOM)
    most_apart: int = 32
    most_times: float = 1.5

    def plain(self) -> Router:
        """Return the same in plain numbers: for an enumeration all would be compiled again."""
        return Router(int(self.policy), int(self.most_apart), float(self.most_times))


def is_blind(router: Router) -> bool:
    """Whether the choice does not depend on what the replicas are doing."""
    return router.policy <= RouterPolicy.ROUND_ROBIN


@compiled
def chosen_replica(state: EngineState, rules: Rules, router: Router, slot: int, turn: int) -> int:
    """Return the replica for a request, or NONE where none accepts any.

    Parameters
    ----------
    slot
        Where the request is kept, its content included.
    turn
        Number of the request, from 0.
    """
    state = borrowed(state)
    accepting = 0
    for replica in state.replicas:
        accepting += replica.accepting
    if accepting == 0:
        return NONE
    if router.policy == RouterPolicy.ROUND_ROBIN:
        return _accepting_replica(state, turn % accepting)
    luck = mixed(mixed(rules.seed, _STREAM), turn)
    if router.policy == RouterPolicy.RANDOM:
        return _accepting_replica(state, int(uniform(luck, 0) * accepting))
    by_prefix = router.policy == RouterPolicy.PREFIX_AWARE and _is_balanced(state, router)
    chosen, most, fewest, lowest = NONE, -1, 0, 0.0
    for r in range(state.replicas.size):
        replica = state.replicas[r]
        if replica.accepting == 0:
            continue
        hit = cached_tokens(state, rules, r, slot) if by_prefix else 0
        draw = uniform(luck, r)
        if (
            chosen == NONE
            or hit > most
            or (hit == most and replica.outstanding < fewest)
            or (hit == most and replica.outstanding == fewest and draw < lowest)
        ):
            chosen, most, fewest, lowest = r, hit, replica.outstanding, draw
    return chosen


@compiled
def blindly_chosen(
    state: EngineState, rules: Rules, router: Router, number: int, chosen: NDArray[np.int64]
) -> None:
    """Write the replicas of requests, from this number on, of which nothing need be known."""
    state = borrowed(state)
    for place in range(chosen.size):
        nothing = place  # of what a slot holds matters
        chosen[place] = chosen_replica(state, rules, router, nothing, number + place)


@inlined
def _accepting_replica(state: EngineState, place: int) -> int:
    """Return the replica at this place among those that accept requests."""
    for r in range(state.replicas.size):
        if state.replicas[r].accepting == 1:
            if place == 0:
                return r
            place -= 1
    return NONE


@inlined
def _is_balanced(state: EngineState, router: Router) -> bool:
    fewest, most = state.replicas[0].outstanding, state.replicas[0].outstanding
    for replica in state.replicas:
        if replica.accepting == 1:
            fewest = min(fewest, replica.outstanding)
            most = max(most, replica.outstanding)
    return most - fewest <= router.most_apart or most <= router.most_times * fewest
