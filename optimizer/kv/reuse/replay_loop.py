"""The loop over the requests of a trace."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizer.kv.reuse.cache_state import CacheState
from optimizer.kv.reuse.compilation import compiled
from optimizer.kv.reuse.reuse_times import ReuseTimes
from optimizer.kv.reuse.serving import prefetch, serve

__all__ = ["replay_requests"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@compiled
def replay_requests(
    s: CacheState,
    m: ReuseTimes,
    policy: int,
    write_back: bool,
    admit_from: int,
    lookahead: int,
    offsets: IntArray,
    nodes: IntArray,
    prompt_blocks: IntArray,
    times: FloatArray,
    input_tokens: IntArray,
    output_tokens: IntArray,
    block_tokens: int,
    hits: IntArray,
    prefetched: IntArray,
) -> None:
    """Serve all requests; `hits` and `prefetched` are filled per request and tier."""
    requests = prompt_blocks.shape[0]
    tokens = np.empty(3, dtype=np.int64)
    waiting = 1
    for r in range(requests):
        waiting = max(waiting, r + 1)
        while waiting <= r + lookahead and waiting < requests:
            begin = offsets[waiting]
            path = nodes[begin : begin + prompt_blocks[waiting]]
            moved = prefetched[waiting]
            prefetch(s, m, policy, write_back, path, r, waiting, times[r], moved)
            waiting += 1
        tokens[0], tokens[1], tokens[2] = input_tokens[r], output_tokens[r], block_tokens
        path = nodes[offsets[r] : offsets[r + 1]]
        prompt = prompt_blocks[r]
        serve(s, m, policy, write_back, admit_from, path, prompt, r, times[r], tokens, hits[r])
