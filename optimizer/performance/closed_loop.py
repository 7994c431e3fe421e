"""A benchmark's own load: a fixed number of requests in flight, each answered by a new one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from optimizer.performance.batching import Batched
from optimizer.performance.iteration import Replica, Work, iteration_ms
from optimizer.performance.numbers import FloatArray, Number

__all__ = ["ClosedLoad", "ClosedLoop", "closed_loop"]

# Most of the time that prefills may take in the waiting formula; beyond it prefill is the
# bottleneck and the loop itself limits the queue.
_BUSIEST = 0.95
# Steps of the fixed point between prefills' share of the time and the time to first token.
_STEPS = 3
# Rounds of a benchmark that draws lengths at random: it sends ten requests per place in flight.
_RANDOM_WAVES = 10.0


@dataclass(frozen=True, kw_only=True, eq=False)
class ClosedLoad(Batched):
    """What a closed-loop benchmark sends; numbers, or arrays that broadcast.

    Parameters
    ----------
    requests
        Requests in flight per attention group, >= 1.
    input_tokens, output_tokens
        Mean prompt and answer [tokens].
    varied
        1 where lengths vary from request to request, so that requests which started together
        drift apart; 0 where all are equal, so that they stay together.
    places
        Requests that the KV cache holds at once; the others wait. Infinite by default.
    """

    requests: Number
    input_tokens: Number
    output_tokens: Number
    varied: Number = 0.0
    places: Number = np.inf


@dataclass(frozen=True, kw_only=True, eq=False)
class ClosedLoop:
    """Means over a benchmark's run.

    Parameters
    ----------
    ttft_ms, tpot_ms
        Time to first token; time per output token after it.
    decode_ms, prefill_ms
        A decode iteration of the full batch; what one prompt adds to the iterations it is in.
    batch
        Requests in service.
    output_tokens_per_s
        Of one attention group.
    """

    ttft_ms: FloatArray
    tpot_ms: FloatArray
    decode_ms: FloatArray
    prefill_ms: FloatArray
    batch: FloatArray
    output_tokens_per_s: FloatArray


def closed_loop(replica: Replica, load: ClosedLoad, waves: Number) -> ClosedLoop:
    """Latencies of a closed loop, of the broadcast shape of all fields.

    Each of B requests in service sees, while it decodes m tokens, the prefills of the others that
    come back meanwhile: m·TPOT = m·d + (B - 1)·p·m·TPOT/(s + m·TPOT), where d is a decode
    iteration, p what a prompt adds, and s the time to first token in the steady state; a quadratic
    in m·TPOT. The time to first token s is

    - of equal lengths on engines that mix prompts and decodes: `convoy` prefills, because those
      that finished together return together;
    - on engines that put prompts first: all that returned are prefilled in batches of
      `chunk_tokens`, then all decode: (B + G)/2 prefills for G prompts in a batch;
    - of varied lengths: the own prefill and the mean residual wait ρ/(2(1 - ρ)) prefills of an
      M/D/1 queue whose utilisation ρ is prefills' share of the time.

    The opening burst, where all requests come at once, adds (B - 1)/2 prefills in one of `waves`
    rounds. Requests beyond the cache's places wait for one: a round is C/B cycles long for them.

    Parameters
    ----------
    replica
        The replica.
    load
        The benchmark.
    waves
        Rounds of a run with equal lengths (fitted).
    """
    batch = np.minimum(load.requests, np.maximum(load.places, 1.0))
    decode, prefill = _iteration_parts(replica, load, batch)
    returning, steady, service = _steady_state(replica, load, batch, decode, prefill)
    rounds = np.where(np.asarray(load.varied) > 0, _RANDOM_WAVES, waves)
    burst = np.where(returning, 0.0, prefill * (batch - 1) / 2 / rounds)
    cycle = steady + service
    waiting = np.maximum(load.requests / batch - 1, 0.0) * cycle * (1 - 1 / rounds)
    ttft = steady + burst + waiting + replica.engine.front_end_ms
    tpot = service / load.output_tokens
    parts = (ttft, tpot, decode, prefill, batch, batch * load.output_tokens / cycle * 1e3)
    names = ClosedLoop.__dataclass_fields__
    return ClosedLoop(
        **{name: np.asarray(part, np.float64) for name, part in zip(names, parts, strict=True)}
    )


def _iteration_parts(
    replica: Replica, load: ClosedLoad, batch: Number
) -> tuple[FloatArray, FloatArray]:
    """Time a decode iteration of the batch, and what one prompt adds to it."""
    decoding = Work(decode_tokens=batch, context_tokens=load.input_tokens + load.output_tokens / 2)
    mixed = replace(
        decoding,
        prefill_tokens=load.input_tokens,
        prefill_context_tokens=load.input_tokens / 2,
        prompts=1.0,
    )
    decode = iteration_ms(replica, decoding)
    added = np.maximum(iteration_ms(replica, mixed) - decode, 0.0)
    return decode, np.asarray(added + replica.engine.prefill_ms)


def _steady_state(
    replica: Replica, load: ClosedLoad, batch: Number, decode: FloatArray, prefill: FloatArray
) -> tuple[NDArray[np.bool_], FloatArray, FloatArray]:
    """Whether all return together to a prefill-first engine, time to first token, decoding."""
    engine, varied = replica.engine, np.asarray(load.varied) > 0
    returning = (np.asarray(engine.prefill_first) > 0) & ~varied
    together = np.maximum(np.floor(engine.chunk_tokens / load.input_tokens), 1.0)
    own = load.output_tokens * decode
    prefills = np.where(varied, 1.0, engine.convoy)
    prefills = np.where(returning, (batch + np.minimum(together, batch)) / 2, prefills)
    steady = prefill * prefills + decode
    others = np.where(returning, np.maximum(batch - together, 0) / 2, batch - 1) * prefill
    for _ in range(_STEPS):
        excess = own + others - steady
        root = (excess + np.sqrt(excess**2 + 4 * own * steady)) / 2
        service = np.where(returning, own + others, root)
        busy = np.minimum((batch - 1) * prefill / (steady + service), _BUSIEST)
        waited = prefill * (1 + busy / (2 * (1 - busy))) + decode
        steady = np.where(varied, waited, steady)
    return returning, np.asarray(steady), np.asarray(service)
