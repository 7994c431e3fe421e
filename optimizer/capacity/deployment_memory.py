"""A model on an accelerator of the catalogue: how memory is divided, how many requests fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optimizer.capacity.concurrency import Concurrency, concurrency
from optimizer.capacity.engine_settings import EngineSettings
from optimizer.capacity.errors import CapacityError
from optimizer.capacity.kv_formats import kv_format
from optimizer.capacity.memory_budget import MemoryBudget, memory_budget
from optimizer.capacity.model_architecture import ModelArchitecture
from optimizer.capacity.parallelism import tensor_parallel_obstacle
from optimizer.catalog import accelerator, device_memory

__all__ = ["DeploymentMemory", "deployment_memory"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentMemory:
    """Memory of a deployment.

    Parameters
    ----------
    model_id, accelerator, precision
        What is deployed on what, its weights in what.
    budget
        How the engine divides the memory.
    concurrency
        Requests that fit, per context length; none where the model does not.
    """

    model_id: str
    accelerator: str
    precision: str
    budget: MemoryBudget
    concurrency: tuple[Concurrency, ...]


def deployment_memory(
    model: ModelArchitecture,
    accelerator_name: str,
    *,
    context_lengths: Sequence[int],
    tensor_parallel: int = 1,
    pipeline_parallel: int = 1,
    precision: str | None = "auto",
    kv_dtype: str = "auto",
    shared_prefix_tokens: int = 0,
    settings: EngineSettings | None = None,
) -> DeploymentMemory:
    """Divide the memory of an accelerator of the catalogue that serves a model.

    Parameters
    ----------
    model
        The model.
    accelerator_name
        Of the catalogue.
    context_lengths
        Lengths of requests [tokens].
    tensor_parallel, pipeline_parallel
        Ranks that divide each layer; stages that divide the layers.
    precision, kv_dtype
        Of the weights and of the KV cache.
    shared_prefix_tokens
        That all requests share at the start.
    settings
        Of the engine.

    Raises
    ------
    CapacityError
        If an argument is out of its range, or the model cannot be divided so.
    UnknownEntryError
        If the catalogue has no such accelerator.
    """
    chosen = settings or EngineSettings()
    facts = accelerator(accelerator_name)
    weights = model.weights_in(precision)
    obstacle = tensor_parallel_obstacle(
        model.architecture, tensor_parallel, weights, scale_up_devices=facts.max_scaleup_devices
    )
    if obstacle is not None:
        raise CapacityError("tensor_parallel", tensor_parallel, obstacle)
    budget = memory_budget(
        model.architecture,
        weights,
        kv_format(kv_dtype, model.architecture),
        device_memory_gib=device_memory(facts).memory_gib,
        tensor_parallel=tensor_parallel,
        pipeline_parallel=pipeline_parallel,
        settings=chosen,
    )
    fitting = tuple(
        concurrency(
            budget.layout,
            budget.blocks,
            length,
            max_batched_tokens=chosen.max_num_batched_tokens,
            shared_prefix_tokens=shared_prefix_tokens,
        )
        for length in context_lengths
        if budget.layout is not None and budget.fits
    )
    return DeploymentMemory(
        model_id=model.model_id,
        accelerator=facts.name,
        precision=weights.name,
        budget=budget,
        concurrency=fitting,
    )
