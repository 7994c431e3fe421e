"""What one request costs a replica that serves iteration by iteration, and what that allows."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from queue_models.arrays import FloatArray
from queue_models.process import Role, ServiceProcess
from queue_models.reservations import held_requests
from queue_models.timing import IterationTiming, TableTiming

__all__ = ["RequestWork"]

_MS_PER_S = 1000.0

# Points in place of a distribution of prompt lengths where chunks are counted.
_POINTS = 64


@dataclass(frozen=True, eq=False, kw_only=True)
class RequestWork:
    """Means over the requests of each pair, flattened to shape (P,).

    A request takes K iterations: those of its prefill, at least one, of which the last gives the
    first token, then those of its decode. A replica that only decodes starts with an iteration that
    computes one token with the whole prompt in the KV cache; a replica that only prefills ends with
    the first token.

    Attributes
    ----------
    prefill_tokens
        Prompt tokens computed: those not found in the prefix cache.
    prefill_iterations
        Iterations up to the first token, E[ceil(prompt tokens / room)] >= 1, where room is what the
        chunk budget leaves beside the decode tokens of a saturated iteration.
    decode_iterations
        Iterations after the first token.
    prefill_decode_tokens
        Decode tokens computed up to the first token: none, but where a replica only decodes.
    decode_tokens_per_iteration
        Decode tokens computed for the request in one of its decode iterations: 1 + drafted.
    tokens_per_iteration
        Output tokens gained in a decode iteration, (1 - p^(k+1))/(1 - p) with k drafted and each
        accepted with probability p (Leviathan, Kalman, Matias 2023, arXiv 2211.17192, eq. 1).
    kv_prefill, kv_decode
        Tokens of the request in the KV cache, summed over its iterations of prefill and of decode.
    slots
        Requests in service together when saturated: the maximum batch, or what the KV cache holds.
    """

    prefill_tokens: FloatArray
    prefill_iterations: FloatArray
    prefill_decode_tokens: FloatArray
    decode_iterations: FloatArray
    decode_tokens_per_iteration: FloatArray
    tokens_per_iteration: FloatArray
    kv_prefill: FloatArray
    kv_decode: FloatArray
    slots: FloatArray
    chunk_tokens: FloatArray

    @classmethod
    def of(cls, service: ServiceProcess) -> RequestWork:
        """Return the work of a service process."""
        flat = service.flat
        decode_only, prefill_only = flat.role == Role.DECODE, flat.role == Role.PREFILL
        prompt, output = flat.input_tokens, flat.output_tokens
        computed = np.where(decode_only, 0.0, prompt * (1.0 - flat.prefix_hit_rate))
        per_decode = 1.0 + flat.draft_tokens
        gained = _tokens_per_iteration(flat)
        after_first = np.where(prefill_only, 0.0, (output - 1.0) / gained)
        # Iteration j after the first token holds the prompt and j times what each gained.
        pairs_of_tokens = (flat.output_lengths.raw_moment(2) - output) / 2.0
        held = prompt * after_first + (pairs_of_tokens + flat.length_covariance) / gained
        held = np.where(prefill_only, 0.0, np.maximum(held, 0.0))
        # The first iteration of a replica that only decodes is one of those after the first token.
        decodes = np.where(decode_only, np.maximum(after_first - 1.0, 0.0), after_first)
        slots = held_requests(flat, gained)
        room = _room(flat.chunk_tokens, slots * per_decode, computed, decodes * per_decode)
        return cls(
            prefill_tokens=computed,
            prefill_iterations=_prefill_iterations(flat, computed, room),
            prefill_decode_tokens=np.where(decode_only, per_decode, 0.0),
            decode_iterations=decodes,
            decode_tokens_per_iteration=per_decode,
            tokens_per_iteration=gained,
            kv_prefill=np.where(decode_only, prompt + 1.0, prompt),
            kv_decode=np.where(decode_only, np.maximum(held - prompt - 1.0, 0.0), held),
            slots=slots,
            chunk_tokens=flat.chunk_tokens,
        )

    def take(self, which: NDArray[Any]) -> RequestWork:
        """Return the work of some pairs."""
        return RequestWork(**{f.name: getattr(self, f.name)[which] for f in fields(self)})

    @property
    def iterations(self) -> FloatArray:
        """K: iterations of a request."""
        return self.prefill_iterations + self.decode_iterations

    @property
    def decode_tokens(self) -> FloatArray:
        """Decode tokens computed for a request."""
        in_decode = self.decode_iterations * self.decode_tokens_per_iteration
        return self.prefill_decode_tokens + in_decode

    @property
    def tokens(self) -> FloatArray:
        """Tokens of the chunk budget that a request takes in all, at least 1."""
        return np.maximum(self.prefill_tokens + self.decode_tokens, 1.0)

    @property
    def budgeted_slots(self) -> FloatArray:
        """Number in service from which the chunk budget binds: C K/tokens."""
        return self.chunk_tokens * self.iterations / self.tokens

    def iteration_ms(
        self, timing: IterationTiming | TableTiming, in_service: FloatArray
    ) -> FloatArray:
        """Return the mean time of an iteration with so many in service, (..., P) [ms].

        Work is conserved: in K iterations each of those in service does all of its own once.
        """
        share = in_service / self.iterations
        return timing.iteration_ms(
            self.decode_tokens * share,
            self.prefill_tokens * share,
            (self.kv_prefill + self.kv_decode) * share,
        )

    def capacity_rps(self, timing: IterationTiming | TableTiming) -> FloatArray:
        """Return the rate at which a replica that never runs empty completes requests [1/s].

        n/(K T(n)) at the n in service when saturated: B, or fewer where the chunk budget binds
        before. With linear times it is min(B/(alpha K + B w), C/(alpha tokens + C w)), w being the
        marginal work of a request in ms.
        """
        present = np.minimum(self.slots, self.budgeted_slots)
        capacity: FloatArray = (
            _MS_PER_S * present / (self.iterations * self.iteration_ms(timing, present))
        )
        return capacity


def _tokens_per_iteration(service: ServiceProcess) -> FloatArray:
    certain = service.acceptance_rate == 1.0
    chance = np.where(certain, 0.0, service.acceptance_rate)
    geometric = (1.0 - chance ** (service.draft_tokens + 1.0)) / (1.0 - chance)
    return np.where(certain, service.draft_tokens + 1.0, geometric)


def _room(
    chunk: FloatArray, full_batch: FloatArray, prefill: FloatArray, decode: FloatArray
) -> FloatArray:
    """Return the tokens left for prompts in a saturated iteration, at least 1.

    C - min(B tokens of decode, C decode/(prefill + decode)), without the difference: where the
    budget binds before the batch is full, it is shared as the tokens of a request are.
    """
    budget_share = chunk * prefill / np.maximum(prefill + decode, 1.0)
    return np.maximum(np.maximum(chunk - full_batch, budget_share), 1.0)


def _prefill_iterations(
    service: ServiceProcess, computed: FloatArray, room: FloatArray
) -> FloatArray:
    """Return E[ceil(computed prompt tokens / room)], at least 1."""
    iterations = np.ceil(computed / room)
    varied = np.flatnonzero((service.input_tokens_scv > 0) & (computed > 0))
    if varied.size:
        values, probabilities = service.input_lengths.take(varied).quantised(_POINTS)
        share = computed[varied] / service.input_tokens[varied] / room[varied]
        chunks = np.maximum(np.ceil(values * share[:, None]), 1.0)
        iterations[varied] = (probabilities * chunks).sum(axis=1)
    return np.maximum(iterations, 1.0)
