"""The numbers of a model that fix its work per token."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.performance.batching import Batched
from optimizer.performance.numbers import Number

__all__ = ["ModelShape"]


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
