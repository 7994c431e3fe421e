"""The most hits that any policy can have with a capacity: Belady's, with bypass."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizer.kv.reuse.block_trace import BlockTrace
from optimizer.kv.reuse.compilation import compiled

__all__ = ["belady_hits"]

IntArray = NDArray[np.int64]


def belady_hits(trace: BlockTrace, capacity_blocks: int) -> IntArray:
    """Count the hit blocks of each request under the optimal policy, which knows the future.

    Blocks have one size, every block is a reference of its own, and a block need not be stored.
    Then dropping (or not storing) the block whose next use is farthest has the most hits [1]_. A
    block's next use is never before that of the blocks it extends, so that this policy stores
    prefixes only: what it holds can be used as a prefix cache, and its hits are the leading blocks
    of a request. Hence no policy with this capacity, whatever it knows or admits, and whether or
    not blocks in use must stay, has more.

    Returns
    -------
    ndarray
        Shape (requests,).

    References
    ----------
    .. [1] Mattson et al., *Evaluation techniques for storage hierarchies*, IBM Systems Journal 9
       (1970): MIN, here with the choice not to store.
    """
    hits = np.zeros(len(trace), dtype=np.int64)
    if capacity_blocks > 0:
        _belady(
            trace.offsets,
            trace.nodes,
            trace.prompt_blocks,
            trace.node_count,
            capacity_blocks,
            hits,
        )
    return hits


@compiled
def _belady(
    offsets: IntArray,
    nodes: IntArray,
    prompt_blocks: IntArray,
    count: int,
    capacity: int,
    hits: IntArray,
) -> None:
    next_use = _next_uses(nodes, count)
    never = nodes.shape[0]
    # A heap of (next use, block), farthest first; entries of blocks that moved on are stale.
    when = np.empty(nodes.shape[0] + 1, dtype=np.int64)
    which = np.empty(nodes.shape[0] + 1, dtype=np.int64)
    due = np.full(count, -1, dtype=np.int64)  # next use of what is stored
    entries, size = 0, 0
    for r in range(offsets.shape[0] - 1):
        for p in range(offsets[r], offsets[r + 1]):
            node = nodes[p]
            if due[node] >= 0:
                hits[r] += 1 if p - offsets[r] < prompt_blocks[r] else 0
                size -= 1
                due[node] = -1
            if next_use[p] == never:
                continue
            due[node] = next_use[p]
            size += 1
            _push(when, which, entries, next_use[p], node)
            entries += 1
            while size > capacity:
                farthest, victim = when[0], which[0]
                entries -= 1
                _replace_first(when, which, entries)
                if due[victim] == farthest:
                    due[victim] = -1
                    size -= 1


@compiled
def _next_uses(nodes: IntArray, count: int) -> IntArray:
    never = nodes.shape[0]
    seen = np.full(count, never, dtype=np.int64)
    next_use = np.empty(never, dtype=np.int64)
    for p in range(never - 1, -1, -1):
        next_use[p] = seen[nodes[p]]
        seen[nodes[p]] = p
    return next_use


@compiled
def _push(when: IntArray, which: IntArray, at: int, due: int, node: int) -> None:
    while at > 0:
        up = (at - 1) // 2
        if when[up] >= due:
            break
        when[at], which[at] = when[up], which[up]
        at = up
    when[at], which[at] = due, node


@compiled
def _replace_first(when: IntArray, which: IntArray, last: int) -> None:
    """Move the entry at `last` to the top and down to its place."""
    due, node, at = when[last], which[last], 0
    while True:
        down = 2 * at + 1
        if down >= last:
            break
        if down + 1 < last and when[down + 1] > when[down]:
            down += 1
        if when[down] <= due:
            break
        when[at], which[at] = when[down], which[down]
        at = down
    when[at], which[at] = due, node
