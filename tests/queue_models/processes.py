"""Service processes that several tests use."""

from __future__ import annotations

import numpy as np

from queue_models import IterationTiming, PrefillDecodeTiming, ServiceProcess


def iterations(pairs: int = 24, seed: int = 1, *, equal_times: bool = False) -> ServiceProcess:
    """Random pairs with iteration times; prompts beyond the chunk budget among them."""
    rng = np.random.default_rng(seed)
    per_decode = rng.uniform(0.01, 0.1, pairs)
    timing = IterationTiming(
        base_ms=rng.uniform(5, 25, pairs),
        decode_ms_per_token=per_decode,
        prefill_ms_per_token=per_decode if equal_times else rng.uniform(0.01, 0.16, pairs),
        kv_ms_per_token=rng.uniform(0, 1e-4, pairs),
    )
    return ServiceProcess(
        timing,
        input_tokens=rng.integers(1, 3000, pairs),
        output_tokens=rng.integers(2, 600, pairs),
        max_batch=rng.integers(2, 300, pairs),
        output_tokens_scv=rng.uniform(0, 2, pairs),
        chunk_tokens=rng.integers(512, 8192, pairs),
    )


def prefill_decode(pairs: int = 24, seed: int = 2) -> ServiceProcess:
    """Random pairs with prefill and decode times."""
    rng = np.random.default_rng(seed)
    timing = PrefillDecodeTiming(
        decode_base_ms=rng.uniform(5, 50, pairs),
        decode_ms_per_request=rng.uniform(0.05, 2, pairs),
        prefill_base_ms=rng.uniform(0, 200, pairs),
        prefill_ms_per_token=rng.uniform(0.001, 0.02, pairs),
    )
    return ServiceProcess(
        timing,
        input_tokens=rng.integers(1, 3000, pairs),
        output_tokens=rng.integers(2, 600, pairs),
        max_batch=rng.integers(2, 300, pairs),
    )


def limited(service: ServiceProcess, places: float) -> ServiceProcess:
    """The same pairs with a queue of so many places."""
    return ServiceProcess(
        service.timing,
        service.input_tokens,
        service.output_tokens,
        service.max_batch,
        output_tokens_scv=service.output_tokens_scv,
        chunk_tokens=service.chunk_tokens,
        queue_capacity=places,
    )


def bursty(service: ServiceProcess) -> ServiceProcess:
    """The same pairs with arrivals from smooth to bursty, over replicas in turn and at random."""
    pairs = service.shape[0]
    return ServiceProcess(
        service.timing,
        service.input_tokens,
        service.output_tokens,
        service.max_batch,
        input_tokens_scv=1.0,
        output_tokens_scv=service.output_tokens_scv,
        chunk_tokens=service.chunk_tokens,
        arrival_scv=np.linspace(0.1, 9.0, pairs),
        replicas=np.arange(pairs) % 3 + 1,
        routing=np.arange(pairs) % 2,
    )


def small_batches(service: ServiceProcess) -> ServiceProcess:
    """The same pairs with batches of at most a dozen."""
    return ServiceProcess(
        service.timing,
        service.input_tokens,
        service.output_tokens,
        np.arange(service.shape[0]) % 12 + 1,
        output_tokens_scv=service.output_tokens_scv,
        chunk_tokens=service.chunk_tokens,
    )
