"""Requests that the KV cache of a replica holds: a plain budget, enough to tell who must wait."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizer.performance import AcceleratorRoof, ModelShape, Parallelism, Precision
from optimizer.performance.operators import attended_tokens

# Share of the memory an engine uses, and what it takes apart from weights and cache (activations,
# communication buffers, recorded graphs).
UTILISATION = 0.9
OTHER_BYTES = 4e9


def weight_bytes(shape: ModelShape, form: Precision, parallelism: Parallelism) -> NDArray:
    """Weights on one card."""
    attention = shape.attention_elements * shape.layers + shape.dense_elements * shape.dense_layers
    expert_layers = shape.layers - shape.dense_layers
    experts = expert_layers * shape.experts * shape.expert_elements * form.expert_bytes
    embeddings = 2 * shape.vocabulary * shape.hidden_size * 2
    shared = expert_layers * shape.shared_elements * form.weight_bytes
    return np.asarray(
        (attention * form.weight_bytes + embeddings + shared) / parallelism.tensor
        + experts / parallelism.cards
    )


def places(
    shape: ModelShape,
    roof: AcceleratorRoof,
    form: Precision,
    parallelism: Parallelism,
    tokens: NDArray,
) -> NDArray:
    """Requests of `tokens` tokens each that fit at once on one attention group, at least 1."""
    ranks = np.where(
        shape.latent_attention > 0, 1.0, np.minimum(parallelism.tensor, shape.kv_heads)
    )
    elements = attended_tokens(
        tokens, shape.kv_full_elements, shape.kv_sliding_elements, shape.window_tokens
    )
    free = roof.memory_gb * 1e9 * UTILISATION - weight_bytes(shape, form, parallelism) - OTHER_BYTES
    return np.maximum(np.floor(free / (elements * form.kv_bytes / ranks)), 1.0)
