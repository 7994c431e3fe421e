"""From the model's distribution to the one that a request draws from, as vLLM's sampler does it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from optimizer.engine.compilation import compiled, inlined
from optimizer.engine.language.ngram import NGrams, distribution

__all__ = ["Knobs", "chosen", "drawn", "shaped", "write_shaped"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Knobs(NamedTuple):
    """Sampling parameters as compiled code reads them; arrays may be empty where unused."""

    temperature: float  # 0: greedy
    top_p: float
    top_k: int  # 0: all
    min_p: float
    repetition: float
    presence: float
    frequency: float
    in_prompt: NDArray[np.bool_]  # (V,) or empty without penalties
    in_output: IntArray  # (V,) times, or empty
    bias: FloatArray  # (V,) or empty
    ends: IntArray  # tokens that may not come before min_tokens


@compiled
def chosen(
    ngrams: NGrams, tokens: IntArray, knobs: Knobs, ending: bool, luck: float, work: FloatArray
) -> int:
    """Choose the token after those.

    Parameters
    ----------
    ending
        Whether the output may end here.
    luck
        Uniform in [0, 1).
    work
        (2, V): left with the model's distribution and the one drawn from.
    """
    write_shaped(ngrams, tokens, knobs, ending, work)
    return drawn(work[1], luck)


@compiled
def write_shaped(
    ngrams: NGrams, tokens: IntArray, knobs: Knobs, ending: bool, work: FloatArray
) -> None:
    """Write the model's distribution after the tokens, and the one drawn from, into (2, V)."""
    distribution(ngrams, tokens, work[0])
    shaped(work[0], knobs, ending, work[1])


@compiled
def drawn(shares: FloatArray, luck: float) -> int:
    """Draw from a distribution that need not be normalised, by one uniform number in [0, 1)."""
    total = 0.0
    for share in shares:
        total += share
    left = luck * total
    last = 0
    for token in range(shares.size):
        if shares[token] > 0.0:
            last = token
            left -= shares[token]
            if left < 0.0:
                break
    return last


@compiled
def shaped(model: FloatArray, knobs: Knobs, ending: bool, out: FloatArray) -> None:
    """Write the distribution that the sampling parameters leave of the model's, (V,)."""
    _write_logits(model, knobs, ending, out)
    most = out.max()
    if knobs.temperature == 0.0:
        best = np.argmax(out)
        out[:] = 0.0
        out[best] = 1.0
        return
    for token in range(out.size):
        share = np.exp((out[token] - most) / knobs.temperature)
        out[token] = share if share >= knobs.min_p else 0.0  # the largest is 1
    if 0 < knobs.top_k < out.size:
        least = np.partition(out, out.size - knobs.top_k)[out.size - knobs.top_k]
        for token in range(out.size):
            if out[token] < least:
                out[token] = 0.0
    if knobs.top_p < 1.0:
        _cut_tail(out, knobs.top_p)
    out /= out.sum()


@inlined
def _write_logits(model: FloatArray, knobs: Knobs, ending: bool, out: FloatArray) -> None:
    """Write the logits: of the model, with bias and penalties."""
    for token in range(model.size):
        out[token] = np.log(model[token])
    if knobs.bias.size > 0:
        out += knobs.bias
    if not ending:
        for token in knobs.ends:
            out[token] = -np.inf
    if knobs.in_output.size == 0:
        return
    for token in range(out.size):
        times = knobs.in_output[token]
        if times > 0 or knobs.in_prompt[token]:
            if out[token] > 0.0:
                out[token] /= knobs.repetition
            else:
                out[token] *= knobs.repetition
        out[token] -= knobs.frequency * times
        if times > 0:
            out[token] -= knobs.presence


@inlined
def _cut_tail(shares: FloatArray, top_p: float) -> None:
    """Drop the least probable tokens, as long as those dropped have at most 1 - top_p together.

    A share below (1 - top_p) / V is dropped for sure: only the others are sorted.
    """
    tail = (1.0 - top_p) * shares.sum()
    sure = 0.5 * tail / shares.size
    dropped = 0.0
    candidates = np.empty(shares.size, np.int64)
    count = 0
    for token in range(shares.size):
        if shares[token] >= sure and shares[token] > 0.0:
            candidates[count] = token
            count += 1
        else:
            dropped += shares[token]
            shares[token] = 0.0
    order = np.argsort(shares[candidates[:count]], kind="mergesort")
    for place in range(count - 1):
        token = candidates[order[place]]
        dropped += shares[token]
        if dropped > tail:
            break
        shares[token] = 0.0
