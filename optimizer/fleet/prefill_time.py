"""How long a prompt takes to compute on an empty replica."""

from __future__ import annotations

import math

import numpy as np

from optimizer.spec.model import PerformanceSpec
from queue_models import TableTiming

__all__ = ["prefill_ms"]

# As the queue models have it where nothing is said.
_CHUNK_TOKENS = 8192


def prefill_ms(entry: PerformanceSpec, tokens: float) -> float:
    """Return the time to compute the KV cache of the first tokens of a prompt, alone [ms].

    By iteration, in chunks of the entry's budget, each of which reads what was computed before;
    by phase where the entry has no other timing.
    """
    if tokens <= 0:
        return 0.0
    if entry.iteration is None and entry.iteration_table is None:
        phase = entry.prefill_decode
        assert phase is not None
        return phase.prefill_base_ms + phase.prefill_ms_per_token * tokens
    chunk = entry.chunk_tokens or _CHUNK_TOKENS
    chunks = max(math.ceil(tokens / chunk), 1)
    in_cache = np.minimum(chunk * np.arange(1, chunks + 1), tokens)
    computed = np.diff(in_cache, prepend=0.0)
    if entry.iteration_table is not None:
        table = entry.iteration_table
        axes = (table.decode_tokens, table.prefill_tokens, table.kv_tokens)
        timing = TableTiming(*axes, [table.time_ms]).take(np.zeros(chunks, dtype=np.int64))
        return float(timing.iteration_ms(np.zeros(chunks), computed, in_cache).sum())
    linear = entry.iteration
    assert linear is not None
    return float(
        chunks * linear.base_ms
        + linear.prefill_ms_per_token * tokens
        + linear.kv_ms_per_token * in_cache.sum()
    )
