"""Which kind of token mixer each layer has, from the fields that say so."""

from __future__ import annotations

from enum import StrEnum

from optimizer.capacity.hugging_face.conventions import Convention
from optimizer.capacity.hugging_face.fields import Fields

__all__ = ["LayerKind", "layer_kinds", "layer_pattern"]


class LayerKind(StrEnum):
    """Kind of the mixer of a layer, as configurations name it."""

    FULL = "full_attention"
    SLIDING = "sliding_attention"
    CHUNKED = "chunked_attention"
    LINEAR = "linear_attention"
    STATE_SPACE = "mamba"
    NO_MIXER = "none"


_WORDS = {
    "full_attention": LayerKind.FULL,
    "attention": LayerKind.FULL,
    "full": LayerKind.FULL,
    "deepseek_sparse_attention": LayerKind.FULL,
    "sliding_attention": LayerKind.SLIDING,
    "local_attention": LayerKind.SLIDING,
    "chunked_attention": LayerKind.CHUNKED,
    "linear_attention": LayerKind.LINEAR,
    "mamba": LayerKind.STATE_SPACE,
    "mamba2": LayerKind.STATE_SPACE,
    "mlp": LayerKind.NO_MIXER,
    "moe": LayerKind.NO_MIXER,
}

# Nemotron-H's letters: M mamba, * attention, - dense layer, E experts.
PATTERN_LETTERS = {"mamba": "M", "attention": "*", "mlp": "-", "moe": "E"}


def layer_kinds(config: Fields, layers: int, family: Convention) -> list[LayerKind]:
    """Kind of every layer's mixer.

    Parameters
    ----------
    config
        The text model's section.
    layers
        Layers there are.
    family
        Conventions, for the period of windows where the configuration names a window alone.
    """
    for read in (_lettered, _listed, _by_period):
        kinds = read(config, layers)
        if kinds is not None:
            return kinds
    return _windowed(config, layers, family)


def layer_pattern(config: Fields) -> str:
    """Return the letters of Nemotron-H's layers; "" for a model whose layers have both parts."""
    pattern = config.text("hybrid_override_pattern")
    if pattern or config.text("model_type") != "nemotron_h":
        return pattern
    for name in ("layers_block_type", "layer_types"):
        words = config.sequence(name)
        if words and set(map(str, words)) <= set(PATTERN_LETTERS):
            return "".join(PATTERN_LETTERS[str(word)] for word in words)
    return ""


def _listed(config: Fields, layers: int) -> list[LayerKind] | None:
    """Read `layer_types` and other lists with an entry per layer."""
    words = config.sequence("layer_types", layers)
    if words is None:
        words = config.sequence("layers_block_type", layers)
    if words is not None:
        unknown = sorted({str(word) for word in words} - set(_WORDS))
        if unknown:
            config.note("layer_types", f"unknown kinds: {', '.join(unknown)}")
        return [_WORDS.get(str(word), LayerKind.FULL) for word in words]
    slides = config.sequence("hybrid_layer_pattern", layers)
    if slides is not None:
        return [LayerKind.SLIDING if flag else LayerKind.FULL for flag in slides]
    softmax = config.sequence("attn_type_list", layers)
    if softmax is not None:
        return [LayerKind.FULL if flag else LayerKind.LINEAR for flag in softmax]
    # An empty list is how Llama 4's configurations leave it to the interval.
    rotary = config.sequence("no_rope_layers", layers) if config.raw("no_rope_layers") else None
    if rotary is not None and config.has("attention_chunk_size"):
        return [LayerKind.CHUNKED if flag else LayerKind.FULL for flag in rotary]
    return _indexed(config, layers)


def _indexed(config: Fields, layers: int) -> list[LayerKind] | None:
    """Read lists of the numbers of layers: `attn_layer_indices`, Kimi's `linear_attn_config`."""
    full = config.counts("attn_layer_indices")
    if full is not None:
        return [
            LayerKind.FULL if place in full else LayerKind.STATE_SPACE for place in range(layers)
        ]
    linear = config.section("linear_attn_config")
    numbers = linear.counts("full_attn_layers") if linear is not None else None
    if numbers is None:
        return None
    # Counted from 1.
    return [LayerKind.FULL if place + 1 in numbers else LayerKind.LINEAR for place in range(layers)]


def _lettered(config: Fields, layers: int) -> list[LayerKind] | None:
    """Read Nemotron-H's pattern, where a layer is either a mixer or a feed-forward part."""
    pattern = layer_pattern(config)
    if not pattern:
        return None
    letters = {"M": LayerKind.STATE_SPACE, "*": LayerKind.FULL}
    if len(pattern) != layers or not set(pattern) <= set("M*-E"):
        config.note("hybrid_override_pattern", f"must be {layers} letters of M, *, - and E")
        return [LayerKind.FULL] * layers
    return [letters.get(letter, LayerKind.NO_MIXER) for letter in pattern]


def _by_period(config: Fields, layers: int) -> list[LayerKind] | None:
    """Read `attn_layer_period` (Jamba), `full_attention_interval`, `no_rope_layer_interval`."""
    period = config.optional("attn_layer_period")
    if period is not None:
        offset = config.count("attn_layer_offset", default=0)
        return _every(period, offset, layers, LayerKind.STATE_SPACE)
    if config.has("linear_num_value_heads"):
        period = config.count("full_attention_interval", default=4, least=1)
        return _every(period, period - 1, layers, LayerKind.LINEAR)
    if config.has("attention_chunk_size") and not config.has("hybrid_layer_pattern"):
        period = config.count("no_rope_layer_interval", default=4, least=1)
        return _every(period, period - 1, layers, LayerKind.CHUNKED)
    stateful = config.has("state_size") or config.has("ssm_state_size")
    if stateful and not config.has("num_attention_heads"):
        return [LayerKind.STATE_SPACE] * layers
    return None


def _every(period: int, offset: int, layers: int, others: LayerKind) -> list[LayerKind]:
    return [
        LayerKind.FULL if place % period == offset % period else others for place in range(layers)
    ]


def _windowed(config: Fields, layers: int, family: Convention) -> list[LayerKind]:
    """Read `sliding_window` with the fields that say which layers it is for."""
    window = config.optional("sliding_window")
    if window is None or not config.flag("use_sliding_window", default=True):
        return [LayerKind.FULL] * layers
    if config.has("max_window_layers") and config.has("use_sliding_window"):
        first = config.count("max_window_layers", default=layers)
        return [LayerKind.SLIDING if place >= first else LayerKind.FULL for place in range(layers)]
    letters = config.raw("sliding_window_pattern")
    if isinstance(letters, str) and letters and set(letters) <= {"L", "G"}:
        # EXAONE's pattern of local and global layers, repeated.
        repeated = letters * layers
        return [
            LayerKind.SLIDING if letter == "L" else LayerKind.FULL for letter in repeated[:layers]
        ]
    period = config.count("sliding_window_pattern", default=family.sliding_period)
    if period == 0:
        return [LayerKind.SLIDING] * layers
    return _every(period, period - 1, layers, LayerKind.SLIDING)
