"""The prefix tree and what each tier holds of it, as arrays that compiled loops share.

A node is a block of tokens behind one particular prefix, so that its number stands for all tokens
up to its end. Nodes outlive their data: of a node that no tier holds, the references seen remain.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["ANSWER", "PROMPT", "CacheState", "new_state"]

PROMPT, ANSWER = 0, 1
"""Kinds of node: tokens that a caller sent, tokens that the model wrote."""

# Records, as compiled loops read `records[i].field`; numpy's types cannot say so.
Records = Any

_NODE = np.dtype(
    [
        ("parent", np.int64),  # -1: the head of a prompt
        ("order", np.int64),  # of the last reference
        ("time", np.float64),  # of the last reference [s]
        ("priority", np.float64),  # least first to leave
        ("touches", np.int64),  # references ever
        ("uses", np.int64),  # references since a tier holds it
        ("held", np.int64),  # number of the last request known to need it
        ("references", np.int64),  # of requests in flight
        ("cost", np.float64),  # of computing it, relative
        ("turn", np.int32),  # of its conversation, when first seen
        ("grade", np.int32),  # of the learned policy
        ("segment", np.int32),  # of ARC
        ("kind", np.int32),
    ],
    align=True,
)
_TIER = np.dtype(
    [
        ("capacity", np.int64),  # blocks
        ("blocks", np.int64),  # stored
        ("written", np.int64),  # blocks
        ("clock", np.float64),  # priority of the last victim, for policies with ageing
        ("leaves", np.int64),  # in the list of leaves
        ("once", np.int64),  # ARC: blocks used once
    ],
    align=True,
)
_SLOT = np.dtype(
    [
        ("resident", np.bool_),
        ("children", np.int32),  # resident in the tier
        ("leaf_position", np.int32),  # in the list of leaves, -1: not there
    ],
    align=True,
)
_HEAP_ENTRY = np.dtype([("priority", np.float64), ("order", np.int64), ("node", np.int64)])
_GHOST = np.dtype([("order", np.int64), ("node", np.int64)])
_GHOST_RING = np.dtype([("count", np.int64), ("taken", np.int64), ("added", np.int64)])
_WHOLE = np.dtype(
    [
        ("capacity", np.int64),  # of all tiers
        ("references", np.int64),  # served
        ("random", np.int64),
        ("once", np.int64),  # ARC: blocks used once, all tiers
        ("wanted_once", np.float64),  # ARC: how many there should be
    ]
)


class CacheState(NamedTuple):
    """State of a cache of T tiers, from the fastest, over U nodes; all of it changes in place."""

    nodes: Records  # (U,)
    tiers: Records  # (T,)
    slots: Records  # (T, U)
    whole: Records  # (1,)
    heaps: Records  # (H, length): leaves of each tier, with ARC in two heaps
    heap_sizes: NDArray[np.int64]  # (H,)
    leaves: NDArray[np.int64]  # (T, U): of a tier as a list, for policies that compare them
    ghosts: Records  # (2, length): what ARC dropped, as rings
    ghost_rings: Records  # (2,)
    aside: NDArray[np.int64]  # (U,): leaves put aside during a search


def new_state(
    nodes: int,
    capacity: NDArray[np.int64],
    *,
    heaps_per_tier: int,
    with_leaf_lists: bool,
    ghosts: int,
) -> CacheState:
    """Return an empty cache for up to `nodes` nodes, and room for `ghosts` of them."""
    tiers = len(capacity)

    def records(dtype: np.dtype[np.void], *shape: int) -> Records:
        return np.zeros(shape, dtype=dtype).view(np.recarray)

    state = CacheState(
        nodes=records(_NODE, nodes),
        tiers=records(_TIER, tiers),
        slots=records(_SLOT, tiers, nodes),
        whole=records(_WHOLE, 1),
        heaps=records(
            _HEAP_ENTRY, tiers * max(heaps_per_tier, 1), 2 * nodes + 16 if heaps_per_tier else 0
        ),
        heap_sizes=np.zeros(tiers * max(heaps_per_tier, 1), dtype=np.int64),
        leaves=np.zeros((tiers, nodes if with_leaf_lists else 0), dtype=np.int64),
        ghosts=records(_GHOST, 2, ghosts),
        ghost_rings=records(_GHOST_RING, 2),
        aside=np.zeros(nodes, dtype=np.int64),
    )
    state.nodes.parent = -1
    state.nodes.held = -1
    state.nodes.cost = 1.0
    state.slots.leaf_position = -1
    state.tiers.capacity = capacity
    state.whole.capacity = np.sum(capacity)
    return state
