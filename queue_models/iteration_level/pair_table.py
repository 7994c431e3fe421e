"""What a pair is, as arrays that compiled code reads; independent of the arrival rate."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from queue_models.arrays import FloatArray, IntArray
from queue_models.process import Role, Routing, ServiceProcess
from queue_models.reservations import Reservations
from queue_models.timing import IterationTiming
from queue_models.work import RequestWork

__all__ = ["FREQUENCIES", "PairTable", "pair_table"]

# Points in place of the distributions of prompt and output lengths.
_PROMPT_POINTS, _OUTPUT_POINTS = 64, 32

# Share of prompts that may be longer than the lattice is made for.
_LONGER = 5e-4

# A size that varies less than this does not vary.
_NO_SPREAD = 1e-9

# Frequencies at which the linear system is known: a low band in which responses of whole requests
# live, and a high one, spaced in the logarithm, up to one cycle in two iterations.
_LOW, _HIGH = 36, 12
FREQUENCIES = _LOW + _HIGH
_LOW_NODES, _LOW_WEIGHTS = np.polynomial.legendre.leggauss(_LOW)
_HIGH_NODES, _HIGH_WEIGHTS = np.polynomial.legendre.leggauss(_HIGH)
# Angle over a request's stay at which the bands meet.
_BAND = 30.0


class PairTable(NamedTuple):
    """Arrays of shape (P,) unless said; times in ms, lengths in tokens.

    Attributes
    ----------
    base, member, per_token
        An iteration takes base + member (requests in service) + per_token (prompt tokens computed).
    chunk, decode_tokens, least_room
        Chunk budget; decode tokens of a request in an iteration; tokens left to prompts at least.
    slots
        Requests in service together at most; a fraction where the KV cache limits them.
    prefills, decodes, stay
        Mean iterations of prefill, of decode, of both.
    gained
        Output tokens per decode iteration.
    drafted, acceptance
        Of speculative decoding.
    work
        Marginal time of a request, all its iterations together.
    full_rate
        Completions per ms with all slots taken.
    budget_rate
        Completions per ms with the chunk budget used up.
    capacity
        The lesser of the two.
    size_scv
        SCV of the time a request takes from a saturated replica, base/slots per iteration and work.
    stay_scv
        SCV of a request's number of iterations.
    kv_scv
        SCV of the tokens a request reserves where the KV cache limits, else 0.
    prompt_mean, prompt_square
        Moments of the computed prompt.
    prompt_longest
        What few prompts exceed.
    arrival_scv, short_scv
        SCV of interarrival times at one replica, over long times and within an iteration.
    pooled
        Replicas that share their slots: R under least outstanding, else 1.
    places
        Waiting places per replica, `inf` without limit.
    prompts, prompt_shares
        Computed prompt lengths, shape (P, Q), and their probabilities.
    stays, stay_shares
        Decode iterations, shape (P, D), and their probabilities.
    prompt_kv
        Tokens of a whole prompt per token of it that is computed.
    kv_ms, decode_ms
        Marginal times per token in the KV cache and per decode iteration of a request.
    frequency, weight
        Nodes and weights of integrals over frequencies per iteration, shape (P, F).
    tagged
        1 where latencies are asked of one kind of requests, else 0.
    own_prompts, own_prompt_shares, own_prompt_mean, own_stays, own_stay_shares, own_decodes
        As above without `own`, of the requests whose latencies are asked.
    """

    base: FloatArray
    member: FloatArray
    per_token: FloatArray
    chunk: FloatArray
    decode_tokens: FloatArray
    least_room: FloatArray
    slots: FloatArray
    prefills: FloatArray
    decodes: FloatArray
    stay: FloatArray
    gained: FloatArray
    drafted: FloatArray
    acceptance: FloatArray
    work: FloatArray
    full_rate: FloatArray
    budget_rate: FloatArray
    capacity: FloatArray
    size_scv: FloatArray
    stay_scv: FloatArray
    kv_scv: FloatArray
    prompt_mean: FloatArray
    prompt_square: FloatArray
    prompt_longest: FloatArray
    arrival_scv: FloatArray
    short_scv: FloatArray
    pooled: FloatArray
    places: FloatArray
    prompts: FloatArray
    prompt_shares: FloatArray
    stays: FloatArray
    stay_shares: FloatArray
    prompt_kv: FloatArray
    kv_ms: FloatArray
    decode_ms: FloatArray
    frequency: FloatArray
    weight: FloatArray
    tagged: FloatArray
    own_prompts: FloatArray
    own_prompt_shares: FloatArray
    own_prompt_mean: FloatArray
    own_stays: FloatArray
    own_stay_shares: FloatArray
    own_decodes: FloatArray

    def take(self, pairs: np.ndarray) -> PairTable:
        """Return the table of some pairs."""
        return PairTable(*(array[pairs] for array in self))


def pair_table(service: ServiceProcess) -> PairTable:
    """Return the table of a service process with linear iteration times, flattened.

    The mean time of an iteration with n requests in service is base + n work/stay, as work is
    conserved; of this the prompts' part, per_token E[prompt]/stay, is taken out of `member` and put
    where it arises, in the iterations in which prompts are computed.
    """
    flat = service.flat
    timing = flat.timing
    assert isinstance(timing, IterationTiming)
    work = RequestWork.of(flat)
    base, kv = timing.base_ms, timing.kv_ms_per_token
    computed_share = np.where(flat.role == Role.DECODE, 0.0, 1.0 - flat.prefix_hit_rate)
    computes = computed_share * flat.input_tokens > 0
    prompt_kv = np.where(computes, 1.0 / np.where(computes, computed_share, 1.0), 0.0)
    per_token = np.where(computes, timing.prefill_ms_per_token + kv * prompt_kv, 0.0)
    decode_ms = timing.decode_ms_per_token * work.decode_tokens_per_iteration
    marginal = (
        timing.decode_ms_per_token * work.decode_tokens
        + timing.prefill_ms_per_token * work.prefill_tokens
        + kv * (work.kv_prefill + work.kv_decode)
    )
    stay = work.iterations
    slots = work.slots
    prompts, prompt_shares = _computed_prompts(flat)
    stays, stay_shares = _decode_iterations(flat, work)
    full_rate = slots / (base * stay + slots * marginal)
    budget_rate = work.chunk_tokens / (base * work.tokens + work.chunk_tokens * marginal)
    decode_share = work.decode_iterations * work.decode_tokens_per_iteration
    both = np.maximum(work.prefill_tokens + decode_share, 1.0)
    arrival_scv, short_scv, pooled = _arrivals(flat)
    frequency, weight = _frequencies(stay)
    shape = base.shape
    first = np.einsum("pq,pq->p", prompts, prompt_shares)
    second = np.einsum("pq,pq->p", prompts**2, prompt_shares)
    size_scv, stay_scv, kv_scv = _spreads(flat, work, stays, stay_shares)
    longest = _longest(prompts, prompt_shares)
    own = _Own(prompts, prompt_shares, first, stays, stay_shares, work.decode_iterations)
    if flat.tagged is not None:
        own = _Own.of_tagged(flat)
        longest = np.maximum(longest, _longest(own.prompts, own.prompt_shares))
    places = np.full(shape, np.inf) if flat.queue_capacity is None else flat.queue_capacity
    columns = PairTable(
        base=base,
        member=np.maximum(marginal - per_token * first, 0.0) / stay,
        per_token=per_token,
        chunk=flat.chunk_tokens,
        decode_tokens=work.decode_tokens_per_iteration,
        least_room=np.maximum(flat.chunk_tokens * work.prefill_tokens / both, 1.0),
        slots=slots,
        prefills=work.prefill_iterations,
        decodes=work.decode_iterations,
        stay=stay,
        gained=work.tokens_per_iteration,
        drafted=flat.draft_tokens,
        acceptance=flat.acceptance_rate,
        work=marginal,
        full_rate=full_rate,
        budget_rate=budget_rate,
        capacity=np.minimum(full_rate, budget_rate),
        size_scv=size_scv,
        stay_scv=stay_scv,
        kv_scv=kv_scv,
        prompt_mean=first,
        prompt_square=second,
        prompt_longest=longest,
        arrival_scv=arrival_scv,
        short_scv=short_scv,
        pooled=pooled,
        places=places,
        prompts=prompts,
        prompt_shares=prompt_shares,
        stays=stays,
        stay_shares=stay_shares,
        prompt_kv=prompt_kv,
        kv_ms=kv,
        decode_ms=decode_ms,
        frequency=frequency,
        weight=weight,
        tagged=np.full(shape, 0.0 if flat.tagged is None else 1.0),
        own_prompts=own.prompts,
        own_prompt_shares=own.prompt_shares,
        own_prompt_mean=own.prompt_mean,
        own_stays=own.stays,
        own_stay_shares=own.stay_shares,
        own_decodes=own.decodes,
    )
    return PairTable(*(np.array(column, dtype=np.float64, order="C") for column in columns))


class _Own(NamedTuple):
    """Lengths of the requests whose latencies are asked; see `PairTable`."""

    prompts: FloatArray
    prompt_shares: FloatArray
    prompt_mean: FloatArray
    stays: FloatArray
    stay_shares: FloatArray
    decodes: FloatArray

    @classmethod
    def of_tagged(cls, service: ServiceProcess) -> _Own:
        """Return those of the tagged requests of flat pairs."""
        alone = service.of_tagged()
        work = RequestWork.of(alone)
        prompts, shares = _computed_prompts(alone)
        mean = np.einsum("pq,pq->p", prompts, shares)
        return cls(prompts, shares, mean, *_decode_iterations(alone, work), work.decode_iterations)


def _computed_prompts(service: ServiceProcess) -> tuple[FloatArray, FloatArray]:
    """Return computed prompt lengths of flat pairs, in increasing order, with probabilities."""
    prompts, shares = _points(service.input_lengths.quantised(_PROMPT_POINTS))
    computed = np.where(service.role == Role.DECODE, 0.0, 1.0 - service.prefix_hit_rate)
    return prompts * computed[:, None], shares


def _points(quantised: tuple[FloatArray, FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Return quantised lengths in increasing order, with their probabilities."""
    values, shares = quantised
    order = np.argsort(values, axis=1, kind="stable")
    return np.take_along_axis(values, order, axis=1), np.take_along_axis(shares, order, axis=1)


def _decode_iterations(service: ServiceProcess, work: RequestWork) -> tuple[FloatArray, FloatArray]:
    """Return decode iterations of a request and their probabilities, with the mean of `work`."""
    lengths, shares = _points(service.output_lengths.quantised(_OUTPUT_POINTS))
    after_first = np.maximum(lengths - 1.0, 0.0) / work.tokens_per_iteration[:, None]
    after_first -= np.where(service.role == Role.DECODE, 1.0, 0.0)[:, None]
    stays = np.maximum(after_first, 0.0)
    mean = np.einsum("pd,pd->p", stays, shares)
    scale = np.divide(work.decode_iterations, mean, out=np.zeros_like(mean), where=mean > 0)
    return stays * scale[:, None], shares


def _longest(prompts: FloatArray, shares: FloatArray) -> FloatArray:
    """Return the length that a share of 5e-4 of the prompts exceeds."""
    above = 1.0 - np.cumsum(shares, axis=1)
    place = np.minimum((above > _LONGER).sum(axis=1), prompts.shape[1] - 1)
    return np.take_along_axis(prompts, place[:, None], axis=1)[:, 0]


def _arrivals(service: ServiceProcess) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the SCV of arrivals at one replica, that within an iteration, and pooled replicas.

    Random splitting of a renewal process over R replicas leaves 1 + (scv - 1)/R (exact), taking
    turns scv/R. The least outstanding gets the next request, so that within an iteration arrivals
    are spread as by turns, while the number in service is that of a pool.
    """
    scv, replicas = service.arrival_scv, service.replicas
    split = 1.0 + (scv - 1.0) / replicas
    turns = service.routing == Routing.ROUND_ROBIN
    least = service.routing == Routing.LEAST_OUTSTANDING
    over_long = np.where(turns, scv / replicas, np.where(least, scv, split))
    within = np.where(least | turns, scv / replicas, split)
    return over_long, within, np.where(least, replicas, 1.0)


def _spreads(
    service: ServiceProcess, work: RequestWork, stays: FloatArray, stay_shares: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the SCVs of the time taken from a saturated replica, of the iterations, of the cache.

    A request with prompt L and D decode iterations takes base (k + D)/slots + w(L, D) ms, w being
    its own work. Where the KV cache limits, its share of an iteration's base goes with the tokens
    that it reserves instead; the last SCV is that of these tokens, 0 without a limiting cache.
    """
    iterations = work.prefill_iterations[:, None] + stays
    outputs = 1.0 + stays * work.tokens_per_iteration[:, None]
    fixed, slope = _own_work(service, work, stays, outputs)
    assert isinstance(service.timing, IterationTiming)
    fixed = fixed + (service.timing.base_ms / work.slots)[:, None] * iterations
    first = service.input_tokens[:, None]
    second = first**2 * (1.0 + service.input_tokens_scv[:, None])
    mean = np.einsum("pd,pd->p", fixed + slope * first, stay_shares)
    square = np.einsum(
        "pd,pd->p", fixed**2 + 2.0 * fixed * slope * first + slope**2 * second, stay_shares
    )
    square = square + _together(service, work, stays, stay_shares, fixed, slope)
    size = np.maximum(square / mean**2 - 1.0, 0.0)
    stay = np.einsum("pd,pd->p", iterations**2, stay_shares)
    stay = np.maximum(stay / work.iterations**2 - 1.0, 0.0)
    reserved = np.zeros_like(size)
    varied = (service.input_tokens_scv > 0) | (
        (service.output_tokens_scv > 0) & (service.role != Role.PREFILL)
    )
    limited = np.flatnonzero((work.slots < service.max_batch) & varied)
    if limited.size:
        size[limited], reserved[limited] = _reserved_spreads(service, work, limited)
    return size, stay, np.where(reserved > _NO_SPREAD, reserved, 0.0)


def _together(
    service: ServiceProcess,
    work: RequestWork,
    stays: FloatArray,
    shares: FloatArray,
    fixed: FloatArray,
    slope: FloatArray,
) -> FloatArray:
    """Return what the covariance of prompt and output adds to the variance of the time taken.

    Twice what a token of the prompt takes times what an output token takes, its regression on the
    decode iterations, times the covariance.
    """
    if not service.length_covariance.any():
        return np.zeros(len(stays))
    mean, of_fixed = (np.einsum("pd,pd->p", part, shares) for part in (stays, fixed))
    spread = np.einsum("pd,pd->p", stays**2, shares) - mean**2
    both = np.einsum("pd,pd->p", stays * fixed, shares) - mean * of_fixed
    per_iteration = np.divide(both, spread, out=np.zeros_like(both), where=spread > _NO_SPREAD)
    per_token = np.einsum("pd,pd->p", slope, shares)
    added: FloatArray = (
        2.0 * per_token * per_iteration * service.length_covariance / work.tokens_per_iteration
    )
    return added


def _own_work(
    service: ServiceProcess, work: RequestWork, decodes: FloatArray, outputs: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return a request's own work in ms: apart from its prompt, and per token of the prompt."""
    timing = service.timing
    assert isinstance(timing, IterationTiming)
    shape = (-1, *(1,) * (decodes.ndim - 1))
    decode = (timing.decode_ms_per_token * work.decode_tokens_per_iteration).reshape(shape)
    kv = timing.kv_ms_per_token.reshape(shape)
    # Per token of the whole prompt, of which a share is computed.
    computed = np.divide(
        work.prefill_tokens,
        service.input_tokens,
        out=np.zeros_like(work.prefill_tokens),
        where=service.input_tokens > 0,
    )
    fixed = decode * decodes + kv * (outputs - 1.0) * (decodes + 1.0) / 2.0
    return fixed, (timing.prefill_ms_per_token * computed).reshape(shape) + kv * (1.0 + decodes)


def _reserved_spreads(
    service: ServiceProcess, work: RequestWork, limited: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Return SCVs of the time taken from a replica whose cache is full, and of what is reserved."""
    some = service.take(limited)
    requests = Reservations.of(some, work.tokens_per_iteration[limited])
    gained = work.tokens_per_iteration[limited][:, None, None]
    decodes = (requests.outputs - 1.0) / gained
    assert isinstance(some.timing, IterationTiming)
    fixed, slope = _own_work(some, work.take(limited), decodes, requests.outputs)
    base = some.timing.base_ms / (work.slots[limited] * requests.in_service)
    taken = base[:, None, None] * requests.stay * requests.part + fixed + slope * requests.prompts
    return _scv(taken, requests.share), _scv(requests.part, requests.share)


def _scv(values: FloatArray, shares: FloatArray) -> FloatArray:
    mean = (values * shares).sum(axis=(1, 2))
    square = (values**2 * shares).sum(axis=(1, 2))
    return np.asarray(np.maximum(square / mean**2 - 1.0, 0.0))


def _frequencies(stay: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights of (1/pi) times the integral from 0 to pi, shape (P, F)."""
    highest = np.pi * stay[:, None]
    band = np.minimum(_BAND, highest)
    low = 0.5 * (_LOW_NODES + 1.0)[None, :]
    angles = band * low**2
    weights = 0.5 * _LOW_WEIGHTS * 2.0 * band * low
    span = np.log(highest / band)
    above = band * np.exp(span * 0.5 * (_HIGH_NODES + 1.0))
    above_weights = 0.5 * _HIGH_WEIGHTS * span * above
    scale = np.pi * stay[:, None]
    frequency = np.concatenate([angles, above], axis=1) / stay[:, None]
    return frequency, np.concatenate([weights, above_weights], axis=1) / scale
