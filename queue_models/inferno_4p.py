"""The queue model of llm-inferno's first generation, reproduced: 4 parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from queue_models.arrays import FloatArray
from queue_models.inferno_model import InfernoModel
from queue_models.inferno_servers import Averages, InfernoServers, Numbers
from queue_models.process import ServiceProcess
from queue_models.service_law import service_law
from queue_models.timing import PrefillDecodeTiming, Timing

__all__ = ["Inferno4pModel"]

# The Go core's queue, in batches.
_QUEUE_BATCHES = 10


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class _Servers(InfernoServers):
    """Replicas with prefill(n) = base + slope n and decode(n) = base + slope n [ms]."""

    output: Numbers
    prefill_base: Numbers
    prefill_slope: Numbers
    decode_base: Numbers
    decode_slope: Numbers
    prefill_of_one_token: Numbers

    def service_times(self, present: Numbers) -> Numbers:
        """Return prefill(n) and a decode(n) per output token but the first."""
        prefill = self.prefill_base[:, None] + self.prefill_slope[:, None] * present
        decode = self.decode_base[:, None] + self.decode_slope[:, None] * present
        times: Numbers = prefill + (self.output - 1)[:, None] * decode
        return times

    def latencies(self, means: Averages) -> tuple[Numbers, Numbers]:
        """Return TTFT and ITL at the effective concurrency, which solves S(n) = mean S.

        Where S(n) is constant, that is N.
        """
        base = self.prefill_base + self.decode_base * (self.output - 1)
        slope = self.prefill_slope + self.decode_slope * (self.output - 1)
        varies = slope > 0
        solved = (means.time_in_service - base) / np.where(varies, slope, 1)
        slots = self.slots.astype(slope.dtype)
        effective = np.clip(np.where(varies, solved, slots), 0, slots)
        prefill = self.prefill_base + self.prefill_slope * effective
        return means.wait + prefill, self.decode_base + self.decode_slope * effective

    def zero_load_latencies(self) -> tuple[Numbers, Numbers]:
        """Return the record without load; its TTFT forgets the input length."""
        return self.prefill_of_one_token, self.decode_base + self.decode_slope


@final
class Inferno4pModel(InfernoModel):
    """State-dependent M/M/1/K of llm-inferno with 4 parameters, as in WVA until 2026.

    mu(n) = n/(prefill(n) + (output tokens - 1) decode(n)) for n <= N, and a queue of 10 N places
    unless `queue_capacity` says otherwise. TTFT is the wait plus prefill at the effective
    concurrency, ITL is decode there. At an arrival rate of exactly 0 `evaluate` gives the record
    that the Go core writes without computing anything: ITL = decode(1) and TTFT = prefill_base +
    prefill_per_token, whatever the input length.
    """

    name: ClassVar[str] = "inferno-4p"
    summary: ClassVar[str] = "llm-inferno's 4-parameter model and sizing rule, for compatibility"
    timings: ClassVar[frozenset[type[Timing]]] = frozenset({PrefillDecodeTiming})
    assumptions: ClassVar[tuple[str, ...]] = (
        "Arrivals are Poisson.",
        "Completions depend on the past only through the number in service.",
        "Rates lie between 0.001 mu(1) and 0.999 mu(N).",
    )
    honours: ClassVar[frozenset[str]] = frozenset({"queue_capacity"})
    ignores: ClassVar[frozenset[str]] = frozenset(
        {"input_tokens_scv", "output_tokens_scv", "chunk_tokens"}
    )
    source: ClassVar[str] = "llm-d-incubation/workload-variant-autoscaler 56a651b, pkg/"
    cost: ClassVar[str] = "B exponentials per pair and rate: sizing takes about 45 µs for B = 256"

    drops_falling: ClassVar[bool] = False

    def servers(self, service: ServiceProcess) -> _Servers:
        """Return the replicas."""
        assert isinstance(service.timing, PrefillDecodeTiming)
        law, timing = service_law(service), service.timing
        return _Servers(
            slots=law.slots,
            output=service.output_tokens.ravel(),
            prefill_base=law.prefill_base,
            prefill_slope=law.prefill_slope,
            decode_base=law.decode_base,
            decode_slope=law.decode_slope,
            prefill_of_one_token=(timing.prefill_base_ms + timing.prefill_ms_per_token).ravel(),
        )

    def places(self, service: ServiceProcess) -> FloatArray:
        """Return the waiting places: ten batches where the service names none."""
        if service.queue_capacity is None:
            return np.ravel(_QUEUE_BATCHES * service.max_batch)
        return service.queue_capacity.ravel()
