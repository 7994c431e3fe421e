"""The numbers of a model that fix its work per token."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.catalog import ModelFacts
from optimizer.performance.batching import Batched
from optimizer.performance.numbers import Number

__all__ = ["ModelShape", "shape_of"]

# Kernels that a decoder layer launches besides its matrix multiplications' own work: two norms,
# rotary embedding with the KV write, attention, activation, and four multiplications.
_DENSE_KERNELS = 9.0
# Router, top-k, permutation, its inverse, and a grouped multiplication's set-up.
_EXPERT_KERNELS = 7.0
# Down-projections, norms of the ranks and the absorbed products of multi-head latent attention.
_LATENT_KERNELS = 4.0
# Norms of queries and keys.
_QK_NORM_KERNELS = 2.0
_QK_NORM_FAMILIES = frozenset({"Qwen3", "Qwen3-MoE", "Qwen3.5", "Gemma-3", "Gemma-4"})


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelShape(Batched):
    """What a forward pass reads and multiplies; numbers, or arrays that broadcast.

    Parameters
    ----------
    layers
        Decoder layers.
    hidden_size
        Width of the residual stream.
    attention_elements
        Weights of one layer's attention projections.
    attention_heads, head_dim
        Query heads and their dimension (for MLA: the query's).
    kv_heads
        Key-value heads; tensor parallelism beyond them replicates the cache.
    latent_attention
        1 for MLA, whose cache every rank holds whole; else 0.
    full_layers, sliding_layers, window_tokens
        Layers that attend to everything; to a window, and that window [tokens].
    kv_full_elements, kv_sliding_elements
        Cache elements per token over all full and over all sliding layers.
    dense_layers, dense_elements
        Layers with a dense feed-forward, and its weights in one layer.
    experts, experts_per_token, expert_elements, expert_width
        Routed experts of an expert layer (0: none), how many a token uses, weights of one, and
        its intermediate size.
    shared_elements
        Weights of an expert layer that every token uses.
    vocabulary
        Rows of the output layer.
    kernels_per_layer
        Kernels a layer launches, quantisation of activations apart.
    state_bytes_per_sequence
        Recurrent state that a decode step reads and writes per sequence (linear attention).
    """

    layers: Number
    hidden_size: Number
    attention_elements: Number
    attention_heads: Number
    head_dim: Number
    kv_heads: Number
    latent_attention: Number
    full_layers: Number
    sliding_layers: Number
    window_tokens: Number
    kv_full_elements: Number
    kv_sliding_elements: Number
    dense_layers: Number
    dense_elements: Number
    experts: Number
    experts_per_token: Number
    expert_elements: Number
    expert_width: Number
    shared_elements: Number
    vocabulary: Number
    kernels_per_layer: Number
    state_bytes_per_sequence: Number = 0.0


def shape_of(facts: ModelFacts) -> ModelShape:
    """Shape of a model of the catalogue.

    Feed-forwards are taken as gated (three matrices), as in every family of the catalogue but
    Falcon's, which has two. Linear-attention layers count their projections as full attention's;
    their recurrent state is left out.
    """
    experts = facts.experts or 0
    matrices = 2 if facts.family == "Falcon" else 3
    layers_with_experts = _layers_with_experts(facts)
    width = facts.expert_intermediate_size or 0
    h = facts.hidden_size
    return ModelShape(
        layers=facts.layers,
        hidden_size=h,
        attention_elements=_attention_elements(facts),
        attention_heads=facts.attention_heads,
        head_dim=facts.head_dim,
        kv_heads=facts.kv_heads,
        latent_attention=float(facts.attention == "MLA"),
        full_layers=facts.full_attention_layers,
        sliding_layers=facts.sliding_layers,
        window_tokens=facts.sliding_window_tokens or 0,
        kv_full_elements=facts.kv_elements_per_token_full,
        kv_sliding_elements=facts.kv_elements_per_token_sliding,
        dense_layers=facts.layers - layers_with_experts,
        dense_elements=matrices * h * facts.intermediate_size,
        experts=experts,
        experts_per_token=facts.experts_per_token or 0,
        expert_elements=3 * h * width,
        expert_width=width,
        shared_elements=3 * h * (facts.shared_expert_intermediate_size or 0) if experts else 0,
        vocabulary=facts.vocabulary_size,
        kernels_per_layer=_kernels_per_layer(facts),
    )


def _layers_with_experts(facts: ModelFacts) -> int:
    """Leading dense layers are known; in Llama-4-Maverick only every second layer has experts."""
    if not facts.experts:
        return 0
    if facts.name.startswith("meta-llama/Llama-4-Maverick"):
        return facts.layers // 2
    return facts.layers - (facts.first_dense_layers or 0)


def _attention_elements(facts: ModelFacts) -> int:
    h, heads = facts.hidden_size, facts.attention_heads
    if facts.attention != "MLA":
        return h * facts.head_dim * 2 * (heads + facts.kv_heads)
    q_rank, kv_rank = facts.q_lora_rank or 0, facts.kv_lora_rank or 0
    rope, plain = facts.qk_rope_head_dim or 0, facts.qk_nope_head_dim or 0
    value = facts.v_head_dim or 0
    query_input = q_rank or h
    return (
        h * q_rank
        + query_input * heads * (plain + rope)
        + h * (kv_rank + rope)
        + kv_rank * heads * (plain + value)
        + heads * value * h
    )


def _kernels_per_layer(facts: ModelFacts) -> float:
    kernels = _DENSE_KERNELS
    if facts.experts:
        kernels += _EXPERT_KERNELS
    if facts.attention == "MLA":
        kernels += _LATENT_KERNELS
    if facts.family in _QK_NORM_FAMILIES:
        kernels += _QK_NORM_KERNELS
    return kernels
