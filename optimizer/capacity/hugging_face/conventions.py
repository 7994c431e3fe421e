"""What a family of models does without saying so in its configuration: biases, norms, gates.

These parts are some 0.01 % of the parameters; they never decide what attention a layer has or what
it keeps per token, which is read from the configuration alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

__all__ = ["Convention", "convention", "omitted_fields"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Convention:
    """Defaults of a family, as its implementation in the transformers library has them.

    Parameters
    ----------
    query_bias, output_bias, feed_forward_bias, lm_head_bias
        Where there are biases, unless the configuration says otherwise.
    bias_everywhere
        Whether `attention_bias: true` includes the output projection.
    head_norms
        Whether queries and keys are normalised per head.
    norms
        Norms per layer.
    layer_norm_bias
        Whether norms have a bias as well.
    gated
        Whether feed-forward layers have a gate.
    learned_positions
        Whether there is a table of position embeddings; `position_offset` rows more than positions.
    rotary
        Whether there are rotary embeddings.
    tied
        Whether the output layer is the embedding where the configuration does not say.
    sliding_period
        Every how many layers one is full where the others slide, unless said; 0: not by default.
    output_gate
        Whether attention has an output gate.
    router_vectors
        Parameters of a router's correction per expert.
    embedding_norm
        Whether the embedding is followed by a norm.
    context
        Longest sequence where the configuration does not say; 0: it has to.
    """

    query_bias: bool = False
    output_bias: bool = False
    bias_everywhere: bool = True
    feed_forward_bias: bool = False
    lm_head_bias: bool = False
    head_norms: bool = False
    norms: int = 2
    layer_norm_bias: bool = False
    gated: bool = True
    learned_positions: bool = False
    position_offset: int = 0
    rotary: bool = True
    tied: bool = False
    sliding_period: int = 0
    output_gate: bool = False
    router_vectors: int = 0
    embedding_norm: bool = False
    context: int = 0


_QWEN2 = Convention(query_bias=True, bias_everywhere=False)
_QWEN3 = Convention(head_norms=True)
_DEEPSEEK = Convention(router_vectors=1)
_GEMMA3 = Convention(head_norms=True, norms=4, tied=True, sliding_period=6)
# Before Llama: biases everywhere, layer norms with biases, feed-forwards without a gate.
_BIASED = Convention(
    query_bias=True,
    output_bias=True,
    feed_forward_bias=True,
    layer_norm_bias=True,
    gated=False,
)
_GPT2 = replace(_BIASED, learned_positions=True, rotary=False, tied=True)
_CONVENTIONS: dict[str, Convention] = {
    "qwen": _QWEN2,
    "qwen2": _QWEN2,
    "qwen2_moe": _QWEN2,
    "qwen2_vl": _QWEN2,
    "qwen2_5_vl": _QWEN2,
    "qwen3": _QWEN3,
    "qwen3_moe": _QWEN3,
    "qwen3_vl": _QWEN3,
    "qwen3_vl_moe": _QWEN3,
    "qwen3_next": Convention(head_norms=True, output_gate=True),
    "qwen3_5": Convention(head_norms=True, output_gate=True),
    "qwen3_5_moe": Convention(head_norms=True, output_gate=True),
    "gemma": Convention(tied=True),
    "gemma2": Convention(norms=4, tied=True, sliding_period=2),
    "gemma3": _GEMMA3,
    "gemma3_text": _GEMMA3,
    "gemma4": _GEMMA3,
    "deepseek_v3": _DEEPSEEK,
    "deepseek_v32": _DEEPSEEK,
    "kimi_k2": _DEEPSEEK,
    "glm_moe_dsa": _DEEPSEEK,
    "glm4": Convention(norms=4, bias_everywhere=False),
    "glm4_moe": Convention(bias_everywhere=False, router_vectors=1),
    "gpt_oss": Convention(query_bias=True, output_bias=True),
    "cohere": Convention(norms=1, tied=True),
    "cohere2": Convention(norms=1, tied=True, sliding_period=4),
    "olmo2": Convention(head_norms=True),
    "phi": replace(_BIASED, lm_head_bias=True, norms=1),
    "falcon": Convention(norms=1, layer_norm_bias=True, gated=False, tied=True, context=2048),
    "gpt2": _GPT2,
    "gpt_bigcode": _GPT2,
    "opt": replace(_GPT2, position_offset=2),
    "bloom": replace(_BIASED, rotary=False, tied=True, embedding_norm=True, context=2048),
    "gpt_neox": _BIASED,
    "gptj": Convention(
        feed_forward_bias=True,
        lm_head_bias=True,
        norms=1,
        layer_norm_bias=True,
        gated=False,
    ),
    "exaone4": Convention(head_norms=True),
    "starcoder2": replace(_BIASED, tied=True),
    "mpt": Convention(gated=False, rotary=False, tied=True),
    "nemotron": Convention(gated=False, layer_norm_bias=True),
    "nemotron_h": Convention(gated=False, norms=1, rotary=False),
    "minimax_m2": Convention(head_norms=True, router_vectors=1),
    "jamba": Convention(rotary=False),
    "mamba": Convention(norms=1, rotary=False, tied=True),
    "falcon_mamba": Convention(norms=1, rotary=False, tied=True),
    "mamba2": Convention(norms=1, rotary=False),
}

# Published configurations leave out of `text_config` what is the default of its class: Gemma 3 4B
# names neither heads nor vocabulary (`Gemma3TextConfig` of the transformers library).
_OMITTED: dict[str, dict[str, float]] = {
    "gemma3_text": {
        "vocab_size": 262_208,
        "hidden_size": 2304,
        "intermediate_size": 9216,
        "num_hidden_layers": 26,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "max_position_embeddings": 131_072,
        "sliding_window": 4096,
        "rope_local_base_freq": 10_000.0,
    },
}


def omitted_fields(model_type: str) -> Mapping[str, float]:
    """Fields that a section of this type may leave out, with the values that they then have."""
    return _OMITTED.get(model_type, {})


def convention(model_type: str) -> Convention:
    """Conventions of a model type; those of Llama for one that is not known."""
    return _CONVENTIONS.get(
        model_type, _CONVENTIONS.get(model_type.removesuffix("_text"), Convention())
    )
