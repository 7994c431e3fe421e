"""What a replica that nobody measured can be expected to do: its times, its batch, its KV cache."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from optimizer.capacity.concurrency import concurrency
from optimizer.capacity.engine_settings import EngineSettings
from optimizer.capacity.errors import CapacityError, require_positive
from optimizer.capacity.iteration_inputs import (
    engine_overheads,
    has_times,
    reached_efficiencies,
    served_precision,
    stacked_roofs,
)
from optimizer.capacity.kv_formats import KVFormat, kv_format
from optimizer.capacity.layouts import ParallelLayout, layout_obstacle
from optimizer.capacity.memory_budget import MemoryBudget, memory_budget
from optimizer.capacity.model_architecture import ModelArchitecture
from optimizer.capacity.weight_formats import WeightFormat
from optimizer.catalog import AcceleratorFacts, device_memory
from optimizer.performance import (
    Parallelism,
    Replica,
    TimingEstimate,
    TimingRange,
    calibration,
    estimate_timing,
    family_of,
    prediction_log_sd,
)

__all__ = ["ReplicaEstimate", "RequestSize", "Unfit", "estimate_replica", "single_replica"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSize:
    """Mean tokens of the requests that a replica is estimated for.

    Parameters
    ----------
    input_tokens, output_tokens
        Prompt and answer, above 0.
    """

    input_tokens: float
    output_tokens: float

    def __post_init__(self) -> None:
        require_positive("input_tokens", self.input_tokens)
        require_positive("output_tokens", self.output_tokens)

    @property
    def tokens(self) -> int:
        """Both together, rounded up."""
        return math.ceil(self.input_tokens + self.output_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaEstimate:
    """A replica's law of iteration times and its limits; all computed, nothing measured.

    Parameters
    ----------
    replica
        What iteration times are computed from.
    timing
        A linear law of them, and how far to trust it.
    max_batch
        Requests of the shortest kind that its KV cache holds, at most the engine's sequences.
    kv_capacity_tokens
        Tokens of requests that the cache holds; where windows drop old tokens, these count as
        held. The least over the kinds, which differ where layers do.
    chunk_tokens
        Tokens of an engine step.
    budget
        Memory of each of its accelerators.
    weights, cache
        Formats it is served in.
    """

    replica: Replica
    timing: TimingEstimate
    max_batch: int
    kv_capacity_tokens: float
    chunk_tokens: int
    budget: MemoryBudget
    weights: WeightFormat
    cache: KVFormat


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why there is no such replica, in words with figures."""

    reason: str


def estimate_replica(
    model: ModelArchitecture,
    facts: AcceleratorFacts,
    requests: Sequence[RequestSize],
    *,
    tensor_parallel: int = 1,
    precision: str | None = None,
    kv_dtype: str = "auto",
    settings: EngineSettings | None = None,
) -> ReplicaEstimate | Unfit:
    """Estimate one replica from the model's architecture and the accelerator's facts.

    Parameters
    ----------
    model, facts
        The model and the accelerator.
    requests
        What it may serve, at least one kind: those longer than the model allows, or than the cache
        holds, are passed over unless all are.
    tensor_parallel
        Accelerators that divide each layer.
    precision, kv_dtype
        Formats of weights and cache; None and `auto`: the checkpoint's.
    settings
        The engine and its settings.

    Raises
    ------
    CapacityError
        If a format is unknown, a degree out of its range or `requests` empty; names the argument.
    """
    if not requests:
        raise CapacityError("requests", list(requests), "must not be empty")
    chosen = settings or EngineSettings()
    weights = model.weights_in(precision)
    cache = kv_format(kv_dtype, model.architecture)
    layout = ParallelLayout(tensor=tensor_parallel)
    obstacle = _obstacle(model, facts, layout, weights, requests)
    if obstacle is not None:
        return Unfit(obstacle)
    budget = memory_budget(
        model.architecture,
        weights,
        cache,
        device_memory_gib=device_memory(facts).memory_gib,
        tensor_parallel=tensor_parallel,
        settings=chosen,
    )
    held = {
        size: concurrency(budget.layout, budget.blocks, size.tokens).steady_state
        for size in requests
        if size.tokens <= model.max_context_tokens and budget.fits and budget.layout is not None
    }
    held = {size: places for size, places in held.items() if places >= 1}
    if not held:
        return Unfit(_too_small(budget, requests))
    max_batch = min(int(max(held.values())), chosen.max_num_seqs)
    replica = single_replica(model, facts, weights, cache, layout, chosen)
    timing = estimate_timing(
        replica,
        TimingRange(
            max_batch=max(max_batch, 2),
            max_context_tokens=max(size.tokens for size in held),
            input_tokens=max(size.input_tokens for size in held),
        ),
        prediction_log_sd(
            calibration().spread,
            experts=model.architecture.is_mixture_of_experts,
            calibrated=family_of(facts) in calibration().calibrated,
        ),
    )
    return ReplicaEstimate(
        replica=replica,
        timing=timing,
        max_batch=max_batch,
        kv_capacity_tokens=min(places * size.tokens for size, places in held.items()),
        chunk_tokens=chosen.max_num_batched_tokens,
        budget=budget,
        weights=weights,
        cache=cache,
    )


def single_replica(
    model: ModelArchitecture,
    facts: AcceleratorFacts,
    weights: WeightFormat,
    cache: KVFormat,
    layout: ParallelLayout,
    settings: EngineSettings,
) -> Replica:
    """One replica without a pipeline, for iteration times: every part a number.

    Raises
    ------
    CapacityError
        If the layout has a pipeline, whose stages are replicas of their own to iteration times.
    """
    if layout.pipeline > 1:
        raise CapacityError("pipeline_parallel", layout.pipeline, "must be 1")
    cards = [facts]
    return Replica(
        shape=model.shape,
        roof=stacked_roofs(cards).reshape(()),
        precision=served_precision(model.architecture, weights, cache, cards).reshape(()),
        parallelism=Parallelism(
            tensor=float(layout.tensor),
            attention_data=float(layout.data),
            expert=float(layout.expert),
        ),
        efficiencies=reached_efficiencies(cards).reshape(()),
        engine=engine_overheads(settings.engine, settings.max_num_batched_tokens),
    )


def _obstacle(
    model: ModelArchitecture,
    facts: AcceleratorFacts,
    layout: ParallelLayout,
    weights: WeightFormat,
    requests: Sequence[RequestSize],
) -> str | None:
    if not has_times(facts):
        missing = "bandwidth_gb_s" if facts.bandwidth_gb_s is None else "fp16_tflops"
        return f"{missing} is not known"
    if layout.ranks > facts.max_scaleup_devices:
        return f"{layout.ranks} ranks, but its link joins {facts.max_scaleup_devices}"
    shortest = min(size.tokens for size in requests)
    if shortest > model.max_context_tokens:
        return f"requests of {shortest:,} tokens are above the model's {model.max_context_tokens:,}"
    return layout_obstacle(model.architecture, layout, weights)


def _too_small(budget: MemoryBudget, requests: Sequence[RequestSize]) -> str:
    stage = budget.tightest
    weights, other = stage.weight_bytes / 2**30, stage.activation_bytes / 2**30
    if not budget.fits:
        pool = stage.kv_pool_bytes / 2**30
        return (
            f"weights {weights:.1f} GiB and activations {other:.1f} GiB leave {pool:.1f} GiB for KV"
        )
    shortest = min(size.tokens for size in requests)
    return f"KV pool of {budget.kv_pool_gib:.1f} GiB holds no request of {shortest:,} tokens"
