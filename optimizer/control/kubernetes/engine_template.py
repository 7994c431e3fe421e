"""Settings of an engine in the pod template of its deployment: how they are told and changed."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from optimizer.spec.base import Name, SpecModel

__all__ = ["EngineSetting", "EngineTemplateSpec"]


class EngineSetting(StrEnum):
    """What of a variant an engine is started with."""

    MAX_BATCH = "max_batch"
    TENSOR_PARALLEL = "tensor_parallel"
    PIPELINE_PARALLEL = "pipeline_parallel"
    KV_PRECISION = "kv_precision"
    CHUNK_TOKENS = "chunk_tokens"


class EngineTemplateSpec(SpecModel):
    """Where the settings of a variant stand in its deployment's pod template."""

    container: Name = Field(description="Container of the engine.")
    arguments: dict[str, str] = Field(
        description="Argument of the container for each setting (max_batch, tensor_parallel, "
        "pipeline_parallel, kv_precision, chunk_tokens), such as max_batch: --max-num-seqs."
    )
    cards_resource: Name | None = Field(
        default=None,
        description="Resource whose limit is the cards of a replica, such as nvidia.com/gpu; by "
        "default limits are not touched.",
    )
