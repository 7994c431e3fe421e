"""The event loop of simulated continuous batching, compiled.

Time runs from iteration to iteration on every replica. Nothing is done per running request and
iteration: a request that decodes waits in a ring of iterations at the one in which it ends, so an
iteration costs the same however many requests run in it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["LEAST_OUTSTANDING", "RANDOM", "ROUND_ROBIN", "Engine", "Requests", "Window", "simulate"]

RANDOM, ROUND_ROBIN, LEAST_OUTSTANDING = 0, 1, 2
NONE = -1

# Gaps between tokens are counted in logarithmic bins of this relative width from 1 microsecond on.
GAP_WIDTH = 2e-4
LEAST_GAP_MS = 1e-3
GAP_BINS = 140_000


class Engine(NamedTuple):
    """What all replicas have in common; times in ms."""

    base_ms: float
    decode_ms: float
    prefill_ms: float
    kv_ms: float
    least_ms: float
    least_token_ms: float
    max_batch: int
    chunk_tokens: int
    kv_capacity: float
    most_present: float  # who finds so many at a replica is refused
    draft_tokens: int
    acceptance: float
    replicas: int
    routing: int


class Requests(NamedTuple):
    """One entry a request, in the order of arrival; times in ms."""

    arrival: NDArray[np.float64]
    prompt: NDArray[np.int64]
    output: NDArray[np.int64]
    prompt_left: NDArray[np.int64]  # still to be computed: 0 where it was elsewhere
    admitted: NDArray[np.float64]  # this and what follows is filled by the simulation
    first_token: NDArray[np.float64]
    finished: NDArray[np.float64]  # NaN where the request was refused, as the two above


class Window(NamedTuple):
    """What is counted of the iterations that end from `start` until before `stop`."""

    start: float
    stop: float
    gaps: NDArray[np.float64]  # tokens by the logarithm of the time since the one before
    sums: NDArray[np.float64]  # by the places below


# Places in Window.sums; the last two count all iterations, inside the window or not.
TOKENS, GAP_TIME, ITERATIONS, BUSY_TIME, RUNNING_TIME, FULL_TIME, ALL_PROMPT, ALL_OUTPUT = range(8)
PLACES = 8


# One function on purpose: across calls, numba counts references to every array, at ten times the
# cost of an iteration.
@njit(cache=True)
def simulate(engine, requests, window, rng):
    """Serve all requests until the last one has left.

    Every replica has a line of prompts, linked by `behind`: those in progress, then those without
    a slot. A request that decodes is in the ring instead, in the list (linked by `behind` too) of
    the iteration at whose end it is looked at again.
    """
    arrival, prompt, output = requests.arrival, requests.prompt, requests.output
    prompt_left = requests.prompt_left
    admitted, first_token, finished = requests.admitted, requests.first_token, requests.finished
    gaps, sums = window.gaps, window.sums
    count, replicas = arrival.size, engine.replicas
    speculative = engine.draft_tokens > 0

    output_left = output.copy()
    behind = np.full(count, NONE)
    longest = 2 if speculative else output.max() + 1
    size = 1 << int(np.ceil(np.log2(longest)))
    ring = np.full((replicas, size), NONE)

    began = np.zeros(replicas)  # the iteration in progress
    ends = np.full(replicas, np.inf)  # infinite when idle
    iteration = np.zeros(replicas, np.int64)
    running = np.zeros(replicas, np.int64)  # slots in use
    decoding = np.zeros(replicas, np.int64)
    completing = np.zeros(replicas, np.int64)  # prompts that the iteration completes
    context = np.zeros(replicas, np.int64)  # KV tokens of running requests
    reserved = np.zeros(replicas, np.int64)  # KV tokens that they can come to need
    oldest = np.full(replicas, NONE)  # first of the line
    waiting = np.full(replicas, NONE)  # first of the line without a slot
    newest = np.full(replicas, NONE)  # last of the line
    outstanding = np.zeros(replicas, np.int64)

    for arriving in range(count + 1):
        now = arrival[arriving] if arriving < count else np.inf
        for r in range(replicas):
            while ends[r] < now:
                # The iteration ends: tokens come out, and who has all of them leaves.
                time, lasted = ends[r], ends[r] - began[r]
                iteration[r] += 1
                measured = lasted > 0 and window.start <= time < window.stop
                if measured:
                    sums[ITERATIONS] += 1
                    sums[BUSY_TIME] += lasted
                    sums[RUNNING_TIME] += lasted * running[r]
                    if running[r] == engine.max_batch:
                        sums[FULL_TIME] += lasted
                if not speculative and decoding[r] > 0:
                    context[r] += decoding[r]
                    sums[ALL_OUTPUT] += decoding[r]
                    if measured:
                        gaps[_gap_bin(lasted)] += decoding[r]
                        sums[TOKENS] += decoding[r]
                        sums[GAP_TIME] += decoding[r] * lasted
                place = iteration[r] & (size - 1)
                request, ring[r, place] = ring[r, place], NONE
                while request != NONE:
                    following = behind[request]
                    emitted = output_left[request]
                    if first_token[request] == 0.0:  # its prompt was computed elsewhere
                        first_token[request] = time
                        emitted = 1
                    if speculative:
                        emitted = min(output_left[request], _verified(engine, rng))
                        context[r] += emitted
                        sums[ALL_OUTPUT] += emitted
                        if measured:
                            gaps[_gap_bin(lasted / emitted)] += emitted
                            sums[TOKENS] += emitted
                            sums[GAP_TIME] += lasted
                    output_left[request] -= emitted
                    if output_left[request] > 0:
                        place = (iteration[r] + (1 if speculative else output_left[request])) & (
                            size - 1
                        )
                        behind[request], ring[r, place] = ring[r, place], request
                    else:
                        finished[request] = time
                        decoding[r] -= 1
                        running[r] -= 1
                        outstanding[r] -= 1
                        context[r] -= prompt[request] + output[request]
                        reserved[r] -= prompt[request] + output[request]
                    request = following
                for _ in range(completing[r]):
                    request = oldest[r]
                    oldest[r] = behind[request]
                    first_token[request] = time
                    output_left[request] -= 1
                    context[r] += 1
                    sums[ALL_OUTPUT] += 1
                    if output_left[request] > 0:
                        decoding[r] += 1
                        place = (iteration[r] + (1 if speculative else output_left[request])) & (
                            size - 1
                        )
                        behind[request], ring[r, place] = ring[r, place], request
                    else:
                        finished[request] = time
                        running[r] -= 1
                        outstanding[r] -= 1
                        context[r] -= prompt[request] + output[request]
                        reserved[r] -= prompt[request] + output[request]
                completing[r] = 0

                if outstanding[r] == 0:
                    ends[r] = np.inf
                    break

                # The next one starts: decodes first, then prompts in order of arrival.
                decode_tokens = decoding[r] * (1 + engine.draft_tokens)
                budget = engine.chunk_tokens - decode_tokens
                prompt_tokens = 0
                request = oldest[r]
                while budget > 0 and request != NONE:
                    if request == waiting[r]:
                        needed = prompt[request] + output[request]
                        # One that could never fit is served alone.
                        fits = running[r] == 0 or reserved[r] + needed <= engine.kv_capacity
                        if running[r] >= engine.max_batch or not fits:
                            break
                        admitted[request] = time
                        reserved[r] += needed
                        running[r] += 1
                        waiting[r] = behind[request]
                        context[r] += prompt[request] - prompt_left[request]
                        if prompt_left[request] == 0:
                            # Computed elsewhere, and the first token too.
                            oldest[r] = waiting[r]
                            output_left[request] -= 1
                            context[r] += 1
                            decoding[r] += 1
                            decode_tokens += 1 + engine.draft_tokens
                            budget -= 1 + engine.draft_tokens
                            place = (iteration[r] + 1) & (size - 1)
                            behind[request], ring[r, place] = ring[r, place], request
                            request = oldest[r]
                            continue
                    chunk = min(budget, prompt_left[request])
                    prompt_left[request] -= chunk
                    budget -= chunk
                    prompt_tokens += chunk
                    if prompt_left[request] == 0:
                        completing[r] += 1
                        request = behind[request]
                context[r] += prompt_tokens
                sums[ALL_PROMPT] += prompt_tokens
                began[r] = time
                ends[r] = time + max(
                    engine.base_ms
                    + engine.decode_ms * decode_tokens
                    + engine.prefill_ms * prompt_tokens
                    + engine.kv_ms * context[r],
                    engine.least_ms + engine.least_token_ms * (decode_tokens + prompt_tokens),
                )

        if arriving == count:
            break
        r = 0
        if replicas > 1 and engine.routing == ROUND_ROBIN:
            r = arriving % replicas
        elif replicas > 1 and engine.routing == RANDOM:
            r = int(rng.random() * replicas)
        elif replicas > 1:
            r = np.argmin(outstanding)  # the first of several
        if outstanding[r] >= engine.most_present:
            admitted[arriving] = first_token[arriving] = finished[arriving] = np.nan
            continue
        if oldest[r] == NONE:
            oldest[r] = arriving
        else:
            behind[newest[r]] = arriving
        newest[r] = arriving
        if waiting[r] == NONE:
            waiting[r] = arriving
        outstanding[r] += 1
        if ends[r] == np.inf:
            began[r] = ends[r] = now  # an idle replica starts at once


@njit(cache=True)
def _gap_bin(gap):
    return min(max(int(np.log(gap / LEAST_GAP_MS) / GAP_WIDTH), 0), GAP_BINS - 1)


@njit(cache=True)
def _verified(engine, rng):
    """Draw the tokens that one verification yields: accepted drafts, and one more."""
    tokens = 1
    while tokens <= engine.draft_tokens and rng.random() < engine.acceptance:
        tokens += 1
    return tokens
