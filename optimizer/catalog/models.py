"""Models: the parts of their architecture that fix weights, KV cache and work per token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from optimizer.catalog.lookup import find_entry
from optimizer.catalog.table import load_table

__all__ = ["ModelFacts", "model", "model_names"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """One model as published; None where a figure is not known or does not apply.

    Parameters
    ----------
    name
        Hub id, e.g. `meta-llama/Llama-3.1-8B`.
    family
        Architecture it belongs to.
    parameters_total
        Parameters of the checkpoint, all experts included.
    parameters_active
        Parameters that one token uses, computed from the architecture (without vision encoders).
    native_dtype
        Type of the unquantised weights: `bfloat16` or `float16`.
    checkpoint_quantization
        `fp8` (weights of linear layers in blocks of 128 x 128 with an fp32 scale; embeddings,
        output layer and routers as `native_dtype`), `mxfp4-experts` (expert matrices at 4.25 bits,
        the rest as `native_dtype`), or None.
    weight_bits
        Bits per parameter of the checkpoint, averaged over all parameters.
    attention
        `MHA`, `GQA`, `MQA` or `MLA`.
    layers
        Layers: the sum of the next three.
    full_attention_layers, sliding_layers, linear_layers
        Layers that attend to all tokens; to the last `sliding_window_tokens`; with a recurrent
        state of fixed size.
    hidden_size, intermediate_size
        Width of the residual stream and of a dense feed-forward layer.
    attention_heads, kv_heads, head_dim
        Query heads, key-value heads, dimension of a head (for MLA of a query: no-rope + rope part).
    vocabulary_size
        Rows of the embedding.
    tied_embeddings
        Whether the output layer is the embedding.
    kv_elements_per_token_full, kv_elements_per_token_sliding
        Elements of the KV cache per token, over all layers of that kind; the second only for
        tokens within the window.
    sliding_window_tokens
        Window of the sliding or chunked layers [tokens].
    max_context_tokens
        Longest sequence (prompt and answer) the configuration allows [tokens].
    experts, experts_per_token, expert_intermediate_size
        Routed experts of a layer, those one token uses, and their width.
    shared_experts, shared_expert_intermediate_size
        Experts every token uses and their width, all together.
    first_dense_layers
        Leading layers without experts.
    kv_lora_rank, q_lora_rank, qk_rope_head_dim, qk_nope_head_dim, v_head_dim
        Multi-head latent attention: ranks of the compressed key-value and query, dimensions per
        head of the rotary and the plain part of keys, and of values.
    source
        Where the figures come from.
    note
        What one should know before using them.
    """

    name: str
    family: str
    parameters_total: int | None
    parameters_active: int | None
    native_dtype: str
    checkpoint_quantization: str | None
    weight_bits: float
    attention: str
    layers: int
    full_attention_layers: int
    sliding_layers: int
    linear_layers: int
    hidden_size: int
    intermediate_size: int
    attention_heads: int
    kv_heads: int
    head_dim: int
    vocabulary_size: int
    tied_embeddings: bool
    kv_elements_per_token_full: int
    kv_elements_per_token_sliding: int
    sliding_window_tokens: int | None
    max_context_tokens: int
    experts: int | None
    experts_per_token: int | None
    expert_intermediate_size: int | None
    shared_experts: int | None
    shared_expert_intermediate_size: int | None
    first_dense_layers: int | None
    kv_lora_rank: int | None
    q_lora_rank: int | None
    qk_rope_head_dim: int | None
    qk_nope_head_dim: int | None
    v_head_dim: int | None
    source: str
    note: str | None

    @property
    def weights_gb(self) -> float | None:
        """Size of the checkpoint's weights [GB = 1e9 bytes]; None when the total is unknown."""
        if self.parameters_total is None:
            return None
        return self.parameters_total * self.weight_bits / 8 / 1e9


@cache
def _table() -> Mapping[str, ModelFacts]:
    return load_table("models.csv", ModelFacts)


def model_names() -> tuple[str, ...]:
    """Names of all models, in the catalogue's order."""
    return tuple(_table())


def model(name: str) -> ModelFacts:
    """Facts about one model.

    Raises
    ------
    UnknownEntryError
        If the catalogue has none of that name; a `LookupError` with the nearest names.
    """
    return find_entry("model", name, _table())
