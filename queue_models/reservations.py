"""How many requests a KV cache holds when each reserves all that it will need."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from queue_models.arrays import FloatArray
from queue_models.process import Role, ServiceProcess

__all__ = ["Reservations", "held_requests"]

# Points in place of the distributions of prompt and output lengths, in every combination.
_POINTS = 16

# Pairs worked on together, which bounds memory.
_PAIRS = 2048

# A request of no iterations stays for this part of one.
_LEAST_STAY = 1e-3

# The last request frees its share of the cache after 1/1 of a stay, the last two after 1/2 + 1/1,
# n after ln n + 0.58: as if the cache emptied at a rate that stays constant from this many on.
_LAST = 1.5

# Where untruncated sizes fill a cache with so many full batches, it does not limit.
_AMPLE = 1.5


def held_requests(service: ServiceProcess, gained: FloatArray) -> FloatArray:
    """Return how many requests a saturated replica serves together, of a flat process.

    Parameters
    ----------
    service
        Pairs in one dimension.
    gained
        Output tokens per decode iteration, of the same shape.

    Returns
    -------
    FloatArray
        At least 1; the maximum batch where that is less than the cache holds.

    Notes
    -----
    Work conservation gives (reserved tokens)/(size of those in service), which is biased by their
    stay: E[size stay]/E[stay]. Sizes count up to the capacity C: larger ones are served alone.

    What is not reserved, x, is less than the size of the next in line. As tokens are freed, it is
    the age of a renewal process of sizes, with density P(size > x) in tokens freed, and
    P(size > x)/max(C - x, c) in time, since the cache is freed the slower the less is reserved, and
    not slower than by the last requests (c).

    Requests of one size fill the cache with a whole number of them. Between the two is the size's
    SCV v: sums of N sizes keep their place within a size by the characteristic function of a
    normal law at one cycle, exp(-2 pi^2 N v).
    """
    cache, batch = service.kv_capacity_tokens, service.max_batch
    mean, spread, largest = _sizes(service)
    whole = np.maximum(np.floor(cache / mean), 1.0)
    held = np.where(spread > 0, batch, whole)
    scarce = np.flatnonzero((spread > 0) & (cache < _AMPLE * (batch + 1.0) * largest))
    for start in range(0, scarce.size, _PAIRS):
        which = scarce[start : start + _PAIRS]
        varied = Reservations.of(service.take(which), gained[which]).held
        in_step = np.exp(-2.0 * np.pi**2 * varied * spread[which] / mean[which] ** 2)
        held[which] = varied + in_step * (whole[which] - varied)
    found: FloatArray = np.maximum(np.minimum(held, batch), 1.0)
    return found


def _sizes(service: ServiceProcess) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return mean and variance of sizes, and a size that those in service do not exceed on average.

    A size is prompt and output, or the prompt and one token where a replica only prefills.
    """
    decodes = np.where(service.role == Role.PREFILL, 0.0, 1.0)
    prompt, output = service.input_tokens, service.output_tokens
    of_prompt = service.input_tokens_scv * prompt**2
    of_output = decodes * service.output_tokens_scv * output**2
    mean = np.maximum(prompt + decodes * output + (1.0 - decodes), 1.0)
    larger = of_prompt / np.maximum(prompt, 1.0) + of_output / output
    return mean, of_prompt + of_output, mean + larger


class Reservations(NamedTuple):
    """Requests by prompt and output length, shape (P, I, J) unless said.

    Attributes
    ----------
    prompts, outputs
        Lengths, (P, I, 1) and (P, 1, J); 1 output token where a replica only prefills.
    share
        Probability.
    stay
        Iterations.
    part
        Share of the cache that is reserved, at most 1.
    in_service
        Mean of it over those in service, (P,).
    """

    prompts: FloatArray
    outputs: FloatArray
    share: FloatArray
    stay: FloatArray
    part: FloatArray
    in_service: FloatArray

    @classmethod
    def of(cls, service: ServiceProcess, gained: FloatArray) -> Reservations:
        """Return those of flat pairs; `gained` is output tokens per decode iteration, (P,)."""
        prompts, of_prompt = service.input_lengths.quantised(_POINTS)
        outputs, of_output = service.output_lengths.quantised(_POINTS)
        outputs = np.where((service.role == Role.PREFILL)[:, None], 1.0, outputs)
        # A prompt of several chunks takes its place for as many iterations.
        chunk = service.chunk_tokens[:, None]
        prefills = np.maximum(prompts * (1.0 - service.prefix_hit_rate)[:, None] / chunk, 1.0)
        prefills = np.where((service.role == Role.DECODE)[:, None], 0.0, prefills)
        decodes = (outputs - 1.0) / gained[:, None]
        stay = np.maximum(prefills[:, :, None] + decodes[:, None, :], _LEAST_STAY)
        share = of_prompt[:, :, None] * of_output[:, None, :]
        prompts, outputs = prompts[:, :, None], outputs[:, None, :]
        cache = service.kv_capacity_tokens[:, None, None]
        part = np.minimum((prompts + outputs) / cache, 1.0)
        weight = share * stay
        in_service = (weight * part).sum(axis=(1, 2)) / weight.sum(axis=(1, 2))
        return cls(prompts, outputs, share, stay, part, in_service)

    @property
    def held(self) -> FloatArray:
        """How many fill the cache, at least 1, (P,)."""
        unused = _spare(self.part, self.share, self.in_service)
        return np.maximum((1.0 - unused) / self.in_service, 1.0)


def _spare(part: FloatArray, share: FloatArray, in_service: FloatArray) -> FloatArray:
    """Return the share of the cache that is not reserved, on average.

    Parameters
    ----------
    part, share
        Sizes as parts of the cache, and their probabilities, (P, I, J).
    in_service
        The mean size of those in service as a part of the cache, (P,).
    """
    last = np.minimum(_LAST * in_service / np.maximum(1.0 - in_service, 1e-9), 1.0)[:, None, None]
    # Integrals over x from 0 to the size of w(x) and x w(x), w(x) = 1/max(1 - x, last).
    free = np.minimum(part, 1.0 - last)
    beyond = np.maximum(part - (1.0 - last), 0.0)
    logarithm = -np.log1p(-np.minimum(free, 1.0 - 1e-12))
    weight = (share * (logarithm + beyond / last)).sum(axis=(1, 2))
    moment = logarithm - free + beyond * (1.0 - last + 0.5 * beyond) / last
    return np.asarray((share * moment).sum(axis=(1, 2)) / weight)
