"""Documents of `fleetopt capacity`."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.capacity.concurrency import Concurrency
from optimizer.capacity.kv_cache import LayerKV
from optimizer.capacity.memory_budget import MemoryBudget
from optimizer.capacity.recommendation import GPURecommendation, Rejection
from optimizer.capacity.sheets.sheet import Section
from optimizer.spec import PerformanceSpec

__all__ = [
    "FitDocument",
    "KVDocument",
    "MemoryDocument",
    "ModelDocument",
    "RecommendationDocument",
    "SheetDocument",
]


@dataclass(frozen=True, kw_only=True)
class ModelDocument:
    """Of `fleetopt capacity model`."""

    schema_version: int
    model: str
    model_architecture: str
    num_parameters: int
    num_active_parameters: int
    parameters_by_role: dict[str, int]
    precision: str
    model_memory_gb: float
    model_memory_gib: float
    attention_type: str
    layers: dict[str, int]
    max_context_tokens: int
    possible_tensor_parallel: list[int]
    possible_expert_parallel: list[int]


@dataclass(frozen=True, kw_only=True)
class KVFigures:
    """The KV cache of a model at a context length and batch size."""

    model: str
    attention_type: str
    kv_data_type: str
    precision_in_bytes: float
    num_hidden_layers: int
    hidden_size: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dimension: int
    model_architecture: str
    num_attention_group: int
    per_token_memory_bytes: float
    per_request_kv_cache_bytes: float
    per_request_kv_cache_gb: float
    per_request_kv_cache_gib: float
    kv_cache_size_gb: float
    kv_cache_size_gib: float
    context_len: int
    batch_size: int
    kv_lora_rank: int | None
    qk_rope_head_dim: int | None
    layers: list[LayerKV]


@dataclass(frozen=True, kw_only=True)
class KVAdvice:
    """A format for a budget of bytes, and the longest context in the one asked about."""

    kv_dtype: str
    reason: str
    longest_context: int


@dataclass(frozen=True, kw_only=True)
class KVDocument(KVFigures):
    """Of `fleetopt capacity kv`."""

    schema_version: int
    sweep: list[KVFigures] | None = None
    advice: KVAdvice | None = None


@dataclass(frozen=True, kw_only=True)
class MemoryDocument:
    """Of `fleetopt capacity memory`."""

    schema_version: int
    model: str
    accelerator: str
    precision: str
    fits: bool
    kv_pool_gb: float
    kv_pool_gib: float
    kv_blocks: int
    kv_tokens: float
    budget: MemoryBudget
    concurrency: list[Concurrency]
    mix: dict[str, float] | None = None


@dataclass(frozen=True, kw_only=True)
class RecommendationDocument:
    """Of `fleetopt capacity recommend`."""

    schema_version: int
    model: str
    context_length: int
    output_tokens: int
    batch_size: int
    rank_by: str
    times: str
    currency: str
    kv_cache: KVFigures
    recommendations: list[GPURecommendation]
    rejected: list[Rejection]


@dataclass(frozen=True, kw_only=True)
class SheetDocument:
    """Of `fleetopt capacity sheet`."""

    schema_version: int
    name: str
    title: str
    sections: list[Section]


@dataclass(frozen=True, kw_only=True)
class FittedCoefficient:
    """A coefficient with its interval of 95 %."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class FitDocument:
    """Of `fleetopt capacity fit`."""

    schema_version: int
    form: str
    rows: int
    r_squared: float | None
    median_error: float
    coefficients: dict[str, FittedCoefficient]
    observed_ms: list[float]
    fitted_ms: list[float]
    notes: list[str]
    performance: list[PerformanceSpec]
