"""A whole prompt in chunks, each sharing its iteration with the decoding sequences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from optimizer.performance.iteration import Replica, Work, iteration_ms
from optimizer.performance.numbers import FloatArray, Number

__all__ = ["chunked_prefill_ms"]


def chunked_prefill_ms(
    replica: Replica,
    prompt_tokens: Number,
    *,
    cached_tokens: Number = 0.0,
    decode_tokens: Number = 0.0,
    context_tokens: Number = 0.0,
) -> FloatArray:
    """Time from the first to the last iteration of a prompt [ms].

    Chunk j of c tokens attends to what precedes it and half of itself: cached + (j + 1/2)·c on
    average. Where sequences decode beside it, its iterations are theirs too.

    Parameters
    ----------
    replica
        The replica; its engine's `chunk_tokens` less the decoding sequences is a chunk.
    prompt_tokens
        Tokens to process, >= 1, without those whose cache is reused.
    cached_tokens
        Tokens of the prompt whose cache is reused.
    decode_tokens, context_tokens
        Sequences that decode meanwhile, and their mean context [tokens].
    """
    room = np.maximum(replica.engine.chunk_tokens - np.asarray(decode_tokens), 1.0)
    prompt, room = np.broadcast_arrays(np.asarray(prompt_tokens, dtype=np.float64), room)
    chunks = np.ceil(prompt / room)
    total: FloatArray = np.zeros(())
    base = Work(decode_tokens=decode_tokens, context_tokens=context_tokens)
    for index in range(int(np.max(chunks))):
        here = np.clip(prompt - index * room, 0.0, room)
        work = replace(
            base,
            prefill_tokens=here,
            prefill_context_tokens=cached_tokens + index * room + here / 2,
            prompts=(chunks == index + 1).astype(np.float64),
        )
        total = total + np.where(here > 0, iteration_ms(replica, work), 0.0)
    return total
