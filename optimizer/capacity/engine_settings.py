"""What an engine is told at its start, as far as memory depends on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from optimizer.capacity.errors import CapacityError, require_count, require_fraction

__all__ = ["Engine", "EngineSettings"]


class Engine(StrEnum):
    """Engines, which divide memory by different rules."""

    VLLM = "vllm"
    SGLANG = "sglang"
    TENSORRT_LLM = "tensorrt-llm"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Settings of an engine; the defaults are vLLM's on a large accelerator.

    Parameters
    ----------
    engine
        vLLM: the pool is `utilization` of all memory less weights, activations and the rest.
        SGLang: `utilization` (`mem_fraction_static`) of all memory less weights; activations use
        what is outside. TensorRT-LLM: `utilization` (`free_gpu_memory_fraction`) of what is free
        beside weights, activations and the rest.
    utilization
        That part, in (0, 1].
    max_num_batched_tokens
        Tokens of one step.
    max_num_seqs
        Sequences of a batch.
    block_tokens
        Tokens of a KV block.
    graphs_in_budget
        Whether CUDA graphs count against the budget, as in newer releases; otherwise they use what
        is outside of it.

    Raises
    ------
    CapacityError
        If a setting is out of its range; names it.
    """

    engine: Engine = Engine.VLLM
    utilization: float = 0.9
    max_num_batched_tokens: int = 8192
    max_num_seqs: int = 1024
    block_tokens: int = 16
    graphs_in_budget: bool = False

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "engine", Engine(self.engine))
        except ValueError as error:
            known = ", ".join(engine.value for engine in Engine)
            raise CapacityError("engine", self.engine, f"no such engine; known: {known}") from error
        require_fraction("utilization", self.utilization)
        for name in ("max_num_batched_tokens", "max_num_seqs", "block_tokens"):
            require_count(name, getattr(self, name))
