"""From a model and an accelerator to weights, KV cache, concurrency, parallelism, and a choice."""

from __future__ import annotations

from optimizer.capacity.architecture import Architecture
from optimizer.capacity.attention import AttentionType
from optimizer.capacity.concurrency import (
    Concurrency,
    RequestLengths,
    concurrency,
    concurrency_for_lengths,
)
from optimizer.capacity.deployment_memory import DeploymentMemory, deployment_memory
from optimizer.capacity.engine_settings import Engine, EngineSettings
from optimizer.capacity.errors import CapacityError
from optimizer.capacity.gpu_library import GPU_LIBRARY
from optimizer.capacity.gpu_search import find_gpu_recommendations
from optimizer.capacity.grid import CapacityGrid, Verdict, capacity_grid
from optimizer.capacity.hugging_face import read_architecture, read_configuration
from optimizer.capacity.iteration_inputs import model_shape
from optimizer.capacity.kv_cache import KVCacheDetail, LayerKV, kv_cache_detail
from optimizer.capacity.kv_formats import kv_format, kv_format_names
from optimizer.capacity.kv_planning import (
    KVPrecisionAdvice,
    best_context_len,
    context_sweep,
    doubling_lengths,
    recommend_kv_precision,
)
from optimizer.capacity.layouts import ParallelLayout, layout_obstacle
from optimizer.capacity.memory_budget import MemoryBudget, StageBudget, memory_budget
from optimizer.capacity.model_architecture import (
    ModelArchitecture,
    find_possible_tp,
    max_context_len,
    model_memory_req,
    model_total_params,
)
from optimizer.capacity.page_layout import PageLayout, page_layout
from optimizer.capacity.parallelism import tensor_parallel_obstacle
from optimizer.capacity.recommendation import (
    GPURecommendation,
    RankBy,
    Recommendations,
    Rejection,
)
from optimizer.capacity.roofline import ModelWork, model_work
from optimizer.capacity.weight_formats import WeightFormat, weight_format, weight_format_names

__all__ = [
    "GPU_LIBRARY",
    "Architecture",
    "AttentionType",
    "CapacityError",
    "CapacityGrid",
    "Concurrency",
    "DeploymentMemory",
    "Engine",
    "EngineSettings",
    "GPURecommendation",
    "KVCacheDetail",
    "KVPrecisionAdvice",
    "LayerKV",
    "MemoryBudget",
    "ModelArchitecture",
    "ModelWork",
    "PageLayout",
    "ParallelLayout",
    "RankBy",
    "Recommendations",
    "Rejection",
    "RequestLengths",
    "StageBudget",
    "Verdict",
    "WeightFormat",
    "best_context_len",
    "capacity_grid",
    "concurrency",
    "concurrency_for_lengths",
    "context_sweep",
    "deployment_memory",
    "doubling_lengths",
    "find_gpu_recommendations",
    "find_possible_tp",
    "kv_cache_detail",
    "kv_format",
    "kv_format_names",
    "layout_obstacle",
    "max_context_len",
    "memory_budget",
    "model_memory_req",
    "model_shape",
    "model_total_params",
    "model_work",
    "page_layout",
    "read_architecture",
    "read_configuration",
    "recommend_kv_precision",
    "tensor_parallel_obstacle",
    "weight_format",
    "weight_format_names",
]
