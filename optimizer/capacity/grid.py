"""All combinations of models, accelerators, parallelism and precisions at once, in arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from optimizer.capacity.activation import activation_bytes
from optimizer.capacity.architecture import Architecture
from optimizer.capacity.engine_settings import EngineSettings
from optimizer.capacity.errors import CapacityError, require_count
from optimizer.capacity.kv_formats import KVFormat, kv_format
from optimizer.capacity.layouts import ParallelLayout, layout_obstacle
from optimizer.capacity.memory_budget import CUDA_GRAPH_GIB, kv_pool_bytes, non_torch_gib
from optimizer.capacity.page_layout import PageLayout, page_layout
from optimizer.capacity.replica_times import ReplicaTimes, ServedModel
from optimizer.capacity.units import GIB
from optimizer.capacity.weight_formats import WeightFormat, weight_format
from optimizer.capacity.weights import pipeline_stages, stage_weights
from optimizer.catalog import AcceleratorFacts, device_memory

__all__ = ["CapacityGrid", "Verdict", "capacity_grid", "request_parts"]

Floats = NDArray[np.float64]


class Verdict(IntEnum):
    """What decides about a combination; the first that applies, in this order."""

    FITS = 0
    CONTEXT_TOO_LONG = 1
    NOT_DIVISIBLE = 2
    BEYOND_SCALE_UP = 3
    FACTS_MISSING = 4
    WEIGHTS_TOO_LARGE = 5
    BATCH_TOO_LARGE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityGrid:
    """Capacity of every combination; arrays of shape (models, accelerators, layouts, precisions).

    Parameters
    ----------
    models, accelerators, layouts, precisions
        The axes, in the order given; `auto` is the checkpoint's precision.
    context_len, output_tokens, batch_size
        Tokens of each request, those of them that are its answer, and requests at a time that
        were asked for.
    verdict
        Values of `Verdict`.
    weight_bytes, activation_bytes, kv_pool_bytes
        On each accelerator; of a pipeline, on its tightest stage.
    engine_concurrency, steady_concurrency
        Requests of that length at once in a replica: as the engine logs it, and while decoding.
    decode_ms, itl_ms
        A decode iteration with that batch; mean time between two tokens of a request, with the
        prefills of the others in between. Both, as all times, predicted; nan where bandwidth or
        throughput is not known.
    ttft_ms
        Time to the first token of one prompt on an idle replica.
    tokens_per_s, max_tokens_per_s
        Output tokens of a replica at that batch; offline, without streaming, at the largest
        batch that it holds, or that the engine's settings allow.
    usd_per_hour
        Price of a replica; nan where not known.
    """

    models: tuple[str, ...]
    accelerators: tuple[str, ...]
    layouts: tuple[ParallelLayout, ...]
    precisions: tuple[str, ...]
    context_len: int
    output_tokens: int
    batch_size: int
    verdict: NDArray[np.int8]
    weight_bytes: Floats
    activation_bytes: Floats
    kv_pool_bytes: Floats
    engine_concurrency: Floats
    steady_concurrency: Floats
    decode_ms: Floats
    itl_ms: Floats
    ttft_ms: Floats
    tokens_per_s: Floats
    max_tokens_per_s: Floats
    usd_per_hour: Floats

    @property
    def tensor_parallel(self) -> tuple[int, ...]:
        """Degree of tensor parallelism of each layout."""
        return tuple(layout.tensor for layout in self.layouts)

    @property
    def size(self) -> int:
        """Combinations."""
        return self.verdict.size


def request_parts(context_len: int, output_tokens: int | None) -> tuple[int, int]:
    """Tokens of prompt and answer of a request; without a word about the answer, half of it.

    Raises
    ------
    CapacityError
        If the answer leaves nothing for a prompt.
    """
    if output_tokens is None:
        answer = max(context_len // 2, 1)
    else:
        answer = require_count("output_tokens", output_tokens)
        if answer >= max(context_len, 2):
            raise CapacityError(
                "output_tokens", answer, f"must be less than context_length ({context_len})"
            )
    return max(context_len - answer, 1), answer


def capacity_grid(
    models: Sequence[Architecture],
    accelerators: Sequence[AcceleratorFacts],
    *,
    tensor_parallel: Sequence[int] = (1, 2, 4, 8),
    layouts: Sequence[ParallelLayout] | None = None,
    precisions: Sequence[str] = ("auto",),
    context_len: int = 4096,
    output_tokens: int | None = None,
    batch_size: int = 1,
    kv_dtype: str = "auto",
    settings: EngineSettings | None = None,
) -> CapacityGrid:
    """Capacity of every model on every accelerator, at every degree and precision.

    The model's side is computed once per model, layout and precision, the rest in arrays.

    Parameters
    ----------
    models, accelerators
        At least one of each.
    tensor_parallel, precisions
        Degrees, and weight formats by name; `auto` is the checkpoint's.
    layouts
        Instead of degrees of tensor parallelism: other ways to spread a replica too.
    context_len, output_tokens, batch_size
        Tokens of each request; those that are its answer, by default half; requests at a time.
    kv_dtype
        Format of the KV cache.
    settings
        The engine and its settings.

    Raises
    ------
    CapacityError
        If an axis is empty or an argument is out of its range; names it.
    """
    tokens, batch = (
        require_count("context_len", context_len),
        require_count("batch_size", batch_size),
    )
    prompt, answer = request_parts(tokens, output_tokens)
    if layouts is None:
        layouts = [ParallelLayout(tensor=degree) for degree in tensor_parallel]
    _require_axes(models, accelerators, layouts, precisions)
    chosen = settings or EngineSettings()
    served = [
        ServedModel(
            model,
            tuple(_format_of(model, name) for name in precisions),
            kv_format(kv_dtype, model),
        )
        for model in models
    ]
    machine = _Machine.of(accelerators)
    memory, verdict = _memory(served, machine, layouts, tokens, chosen)
    held = memory["steady_concurrency"]
    times = ReplicaTimes(served, accelerators, layouts, chosen)
    at_batch = times.of_load(batch, prompt, answer)
    data = np.array([[layout.data] for layout in layouts])
    most = np.clip(np.floor(held), 1, chosen.max_num_seqs * data)
    at_most = times.of_load(most, prompt, answer, streamed=False).tokens_per_s
    decided = _decide(verdict, memory, np.isnan(at_batch.decode_ms), batch)
    cards = np.array([[layout.cards] for layout in layouts])
    price = machine.usd_per_hour[:, None, None] * cards
    return CapacityGrid(
        models=tuple(model.name for model in models),
        accelerators=tuple(accelerator.name for accelerator in accelerators),
        layouts=tuple(layouts),
        precisions=tuple(precisions),
        context_len=tokens,
        output_tokens=answer,
        batch_size=batch,
        verdict=decided,
        decode_ms=at_batch.decode_ms,
        itl_ms=at_batch.itl_ms,
        ttft_ms=np.broadcast_to(times.first_token_ms(prompt), held.shape),
        tokens_per_s=at_batch.tokens_per_s,
        max_tokens_per_s=np.where(held >= 1, at_most, 0.0),
        usd_per_hour=np.broadcast_to(price, held.shape),
        **memory,
    )


def _decide(
    verdict: NDArray[np.int_], memory: dict[str, Floats], unknown: NDArray[np.bool_], batch: int
) -> NDArray[np.int8]:
    """Complete the verdicts by what times and memory say; the first that applies counts."""
    for applies, what in (
        (unknown, Verdict.FACTS_MISSING),
        (memory["kv_pool_bytes"] <= 0, Verdict.WEIGHTS_TOO_LARGE),
        (memory["steady_concurrency"] < batch, Verdict.BATCH_TOO_LARGE),
    ):
        verdict = np.where((verdict == Verdict.FITS) & applies, what, verdict)
    return verdict.astype(np.int8)


def _require_axes(
    models: Sequence[Architecture],
    accelerators: Sequence[AcceleratorFacts],
    layouts: Sequence[ParallelLayout],
    precisions: Sequence[str],
) -> None:
    for name, axis in (
        ("models", models),
        ("accelerators", accelerators),
        ("tensor_parallel", layouts),
        ("precisions", precisions),
    ):
        if not axis:
            raise CapacityError(name, list(axis), "must not be empty")


def _format_of(model: Architecture, precision: str) -> WeightFormat:
    if precision == "auto":
        return model.weight_format
    return weight_format(precision, field="precisions")


_FIGURES = (
    "weight_bytes",
    "activation_bytes",
    "kv_pool_bytes",
    "engine_concurrency",
    "steady_concurrency",
)


@dataclass(frozen=True, slots=True)
class _Machine:
    """Facts of all accelerators as arrays; nan where not known."""

    memory: Floats
    usd_per_hour: Floats
    scale_up: Floats

    @staticmethod
    def of(accelerators: Sequence[AcceleratorFacts]) -> _Machine:
        prices = [a.usd_per_hour for a in accelerators]
        return _Machine(
            memory=np.array([device_memory(a).memory_gib * GIB for a in accelerators]),
            usd_per_hour=np.array([np.nan if price is None else price for price in prices]),
            scale_up=np.array([float(a.max_scaleup_devices) for a in accelerators]),
        )


def _memory(
    served: Sequence[ServedModel],
    machine: _Machine,
    layouts: Sequence[ParallelLayout],
    tokens: int,
    settings: EngineSettings,
) -> tuple[dict[str, Floats], NDArray[np.int_]]:
    """Memory of every combination, and the verdicts that need no times."""
    shape = (len(served), len(machine.memory), len(layouts), len(served[0].weights))
    outcome = {name: np.empty(shape) for name in _FIGURES}
    verdict = np.full(shape, Verdict.FITS, dtype=np.int_)
    for m, model in enumerate(served):
        for t, layout in enumerate(layouts):
            pages = _stage_pages(model.architecture, model.cache, layout, settings)
            for p, form in enumerate(model.weights):
                figures = _figures(model, form, layout, pages, machine, tokens, settings)
                for key, value in figures.items():
                    outcome[key][m, :, t, p] = value
                if layout_obstacle(model.architecture, layout, form) is not None:
                    verdict[m, :, t, p] = Verdict.NOT_DIVISIBLE
                else:
                    beyond = machine.scale_up < layout.ranks
                    verdict[m, beyond, t, p] = Verdict.BEYOND_SCALE_UP
        if tokens > model.architecture.max_context_tokens:
            verdict[m] = Verdict.CONTEXT_TOO_LONG
    return outcome, verdict


def _stage_pages(
    architecture: Architecture, cache: KVFormat, layout: ParallelLayout, settings: EngineSettings
) -> list[PageLayout | None]:
    stages = min(layout.pipeline, len(architecture.layers))
    return [
        page_layout(
            architecture,
            cache,
            tensor_parallel=layout.tensor,
            layers=layers,
            block_tokens=settings.block_tokens,
        )
        for layers in pipeline_stages(architecture.layers, stages)
    ]


def _figures(
    model: ServedModel,
    form: WeightFormat,
    layout: ParallelLayout,
    pages: Sequence[PageLayout | None],
    machine: _Machine,
    tokens: int,
    settings: EngineSettings,
) -> dict[str, Floats]:
    """Memory of one model, layout and precision on all accelerators: of the tightest stage."""
    non_torch = non_torch_gib(layout.ranks, layout.pipeline) * GIB
    graphs = CUDA_GRAPH_GIB * GIB
    architecture, stages = model.architecture, []
    parts = stage_weights(
        architecture,
        form,
        tensor_parallel=layout.tensor,
        pipeline_parallel=len(pages),
        expert_ranks=layout.ranks,
    )
    for part, page in zip(parts, pages, strict=True):
        activation = activation_bytes(
            architecture,
            form,
            settings,
            tensor_parallel=layout.tensor,
            has_output=part.has_output,
            in_pipeline=len(pages) > 1,
        )
        pool = kv_pool_bytes(
            settings, machine.memory, part.weight_bytes, activation, non_torch, graphs
        )
        blocks, admitted, steady = np.where(pool > 0, float(settings.max_num_seqs), 0.0), 1, 1
        if page is not None:
            blocks = np.maximum(0, pool // page.block_bytes)
            admitted = page.admitted_blocks(tokens, settings.max_num_batched_tokens)
            steady = page.steady_blocks(tokens)
        sizes = (np.full_like(pool, part.weight_bytes), np.full_like(pool, activation), pool)
        stages.append((*sizes, blocks / admitted * layout.data, blocks / steady * layout.data))
    if len(stages) == 1:
        return dict(zip(_FIGURES, stages[0], strict=True))
    every = np.array(stages)  # (stages, figures, accelerators)
    tightest = np.lexsort((every[:, 2], every[:, 4]), axis=0)[0]
    picked = every[tightest, :, np.arange(every.shape[2])].T
    return dict(zip(_FIGURES, picked, strict=True))
