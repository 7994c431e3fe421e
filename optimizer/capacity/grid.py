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
from optimizer.capacity.kv_cache import kv_cache_detail
from optimizer.capacity.kv_formats import kv_format
from optimizer.capacity.memory_budget import CUDA_GRAPH_GIB, kv_pool_bytes, non_torch_gib
from optimizer.capacity.page_layout import PageLayout, page_layout
from optimizer.capacity.parallelism import tensor_parallel_obstacle
from optimizer.capacity.roofline import ModelWork, matrix_tflops, model_work
from optimizer.capacity.units import GIB
from optimizer.capacity.weight_formats import WeightFormat, weight_format
from optimizer.capacity.weights import stage_weights
from optimizer.catalog import AcceleratorFacts, device_memory

__all__ = ["CapacityGrid", "Verdict", "capacity_grid"]

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
    """Capacity of every combination; arrays of shape (models, accelerators, degrees, precisions).

    Parameters
    ----------
    models, accelerators, tensor_parallel, precisions
        The axes, in the order given; `auto` is the checkpoint's precision.
    context_len, batch_size
        Tokens of each request and requests at a time that were asked for.
    verdict
        Values of `Verdict`.
    weight_bytes, activation_bytes, kv_pool_bytes
        On each accelerator.
    engine_concurrency, steady_concurrency
        Requests of that length at once: as the engine logs it, and while decoding.
    decode_ms, prefill_ms
        Least time of a step at that batch, and of one prompt of that length (roofline); nan where
        bandwidth or throughput is not known.
    max_tokens_per_s
        Most output tokens per second of one replica by the roofline: at the largest batch that it
        holds, or that the engine's settings allow; nan where not known.
    usd_per_hour
        Price of a replica; nan where not known.
    """

    models: tuple[str, ...]
    accelerators: tuple[str, ...]
    tensor_parallel: tuple[int, ...]
    precisions: tuple[str, ...]
    context_len: int
    batch_size: int
    verdict: NDArray[np.int8]
    weight_bytes: Floats
    activation_bytes: Floats
    kv_pool_bytes: Floats
    engine_concurrency: Floats
    steady_concurrency: Floats
    decode_ms: Floats
    prefill_ms: Floats
    max_tokens_per_s: Floats
    usd_per_hour: Floats

    @property
    def size(self) -> int:
        """Combinations."""
        return self.verdict.size


@dataclass(frozen=True, slots=True)
class _Rank:
    """What a rank of one model at one degree and precision holds and does."""

    weights: float
    activation: float
    work: ModelWork
    format: WeightFormat


def capacity_grid(
    models: Sequence[Architecture],
    accelerators: Sequence[AcceleratorFacts],
    *,
    tensor_parallel: Sequence[int] = (1, 2, 4, 8),
    precisions: Sequence[str] = ("auto",),
    context_len: int = 4096,
    batch_size: int = 1,
    kv_dtype: str = "auto",
    settings: EngineSettings | None = None,
) -> CapacityGrid:
    """Capacity of every model on every accelerator, at every degree and precision.

    The model's side is computed once per model, degree and precision, the rest in arrays.

    Parameters
    ----------
    models, accelerators
        At least one of each.
    tensor_parallel, precisions
        Degrees, and weight formats by name; `auto` is the checkpoint's.
    context_len, batch_size
        Tokens of each request; requests at a time.
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
    _require_axes(models, accelerators, tensor_parallel, precisions)
    chosen = settings or EngineSettings()
    shape = (len(models), len(accelerators), len(tensor_parallel), len(precisions))
    machine = _Machine.of(accelerators)
    outcome = {name: np.empty(shape) for name in _FIGURES}
    verdict = np.empty(shape, dtype=np.int8)
    for m, model in enumerate(models):
        form = kv_format(kv_dtype, model)
        for t, degree in enumerate(tensor_parallel):
            layout = page_layout(
                model, form, tensor_parallel=degree, block_tokens=chosen.block_tokens
            )
            detail = kv_cache_detail(model, kv_dtype=kv_dtype, tensor_parallel=degree)
            cached = float(detail.request_bytes([tokens])[0])
            for p, name in enumerate(precisions):
                rank = _rank(model, name, degree, chosen)
                figures = _figures(rank, machine, layout, cached, degree, tokens, batch, chosen)
                for key, value in figures.items():
                    outcome[key][m, :, t, p] = value
                verdict[m, :, t, p] = _verdicts(
                    model, rank, machine, figures, degree, tokens, batch
                )
    price = machine.usd_per_hour[:, None] * np.array(tensor_parallel)
    return CapacityGrid(
        models=tuple(model.name for model in models),
        accelerators=tuple(accelerator.name for accelerator in accelerators),
        tensor_parallel=tuple(tensor_parallel),
        precisions=tuple(precisions),
        context_len=tokens,
        batch_size=batch,
        verdict=verdict,
        usd_per_hour=np.broadcast_to(price[None, :, :, None], shape).copy(),
        **outcome,
    )


def _require_axes(
    models: Sequence[Architecture],
    accelerators: Sequence[AcceleratorFacts],
    tensor_parallel: Sequence[int],
    precisions: Sequence[str],
) -> None:
    for name, axis in (
        ("models", models),
        ("accelerators", accelerators),
        ("tensor_parallel", tensor_parallel),
        ("precisions", precisions),
    ):
        if not axis:
            raise CapacityError(name, list(axis), "must not be empty")
    for degree in tensor_parallel:
        require_count("tensor_parallel", degree)


_FIGURES = (
    "weight_bytes",
    "activation_bytes",
    "kv_pool_bytes",
    "engine_concurrency",
    "steady_concurrency",
    "decode_ms",
    "prefill_ms",
    "max_tokens_per_s",
)


@dataclass(frozen=True, slots=True)
class _Machine:
    """Facts of all accelerators as arrays; nan where not known."""

    facts: tuple[AcceleratorFacts, ...]
    memory: Floats
    bandwidth: Floats
    usd_per_hour: Floats
    scale_up: Floats
    rates: dict[str, Floats]

    @staticmethod
    def of(accelerators: Sequence[AcceleratorFacts]) -> _Machine:
        return _Machine(
            facts=tuple(accelerators),
            memory=np.array([device_memory(a).memory_gib * GIB for a in accelerators]),
            bandwidth=_known([a.bandwidth_gb_s for a in accelerators]) * 1e9,
            usd_per_hour=_known([a.usd_per_hour for a in accelerators]),
            scale_up=np.array([float(a.max_scaleup_devices) for a in accelerators]),
            rates={},
        )

    def flops_per_s(self, form: WeightFormat) -> Floats:
        """Matrix throughput with weights of a format."""
        key = form.number.name
        if key not in self.rates:
            self.rates[key] = 1e12 * np.array([_rate(a, form) for a in self.facts])
        return self.rates[key]


def _known(values: Sequence[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values])


def _rate(accelerator: AcceleratorFacts, form: WeightFormat) -> float:
    try:
        return matrix_tflops(accelerator, form)
    except CapacityError:
        return float("nan")


def _rank(model: Architecture, precision: str, degree: int, settings: EngineSettings) -> _Rank:
    form = (
        model.weight_format if precision == "auto" else weight_format(precision, field="precisions")
    )
    return _Rank(
        weights=stage_weights(model, form, tensor_parallel=degree)[0].weight_bytes,
        activation=activation_bytes(model, form, settings, tensor_parallel=degree),
        work=model_work(model, form, degree),
        format=form,
    )


def _figures(
    rank: _Rank,
    machine: _Machine,
    layout: PageLayout | None,
    cached: float,
    degree: int,
    tokens: int,
    batch: int,
    settings: EngineSettings,
) -> dict[str, Floats]:
    """Figures of one model, degree and precision on all accelerators."""
    non_torch = non_torch_gib(degree, 1) * GIB
    graphs = CUDA_GRAPH_GIB * GIB
    pool = kv_pool_bytes(settings, machine.memory, rank.weights, rank.activation, non_torch, graphs)
    admitted = steady = 1
    blocks = np.zeros_like(pool)
    if layout is not None:
        blocks = np.maximum(0, pool // layout.block_bytes)
        admitted = layout.admitted_blocks(tokens, settings.max_num_batched_tokens)
        steady = layout.steady_blocks(tokens)
    held = blocks / steady
    flops = machine.flops_per_s(rank.format)
    most = np.clip(np.floor(held), 1, settings.max_num_seqs)
    step = _step_s(rank.work, np.full_like(pool, batch), cached, tokens, machine.bandwidth, flops)
    full = _step_s(rank.work, most, cached, tokens, machine.bandwidth, flops)
    one = np.maximum(
        rank.work.prefill_flops(tokens) / flops,
        rank.work.decode_bytes(float(tokens), 0.0) / machine.bandwidth,
    )
    return {
        "weight_bytes": np.full_like(pool, rank.weights),
        "activation_bytes": np.full_like(pool, rank.activation),
        "kv_pool_bytes": pool,
        "engine_concurrency": blocks / admitted,
        "steady_concurrency": held,
        "decode_ms": 1e3 * step,
        "prefill_ms": 1e3 * one,
        "max_tokens_per_s": np.where(held >= 1, most / full, 0.0),
    }


def _step_s(
    work: ModelWork,
    batch: Floats,
    cached: float,
    tokens: int,
    bandwidth: Floats,
    flops: Floats,
) -> Floats:
    read = work.decode_bytes(batch, cached)
    return np.maximum(read / bandwidth, work.decode_flops(batch, tokens) / flops)


def _verdicts(
    model: Architecture,
    rank: _Rank,
    machine: _Machine,
    figures: dict[str, Floats],
    degree: int,
    tokens: int,
    batch: int,
) -> NDArray[np.int8]:
    if tokens > model.max_context_tokens:
        return np.full(len(machine.facts), Verdict.CONTEXT_TOO_LONG, dtype=np.int8)
    if tensor_parallel_obstacle(model, degree, rank.format) is not None:
        return np.full(len(machine.facts), Verdict.NOT_DIVISIBLE, dtype=np.int8)
    unknown = np.isnan(figures["decode_ms"]) | np.isnan(figures["prefill_ms"])
    return np.select(
        [
            machine.scale_up < degree,
            unknown,
            figures["kv_pool_bytes"] <= 0,
            figures["steady_concurrency"] < batch,
        ],
        [
            Verdict.BEYOND_SCALE_UP,
            Verdict.FACTS_MISSING,
            Verdict.WEIGHTS_TOO_LARGE,
            Verdict.BATCH_TOO_LARGE,
        ],
        default=Verdict.FITS,
    ).astype(np.int8)
