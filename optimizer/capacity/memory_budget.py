"""How an engine divides an accelerator's memory: weights, activations, the rest, the KV pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from optimizer.capacity.activation import activation_bytes
from optimizer.capacity.architecture import Architecture
from optimizer.capacity.engine_settings import Engine, EngineSettings
from optimizer.capacity.errors import CapacityError, require_count, require_positive
from optimizer.capacity.kv_formats import KVFormat
from optimizer.capacity.page_layout import PageLayout, page_layout
from optimizer.capacity.units import GB, GIB
from optimizer.capacity.weight_formats import WeightFormat
from optimizer.capacity.weights import stage_weights

__all__ = [
    "CUDA_GRAPH_GIB",
    "MemoryBudget",
    "StageBudget",
    "kv_pool_bytes",
    "memory_budget",
    "non_torch_gib",
]

# Memory of one accelerator, or of many.
Size = TypeVar("Size", float, NDArray[np.float64])

# Medians of 30 start-up profiles of vLLM 0.19 on H100 (llm-d-planner PR 205): memory outside of
# PyTorch on one card; with the buffers of collectives of tensor parallelism; in a pipeline alone.
_NON_TORCH_GIB = 0.25
_NON_TORCH_TENSOR_GIB = 2.09
_NON_TORCH_PIPELINE_GIB = 0.07
# CUDA graphs, the same source: 0.5 to 1.8 GiB.
CUDA_GRAPH_GIB = 0.9


def non_torch_gib(tensor_parallel: int, pipeline_parallel: int) -> float:
    """Memory outside of the framework's allocator on each rank [GiB]."""
    if tensor_parallel > 1:
        return _NON_TORCH_TENSOR_GIB
    return _NON_TORCH_PIPELINE_GIB if pipeline_parallel > 1 else _NON_TORCH_GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class StageBudget:
    """Memory of each rank of a pipeline stage; all in bytes.

    Parameters
    ----------
    weight_bytes, activation_bytes, non_torch_bytes
        Weights; peak of activations; what lies outside of the framework's allocator.
    kv_pool_bytes
        What is left for the KV pool; negative where the model does not fit.
    blocks
        KV blocks in the pool; 0 where it does not fit.
    layout
        Pages of the pool; None for a stage that keeps nothing.
    """

    weight_bytes: float
    activation_bytes: float
    non_torch_bytes: float
    kv_pool_bytes: float
    blocks: int
    layout: PageLayout | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryBudget:
    """Memory of a deployment, per accelerator, by pipeline stage.

    Parameters
    ----------
    device_bytes
        Memory of one accelerator.
    requested_bytes
        Part of it that the engine uses.
    outside_bytes
        The rest, where CUDA graphs and other programs are.
    graph_bytes
        CUDA graphs; part of the budget only where `graphs_in_budget` says so.
    stages
        Ranks of each pipeline stage.
    settings
        The engine's settings.
    """

    device_bytes: float
    requested_bytes: float
    outside_bytes: float
    graph_bytes: float
    stages: tuple[StageBudget, ...]
    settings: EngineSettings

    @property
    def tightest(self) -> StageBudget:
        """The stage whose pool holds the fewest blocks; it limits the others.

        Stages that keep nothing have no blocks to run out of, and count only where all are such.
        """
        keeping = [stage for stage in self.stages if stage.layout is not None]
        return min(keeping or self.stages, key=lambda stage: (stage.blocks, stage.kv_pool_bytes))

    @property
    def fits(self) -> bool:
        """Whether weights and activations leave room for a KV pool on every stage."""
        return all(stage.kv_pool_bytes > 0 for stage in self.stages)

    @property
    def kv_pool_gib(self) -> float:
        """KV pool of each rank of the tightest stage [GiB]; 0 where the model does not fit."""
        return max(0.0, self.tightest.kv_pool_bytes) / GIB

    @property
    def kv_pool_gb(self) -> float:
        """KV pool of each rank of the tightest stage [GB = 1e9 bytes]; 0 where it does not fit."""
        return max(0.0, self.tightest.kv_pool_bytes) / GB

    @property
    def blocks(self) -> int:
        """KV blocks of the deployment: those of the tightest stage."""
        return self.tightest.blocks

    @property
    def kv_tokens(self) -> int:
        """Tokens in the pool as the engine reports them; 0 for a model without a KV cache."""
        stage = self.tightest
        return 0 if stage.layout is None else stage.layout.tokens(stage.blocks)

    @property
    def layout(self) -> PageLayout | None:
        """Pages of the tightest stage."""
        return self.tightest.layout


def memory_budget(
    architecture: Architecture,
    weights: WeightFormat,
    kv: KVFormat,
    *,
    device_memory_gib: float,
    tensor_parallel: int = 1,
    pipeline_parallel: int = 1,
    settings: EngineSettings | None = None,
) -> MemoryBudget:
    """Divide an accelerator's memory as an engine does at its start.

    Parameters
    ----------
    architecture, weights, kv
        The model, the formats of its weights and of its KV cache.
    device_memory_gib
        Memory that a program finds on the accelerator [GiB], as `device_memory` has it: 79.19 for
        an H100 of 80 GB.
    tensor_parallel, pipeline_parallel
        Ranks that divide each layer; stages that divide the layers.
    settings
        The engine and its settings.

    Raises
    ------
    CapacityError
        If an argument is out of its range; names it.
    """
    chosen = settings or EngineSettings()
    device = require_positive("device_memory_gib", device_memory_gib) * GIB
    require_count("tensor_parallel", tensor_parallel)
    if require_count("pipeline_parallel", pipeline_parallel) > len(architecture.layers):
        raise CapacityError(
            "pipeline_parallel",
            pipeline_parallel,
            f"more stages than the model's {len(architecture.layers)} layers",
        )
    non_torch = non_torch_gib(tensor_parallel, pipeline_parallel) * GIB
    graphs = CUDA_GRAPH_GIB * GIB
    parts = stage_weights(
        architecture, weights, tensor_parallel=tensor_parallel, pipeline_parallel=pipeline_parallel
    )
    stages = []
    for part in parts:
        activation = activation_bytes(
            architecture,
            weights,
            chosen,
            tensor_parallel=tensor_parallel,
            has_output=part.has_output,
            in_pipeline=pipeline_parallel > 1,
        )
        layout = page_layout(
            architecture,
            kv,
            tensor_parallel=tensor_parallel,
            layers=part.layers,
            block_tokens=chosen.block_tokens,
        )
        pool = kv_pool_bytes(chosen, device, part.weight_bytes, activation, non_torch, graphs)
        stages.append(_stage(part.weight_bytes, activation, non_torch, pool, layout))
    part_used = 1.0 if chosen.engine is Engine.TENSORRT_LLM else chosen.utilization
    requested = part_used * device
    return MemoryBudget(
        device_bytes=device,
        requested_bytes=requested,
        outside_bytes=device - requested,
        graph_bytes=graphs,
        stages=tuple(stages),
        settings=chosen,
    )


def _stage(
    weights: float, activation: float, non_torch: float, pool: float, layout: PageLayout | None
) -> StageBudget:
    return StageBudget(
        weight_bytes=weights,
        activation_bytes=activation,
        non_torch_bytes=non_torch,
        kv_pool_bytes=pool,
        blocks=0 if layout is None else layout.blocks(pool),
        layout=layout,
    )


def kv_pool_bytes(
    settings: EngineSettings,
    device: Size,
    weights: float,
    activation: float,
    non_torch: float,
    graphs: float,
) -> Size:
    """Bytes left for the KV pool by an engine's rule; negative where nothing is left.

    vLLM: utilisation x memory less weights, activations, memory outside of PyTorch (58 H100 runs:
    mean error 0.02 GiB). SGLang keeps activations outside of its static part. TensorRT-LLM takes a
    part of what is free after all else.
    """
    inside = graphs if settings.graphs_in_budget else 0.0
    if settings.engine is Engine.SGLANG:
        return settings.utilization * device - weights - non_torch - inside
    if settings.engine is Engine.TENSORRT_LLM:
        return settings.utilization * (device - weights - activation - non_torch - inside)
    return settings.utilization * device - weights - activation - non_torch - inside
