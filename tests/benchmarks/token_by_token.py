"""Continuous batching simulated the slow way, request by request and token by token."""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmarks.queue_accuracy.configurations import Configuration


@dataclass
class Request:
    """One request on its way through a replica; times in ms."""

    arrival: float
    prompt: int
    output: int
    cached: int = 0
    emitted: int = 0
    admitted: float = math.nan
    first_token: float = math.nan
    finished: float = math.nan

    @property
    def decodes(self) -> bool:
        return self.cached == self.prompt


def serve(configuration: Configuration, requests: list[Request]) -> None:
    """Serve all requests, in their order, on one replica without speculation."""
    running: list[Request] = []
    waiting = list(requests)
    now = 0.0
    while running or waiting:
        if not running and waiting[0].arrival > now:
            now = waiting[0].arrival
        now = _iteration(configuration, now, running, waiting)


def _iteration(
    configuration: Configuration, now: float, running: list[Request], waiting: list[Request]
) -> float:
    decoding = [request for request in running if request.decodes]
    budget = configuration.chunk_tokens - len(decoding)
    computed, candidates = 0, [request for request in running if not request.decodes]
    completed = []
    while budget > 0:
        if not candidates and not _admit(configuration, now, running, waiting, candidates):
            break
        request = candidates.pop(0)
        if request.decodes:  # its prompt was computed elsewhere, and one token
            request.emitted = 1
            decoding.append(request)
            budget -= 1
            continue
        chunk = min(budget, request.prompt - request.cached)
        request.cached += chunk
        computed += chunk
        budget -= chunk
        if request.decodes:
            completed.append(request)
    kv_tokens = sum(request.cached + request.emitted for request in running)
    end = now + (
        configuration.base_ms
        + configuration.decode_ms * len(decoding)
        + configuration.prefill_ms * computed
        + configuration.kv_ms * kv_tokens
    )
    for request in decoding + completed:
        request.emitted += 1
        if math.isnan(request.first_token):
            request.first_token = end
        if request.emitted == request.output:
            request.finished = end
            running.remove(request)
    return end


def _admit(
    configuration: Configuration,
    now: float,
    running: list[Request],
    waiting: list[Request],
    candidates: list[Request],
) -> bool:
    if not waiting or waiting[0].arrival > now or len(running) == configuration.max_batch:
        return False
    reserved = sum(request.prompt + request.output for request in [*running, waiting[0]])
    if running and reserved > configuration.kv_capacity:
        return False
    request = waiting.pop(0)
    request.admitted = now
    running.append(request)
    candidates.append(request)
    return True
