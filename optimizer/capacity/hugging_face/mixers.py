"""The token mixer of a layer: attention of any kind, or a recurrence."""

from __future__ import annotations

from collections.abc import Callable

from optimizer.capacity.architecture import Mixer
from optimizer.capacity.attention import Attention, LatentAttention, Reach
from optimizer.capacity.errors import CapacityError
from optimizer.capacity.hugging_face.conventions import Convention
from optimizer.capacity.hugging_face.fields import Fields
from optimizer.capacity.hugging_face.layer_kinds import LayerKind
from optimizer.capacity.number_formats import NumberFormat, number_format
from optimizer.capacity.recurrent import (
    Recurrent,
    gated_delta,
    kimi_delta,
    lightning,
    mamba,
    mamba2,
)

__all__ = ["read_mixer"]

# No model has more heads; a larger number is a mistake.
MOST_HEADS = 2**16
HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")


def read_mixer(
    config: Fields, kind: LayerKind, hidden_size: int, family: Convention
) -> Mixer | None:
    """Mixer of a layer of this kind; None for a layer without one."""
    if kind is LayerKind.NO_MIXER:
        return None
    if kind is LayerKind.LINEAR:
        return _linear(config, hidden_size)
    if kind is LayerKind.STATE_SPACE:
        return _state_space(config, hidden_size)
    if config.has("kv_lora_rank"):
        return _latent(config, hidden_size)
    return _attention(config, kind, hidden_size, family)


def _latent(config: Fields, hidden_size: int) -> LatentAttention:
    heads = config.required(*HEADS, most=MOST_HEADS)
    return LatentAttention(
        heads=heads,
        kv_lora_rank=config.required("kv_lora_rank"),
        q_lora_rank=config.optional("q_lora_rank"),
        rope_dim=config.required("qk_rope_head_dim", least=0),
        plain_dim=config.required("qk_nope_head_dim"),
        value_dim=config.count("v_head_dim", default=max(1, hidden_size // heads), least=1),
        indexer_heads=config.count("index_n_heads", default=0),
        indexer_dim=config.count("index_head_dim", default=0),
    )


def _attention(config: Fields, kind: LayerKind, hidden_size: int, family: Convention) -> Attention:
    heads = config.required(*HEADS, most=MOST_HEADS)
    head_dim = config.optional("head_dim", "attention_head_dim", "kv_channels") or max(
        1, hidden_size // heads
    )
    kv_heads = _kv_heads(config, heads)
    value_dim = config.count("v_head_dim", default=head_dim, least=1)
    shares = False
    if kind is LayerKind.SLIDING:
        heads = config.count("swa_num_attention_heads", default=heads, least=1)
        kv_heads = config.count("swa_num_key_value_heads", default=kv_heads, least=1)
        head_dim = config.count("swa_head_dim", default=head_dim, least=1)
        value_dim = config.count("swa_v_head_dim", default=value_dim, least=1)
    elif config.has("global_head_dim"):
        head_dim = value_dim = config.required("global_head_dim")
        shares = config.flag("attention_k_eq_v", default=False)
        if shares:
            kv_heads = config.count("num_global_key_value_heads", default=kv_heads, least=1)
    if heads % kv_heads and not config.faulty:
        config.note(
            "num_key_value_heads", f"{kv_heads} key-value heads do not divide {heads} heads"
        )
    reach, window = _reach(config, kind)
    has_bias = config.flag("attention_bias", "qkv_bias", "add_qkv_bias", "bias", default=False)
    head_norms = family.head_norms or (
        config.flag("use_qk_norm", "qk_layernorm", default=False)
        and not config.text("model_type").startswith("llama4")  # its norms have no weights
    )
    return Attention(
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        value_dim=value_dim,
        reach=reach,
        window=window,
        query_bias=has_bias or family.query_bias,
        output_bias=(has_bias and family.bias_everywhere) or family.output_bias,
        norm_elements=2 * head_dim if head_norms else 0,
        output_gate=config.flag("attn_output_gate", default=family.output_gate),
        keys_are_values=shares,
        sinks=config.text("model_type") == "gpt_oss",
    )


def _kv_heads(config: Fields, heads: int) -> int:
    """Key-value heads; without a field that says so, as many as heads."""
    if config.text("model_type") == "falcon":
        if config.flag("new_decoder_architecture", default=False):
            return config.count("num_kv_heads", default=heads, least=1)
        return 1 if config.flag("multi_query", default=True) else heads
    given = config.optional(
        "num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num"
    )
    nested = config.section("attn_config")
    if given is None and nested is not None:
        given = nested.optional("kv_n_heads")
    if given is None and config.flag("multi_query", default=False):
        return 1
    return heads if given is None else given


def _reach(config: Fields, kind: LayerKind) -> tuple[Reach, int | None]:
    if kind is LayerKind.SLIDING:
        return Reach.SLIDING, config.required("sliding_window", "sliding_window_size")
    if kind is LayerKind.CHUNKED:
        return Reach.CHUNKED, config.required("attention_chunk_size")
    return Reach.FULL, None


def _linear(config: Fields, hidden_size: int) -> Recurrent:
    if config.has("linear_num_value_heads"):
        return gated_delta(
            hidden_size,
            key_heads=config.required("linear_num_key_heads"),
            value_heads=config.required("linear_num_value_heads"),
            key_dim=config.required("linear_key_head_dim"),
            value_dim=config.required("linear_value_head_dim"),
            convolution=config.count("linear_conv_kernel_dim", default=4, least=1),
            state_format=_state_format(config),
        )
    kimi = config.section("linear_attn_config")
    if kimi is not None:
        return kimi_delta(
            hidden_size,
            heads=kimi.required("num_heads", most=MOST_HEADS),
            head_dim=kimi.required("head_dim"),
            convolution=kimi.count("short_conv_kernel_size", default=4, least=1),
            state_format=number_format("float32"),
        )
    heads = config.required(*HEADS, most=MOST_HEADS)
    return lightning(
        hidden_size,
        heads=heads,
        head_dim=config.count("head_dim", default=max(1, hidden_size // heads), least=1),
    )


def _state_space(config: Fields, hidden_size: int) -> Recurrent:
    """Mamba-2 where there are heads of the recurrence, Mamba otherwise."""
    read: Callable[..., int] = config.count
    inner = int(config.number("mamba_expand", "expand", default=2.0) * hidden_size)
    state = config.required("mamba_d_state", "ssm_state_size", "state_size", "mamba_state_dim")
    convolution = read("mamba_d_conv", "conv_kernel", default=4, least=1)
    heads = config.optional("mamba_n_heads", "mamba_num_heads", most=MOST_HEADS)
    if heads is None and config.text("model_type") == "mamba2":
        heads = config.required("num_heads", most=MOST_HEADS)
    if heads is not None:
        return mamba2(
            hidden_size,
            heads=heads,
            head_dim=read("mamba_d_head", "mamba_head_dim", "head_dim", default=64, least=1),
            groups=read("mamba_n_groups", "n_groups", default=1, least=1),
            state=state,
            convolution=convolution,
            state_format=_state_format(config),
        )
    return mamba(
        hidden_size,
        inner=read("intermediate_size", default=inner, least=1)
        if config.has("state_size")
        else inner,
        state=state,
        convolution=convolution,
        rank=read("mamba_dt_rank", "time_step_rank", default=-(-hidden_size // 16), least=1),
        norms=config.text("model_type") == "jamba",
    )


def _state_format(config: Fields) -> NumberFormat | None:
    """Format of the recurrent state, where the configuration names it."""
    for name in ("mamba_ssm_dtype", "mamba_ssm_cache_dtype"):
        given = config.text(name)
        if given:
            try:
                return number_format(given, field=name)
            except CapacityError as error:
                config.note(name, error.wanted)
    return None
