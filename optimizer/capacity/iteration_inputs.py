"""The one place where a model's architecture and an accelerator become inputs of iteration times.

`optimizer.performance` computes with numbers that broadcast: a shape, peaks, bytes per weight. What
they are for an `Architecture`, a weight format and a card of the catalogue is said here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from optimizer.capacity.architecture import Architecture
from optimizer.capacity.attention import Attention, LatentAttention
from optimizer.capacity.engine_settings import Engine
from optimizer.capacity.feed_forward import ExpertFeedForward
from optimizer.capacity.kv_formats import KVFormat
from optimizer.capacity.tensors import Role, Tensor
from optimizer.capacity.weight_formats import WeightFormat
from optimizer.catalog import AcceleratorFacts
from optimizer.performance import (
    AcceleratorRoof,
    Efficiencies,
    EngineOverheads,
    ModelShape,
    Precision,
    calibration,
    roof_of,
)

__all__ = [
    "engine_overheads",
    "has_times",
    "model_shape",
    "reached_efficiencies",
    "served_precision",
    "stacked_roofs",
]

# Kernels that a decoder layer launches besides its matrix multiplications' own work: two norms,
# rotary embedding with the KV write, attention, activation, and four multiplications.
_DENSE_KERNELS = 9.0
# Router, top-k, permutation, its inverse, and a grouped multiplication's set-up.
_EXPERT_KERNELS = 7.0
# Down-projections, norms of the ranks and the absorbed products of multi-head latent attention.
_LATENT_KERNELS = 4.0
# Norms of queries and keys.
_QK_NORM_KERNELS = 2.0

_MIXERS = frozenset({Role.ATTENTION, Role.RECURRENT})
_ENGINES = {Engine.VLLM: "vllm", Engine.SGLANG: "sglang", Engine.TENSORRT_LLM: "trtllm"}


def model_shape(architecture: Architecture) -> ModelShape:
    """Shape of a model: the numbers that fix its work per token.

    Layers that differ count with their mean: attention and recurrent projections over all layers,
    dense feed-forwards over those without experts. Vision encoders are left out.
    """
    layers = len(architecture.layers)
    attentions = architecture.attention_layers
    full = [(mixer, n) for mixer, n in attentions if mixer.window is None]
    windowed = [(mixer, n) for mixer, n in attentions if mixer.window is not None]
    main = architecture.main_attention
    experts = _expert_part(architecture)
    expert_layers = sum(
        n for part, n in architecture.feed_forwards if isinstance(part, ExpertFeedForward)
    )
    elements = _elements(architecture)
    return ModelShape(
        layers=layers,
        hidden_size=architecture.hidden_size,
        attention_elements=elements["mixers"] / layers,
        attention_heads=0 if main is None else main.heads,
        head_dim=0 if main is None else main.head_dim,
        kv_heads=0 if main is None else main.kv_heads,
        latent_attention=float(isinstance(main, LatentAttention)),
        full_layers=sum(n for _, n in full),
        sliding_layers=sum(n for _, n in windowed),
        window_tokens=max((mixer.window or 0 for mixer, _ in windowed), default=0),
        kv_full_elements=sum(n * mixer.kv_elements() for mixer, n in full),
        kv_sliding_elements=sum(n * mixer.kv_elements() for mixer, n in windowed),
        dense_layers=layers - expert_layers,
        dense_elements=elements["dense"] / max(layers - expert_layers, 1),
        experts=0 if experts is None else experts.experts,
        experts_per_token=0 if experts is None else experts.experts_per_token,
        expert_elements=elements["expert"] / max(expert_layers, 1),
        expert_width=0 if experts is None else experts.width,
        shared_elements=elements["shared"] / max(expert_layers, 1),
        vocabulary=architecture.vocabulary_size,
        kernels_per_layer=_kernels_per_layer(architecture),
        state_bytes_per_sequence=sum(
            n * mixer.state_bytes(architecture.native_format)
            for mixer, n in architecture.recurrent_layers
        ),
    )


def _elements(architecture: Architecture) -> Counter[str]:
    """Weights by what a step does with them: mixers, dense and shared parts, one expert."""
    found: Counter[str] = Counter()
    for layer, times in architecture.layer_groups:
        with_experts = isinstance(layer.feed_forward, ExpertFeedForward)
        for tensor in layer.tensors(architecture.hidden_size):
            matrix = times * tensor.rows * tensor.columns
            if tensor.role in _MIXERS:
                found["mixers"] += matrix
            elif tensor.role is Role.EXPERTS:
                found["expert"] += matrix
            elif tensor.role in (Role.FEED_FORWARD, Role.SHARED_EXPERTS):
                found["shared" if with_experts else "dense"] += matrix
    return found


def _expert_part(architecture: Architecture) -> ExpertFeedForward | None:
    parts = [part for part, _ in architecture.feed_forwards]
    return next((part for part in parts if isinstance(part, ExpertFeedForward)), None)


def _kernels_per_layer(architecture: Architecture) -> float:
    mixers = [mixer for mixer, _ in architecture.mixers]
    kernels = _DENSE_KERNELS
    if architecture.is_mixture_of_experts:
        kernels += _EXPERT_KERNELS
    if any(isinstance(mixer, LatentAttention) for mixer in mixers):
        kernels += _LATENT_KERNELS
    if any(isinstance(mixer, Attention) and mixer.norm_elements for mixer in mixers):
        kernels += _QK_NORM_KERNELS
    return kernels


def served_precision(
    architecture: Architecture,
    weights: WeightFormat,
    cache: KVFormat,
    accelerators: Sequence[AcceleratorFacts],
) -> Precision:
    """Bytes per weight and types of multiplication on each of n accelerators, of shape (n,).

    fp8, int8 and nvfp4 are multiplied as such where the accelerator can; other formats, and these
    on accelerators without, are widened to 16 bits first and save bandwidth only.
    """
    sizes = _bytes_per_weight(architecture, weights)
    number = weights.number.name
    bits = np.array([_multiplied_bits(number, facts) for facts in accelerators], dtype=np.float64)
    wide = np.full_like(bits, 16.0)
    roles = weights.roles if weights.quantized else frozenset()
    return Precision(
        weight_bytes=sizes["dense"],
        expert_bytes=sizes["expert"],
        matrix_bits=bits if Role.FEED_FORWARD in roles else wide,
        expert_bits=bits if Role.EXPERTS in roles else wide,
        kv_bytes=cache.number.bytes,
    )


def _bytes_per_weight(architecture: Architecture, weights: WeightFormat) -> dict[str, float]:
    """Mean bytes per weight, scales included, of experts and of all other matrices."""
    size: dict[str, float] = {"dense": 0.0, "expert": 0.0}
    count = {"dense": 0, "expert": 0}
    for tensor, times in architecture.tensors:
        kind = _kind(tensor)
        if kind is not None:
            matrix = times * tensor.parameters
            count[kind] += matrix
            size[kind] += matrix * float(weights.bits(tensor, architecture.native_format)) / 8
    native = architecture.native_format.bytes
    return {kind: size[kind] / count[kind] if count[kind] else native for kind in size}


def _kind(tensor: Tensor) -> str | None:
    if tensor.role is Role.EXPERTS:
        return "expert"
    return "dense" if tensor.role in _MIXERS | {Role.FEED_FORWARD, Role.SHARED_EXPERTS} else None


def _multiplied_bits(number: str, facts: AcceleratorFacts) -> float:
    """Width in which an accelerator multiplies weights of a format."""
    eight = {"fp8": facts.fp8_tflops, "mxfp8": facts.fp8_tflops, "int8": facts.int8_tops}
    if eight.get(number):
        return 8.0
    return 4.0 if number == "nvfp4" and facts.fp4_tflops else 16.0


def has_times(facts: AcceleratorFacts) -> bool:
    """Whether enough is known of an accelerator to compute iteration times."""
    return facts.bandwidth_gb_s is not None and facts.fp16_tflops is not None


def stacked_roofs(accelerators: Sequence[AcceleratorFacts]) -> AcceleratorRoof:
    """Peaks of n accelerators, of shape (n,); nan where `has_times` says no."""
    unknown = AcceleratorRoof(
        memory_gb=np.nan,
        bandwidth_gb_s=np.nan,
        tflops_16=np.nan,
        tflops_8=np.nan,
        tflops_4=np.nan,
        link_gb_s=np.nan,
    )
    return AcceleratorRoof.stack(
        [roof_of(facts) if has_times(facts) else unknown for facts in accelerators]
    )


def reached_efficiencies(accelerators: Sequence[AcceleratorFacts]) -> Efficiencies:
    """Return what n accelerators reach of their peaks, of shape (n,)."""
    known = calibration()
    return Efficiencies.stack([known.of_accelerator(facts) for facts in accelerators])


def engine_overheads(engine: Engine, chunk_tokens: int) -> EngineOverheads:
    """Return what an engine adds on its host, with steps of so many tokens."""
    return replace(calibration().of_engine(_ENGINES[engine]), chunk_tokens=chunk_tokens)
