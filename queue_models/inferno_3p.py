"""The queue model of llm-inferno's second generation, reproduced: 3 parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, final

import numpy as np

from queue_models.arrays import BoolArray, FloatArray
from queue_models.base import Statistic
from queue_models.inferno_model import InfernoModel
from queue_models.inferno_servers import Averages, InfernoServers, Numbers
from queue_models.process import ServiceProcess
from queue_models.timing import IterationTiming, Timing

__all__ = ["Inferno3pModel"]


@final
@dataclass(frozen=True, eq=False, kw_only=True)
class _Servers(InfernoServers):
    """Replicas whose iteration takes alpha + beta (computed tokens) + gamma (KV tokens) [ms]."""

    alpha: Numbers
    beta: Numbers
    gamma: Numbers
    prompt: Numbers
    output: Numbers
    budget: Numbers

    def service_times(self, present: Numbers) -> Numbers:
        """Return (c + Lo)(alpha + n delta), c being that of n."""
        parameters = {f.name: getattr(self, f.name)[:, None] for f in fields(self)}
        columns = _Servers(**parameters)
        chunks = columns.prefill_chunks(present)
        shared = columns.work_per_iteration(chunks)
        times: Numbers = (chunks + columns.output) * (columns.alpha + present * shared)
        return times

    def prefill_chunks(self, present: Numbers) -> Numbers:
        """Return the smallest c >= 1 with (c + Lo)(C - Li/c)/(Li + Lo) >= n.

        The left side grows with c, so c is the positive root of a quadratic, rounded up. It says in
        how many iterations a prompt is computed when n requests share the budget C.
        """
        prompt, output, budget, n = (
            v.astype(np.float64) for v in (self.prompt, self.output, self.budget, present)
        )
        needed = n * (prompt + output)
        half = (budget * output - prompt - needed) / (2.0 * budget)
        root = np.sqrt(half**2 + prompt * output / budget) - half
        chunks = np.maximum(np.ceil(root), 1.0)
        fewer = np.maximum(chunks - 1.0, 1.0)
        enough = (fewer + output) * (budget - prompt / fewer) >= needed
        return np.where(enough, fewer, chunks).astype(present.dtype)

    def prefill_work(self, chunks: Numbers) -> Numbers:
        """Return the prompt's own work [ms]."""
        work: Numbers = (self.beta + self.gamma * (chunks + 1) / 2) * self.prompt
        return work

    def work_per_iteration(self, chunks: Numbers) -> Numbers:
        """Return delta, a request's own work per iteration [ms]."""
        held = self.prompt + (self.output + 1) / 2
        decode = self.beta * self.output + self.gamma * self.output * held
        share: Numbers = (self.prefill_work(chunks) + decode) / (chunks + self.output)
        return share

    def latencies(self, means: Averages) -> tuple[Numbers, Numbers]:
        """Return TTFT (wait, prefill and one token) and ITL at the mean number in service."""
        chunks = self.prefill_chunks(means.in_service)
        others = (means.in_service - 1) * self.work_per_iteration(chunks)
        prefill = chunks * np.maximum(self.alpha + others, 0) + self.prefill_work(chunks)
        itl = (means.time_in_service - prefill) / self.output
        return means.wait + prefill + itl, itl

    def zero_load_latencies(self) -> tuple[Numbers, Numbers]:
        """Return the latencies of one request alone, by the project's README."""
        held = self.prompt + (self.output + 1) / 2
        ttft = self.alpha + (self.beta + self.gamma) * self.prompt
        return ttft, self.alpha + self.beta + self.gamma * held


@final
class Inferno3pModel(InfernoModel):
    """State-dependent M/M/1/K of llm-inferno with 3 parameters, as in optimizer-light.

    An iteration takes alpha + beta (computed tokens) + gamma (KV tokens): `base_ms` is alpha,
    `kv_ms_per_token` gamma, and `decode_ms_per_token` and `prefill_ms_per_token` are both beta.
    With c prefill chunks of a full batch and own work w_p = (beta + gamma (c + 1)/2) Li in prefill,
    w_d = beta Lo + gamma Lo (Li + (Lo + 1)/2) in decode, S(n) = (c + Lo)(alpha + n delta), delta =
    (w_p + w_d)/(c + Lo). Without `queue_capacity` there is no queue: what does not fit is lost. At
    an arrival rate of exactly 0 `evaluate` gives the single-point formulas of the project's
    README: TTFT = alpha + (beta + gamma) Li, ITL = alpha + beta + gamma (Li + (Lo + 1)/2).
    """

    name: ClassVar[str] = "inferno-3p"
    summary: ClassVar[str] = "llm-inferno's 3-parameter model and sizing rule, for compatibility"
    timings: ClassVar[frozenset[type[Timing]]] = frozenset({IterationTiming})
    assumptions: ClassVar[tuple[str, ...]] = (
        "Arrivals are Poisson.",
        "Completions depend on the past only through the number in service.",
        "A prompt token takes as long as a decode token.",
        "Rates lie between 0.001 mu(1) and 0.999 mu(N).",
    )
    honours: ClassVar[frozenset[str]] = frozenset({"queue_capacity", "chunk_tokens"})
    ignores: ClassVar[frozenset[str]] = frozenset({"input_tokens_scv", "output_tokens_scv"})
    source: ClassVar[str] = "llm-inferno/queue-analysis cfadd1c"
    cost: ClassVar[str] = "as inferno-4p"

    drops_falling: ClassVar[bool] = True

    def refusals(
        self, service: ServiceProcess, statistics: Sequence[Statistic] = ()
    ) -> Mapping[str, BoolArray]:
        """Return why the model does not hold; see `QueueModel.refusals`."""
        refused = dict(super().refusals(service, statistics))
        if isinstance(service.timing, IterationTiming):
            timing = service.timing
            unequal = timing.decode_ms_per_token != timing.prefill_ms_per_token
            if unequal.any():
                refused[
                    "it has one time per computed token: decode_ms_per_token and "
                    "prefill_ms_per_token must be equal"
                ] = unequal
        return refused

    def servers(self, service: ServiceProcess) -> _Servers:
        """Return the replicas."""
        assert isinstance(service.timing, IterationTiming)
        return _Servers(
            slots=service.max_batch.ravel().astype(np.int64),
            alpha=service.timing.base_ms.ravel(),
            beta=service.timing.decode_ms_per_token.ravel(),
            gamma=service.timing.kv_ms_per_token.ravel(),
            prompt=service.input_tokens.ravel(),
            output=service.output_tokens.ravel(),
            budget=service.chunk_tokens.ravel(),
        )

    def places(self, service: ServiceProcess) -> FloatArray:
        """Return the waiting places: none where the service names none."""
        if service.queue_capacity is None:
            return np.zeros(service.input_tokens.size)
        return service.queue_capacity.ravel()
