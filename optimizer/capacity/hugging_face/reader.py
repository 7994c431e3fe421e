"""A model's configuration, as its hub repository has it in `config.json`, into an architecture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optimizer.capacity.architecture import Architecture, Layer, Mixer
from optimizer.capacity.attention import Attention
from optimizer.capacity.hugging_face.conventions import Convention, convention, omitted_fields
from optimizer.capacity.hugging_face.feed_forwards import read_feed_forwards
from optimizer.capacity.hugging_face.fields import Fields
from optimizer.capacity.hugging_face.layer_kinds import LayerKind, layer_kinds, layer_pattern
from optimizer.capacity.hugging_face.mixers import HEADS, MOST_HEADS, read_mixer
from optimizer.capacity.hugging_face.quantization import (
    read_kv_format,
    read_native_format,
    read_weight_format,
)
from optimizer.capacity.hugging_face.vision import image_inputs_per_token, read_vision
from optimizer.capacity.recurrent import Recurrent
from optimizer.errors import Fault, SpecError

__all__ = ["read_architecture", "read_configuration"]

# No model has more layers; a larger number is a mistake that would only cost memory.
_MOST_LAYERS = 10_000
_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_TEXT_SECTIONS = ("text_config", "llm_config", "language_config")
_CONTEXT = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
    "max_sequence_length",
    "model_max_length",
    "n_ctx",
)

# Fields that say a model is built in a way this reader does not know; guessing would be wrong.
_NOT_READ = {
    "block_configs": "layers that differ one by one (searched architectures)",
    "compress_ratios": "attention over compressed tokens",
    "is_encoder_decoder": "an encoder-decoder model",
    "cross_attention_layers": "layers that attend to an image encoder (Llama 3.2 Vision)",
    "mamba_d_ssm": "attention and a state-space part side by side in a layer (Falcon-H1)",
    "hybrid_layer_ids": "blocks that several layers share (Zamba)",
    "lru_width": "gated linear recurrences (RecurrentGemma)",
    "parallel_attn_mlp_res": "experts beside a residual feed-forward part (Arctic)",
    "altup_num_inputs": "several residual streams and embeddings per layer (Gemma 3n)",
}


def read_configuration(path: Path) -> Mapping[str, Any]:
    """Document of a `config.json`, or of the one in a directory.

    Raises
    ------
    SpecError
        If the file cannot be read or is not a JSON object.
    """
    file = path / "config.json" if path.is_dir() else path
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise _broken(file, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _broken(file, f"is not UTF-8 text: {error}") from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise _broken(file, f"is not JSON: {error}") from error
    if not isinstance(document, Mapping):
        raise _broken(file, "must be a JSON object, the config.json of a model")
    apart = file.parent / "hf_quant_config.json"
    if "quantization_config" not in document and file.name == "config.json" and apart.is_file():
        return {**document, "quantization_config": _modelopt_document(apart)}
    return document


def _modelopt_document(file: Path) -> Mapping[str, Any]:
    """Quantisation that NVIDIA's Model Optimizer writes beside the configuration."""
    described = read_configuration(file).get("quantization")
    if not isinstance(described, Mapping):
        raise _broken(file, "has no section `quantization`")
    return {"quant_method": "modelopt", **described}


def read_architecture(document: Mapping[str, Any], name: str) -> Architecture:
    """Architecture of a configuration.

    Parameters
    ----------
    document
        The fields of a `config.json`; those of the language model may be in `text_config`.
    name
        Hub id or file, for messages.

    Raises
    ------
    SpecError
        If fields are missing or wrong; every fault names its field.
    """
    whole = Fields(document, name)
    config = _language_model(whole)
    _refuse_unknown(config)
    pattern = layer_pattern(config)
    layers = len(pattern) or config.required(*_LAYERS, most=_MOST_LAYERS)
    hidden_size = config.required("hidden_size", "n_embd", "n_embed", "d_model")
    vocabulary_size = config.required("vocab_size", "padded_vocab_size")
    model_type = config.text("model_type", default=whole.text("model_type"))
    family = convention(model_type)
    stack = _layers(config, layers, hidden_size, family)
    max_context = _max_context(config, family, stack)
    native = read_native_format(
        config if config.has("dtype") or config.has("torch_dtype") else whole
    )
    vision = read_vision(whole, hidden_size)
    quantized = whole if whole.has("quantization_config") else config
    weight_format = read_weight_format(quantized, native, layers)
    kv_format_name = read_kv_format(quantized)
    tied = whole.flag(
        "tie_word_embeddings", default=config.flag("tie_word_embeddings", default=family.tied)
    )
    whole.raise_faults()
    classes = whole.sequence("architectures") or ()
    return Architecture(
        name=name,
        class_name=str(classes[0]) if classes else "",
        model_type=model_type,
        hidden_size=hidden_size,
        layers=stack,
        vocabulary_size=vocabulary_size,
        tied_embeddings=tied,
        max_context_tokens=max_context,
        native_format=native,
        weight_format=weight_format,
        kv_format_name=kv_format_name,
        extra_vectors=_extra_vectors(config, family, hidden_size, vocabulary_size),
        vision=vision,
        rotary_tables=_rotary_tables(config, family, stack, max_context),
        image_inputs_per_token=image_inputs_per_token(whole),
    )


def _language_model(whole: Fields) -> Fields:
    """Section of the language model, with what its type lets it leave out; or the whole."""
    section = whole.section(*_TEXT_SECTIONS)
    if section is None:
        return whole
    return section.completed(omitted_fields(section.text("model_type")))


def _layers(config: Fields, layers: int, hidden_size: int, family: Convention) -> tuple[Layer, ...]:
    kinds = layer_kinds(config, layers, family)
    if any(kind in {LayerKind.FULL, LayerKind.SLIDING, LayerKind.CHUNKED} for kind in kinds):
        config.required(*HEADS, most=MOST_HEADS)
    mixers: dict[LayerKind, Mixer | None] = {
        kind: read_mixer(config, kind, hidden_size, family) for kind in dict.fromkeys(kinds)
    }
    parts = read_feed_forwards(config, layers, hidden_size, family)
    norms = family.norms
    if config.flag("new_decoder_architecture", default=False):
        norms = 2  # Falcon 40B and larger: one norm before each of the parallel parts
    elements = norms * hidden_size * (2 if family.layer_norm_bias else 1)
    known: dict[tuple[LayerKind, int], Layer] = {}
    stack = []
    for kind, part in zip(kinds, parts, strict=True):
        key = (kind, id(part))
        if key not in known:
            known[key] = Layer(mixer=mixers[kind], feed_forward=part, norm_elements=elements)
        stack.append(known[key])
    return tuple(stack)


def _max_context(config: Fields, family: Convention, stack: tuple[Layer, ...]) -> int:
    """Longest sequence, after the scaling of rotary embeddings that extends it.

    The rule is vLLM's (`_get_and_verify_max_len`): YaRN multiplies the original length, linear and
    dynamic scaling multiply the stated one, Llama-3's and longrope are already in it.
    """
    if all(layer.mixer is None or isinstance(layer.mixer, Recurrent) for layer in stack):
        return config.count(*_CONTEXT, default=2**20, least=1)
    stated = config.optional(*_CONTEXT) or family.context or config.required(*_CONTEXT)
    scaling = config.section("rope_scaling", "rope_parameters")
    if scaling is None:
        return stated
    kind = scaling.text("rope_type", "type")
    factor = scaling.number("factor", default=1.0)
    if kind == "yarn":
        original = scaling.count("original_max_position_embeddings", default=stated, least=1)
        return int(original * factor)
    gemma = config.text("model_type").startswith("gemma3")
    return int(stated * factor) if kind in {"linear", "dynamic"} and not gemma else stated


def _extra_vectors(
    config: Fields, family: Convention, hidden_size: int, vocabulary_size: int
) -> int:
    """Parameters of the final norm, of learned positions, of an output bias."""
    norm = hidden_size * (2 if family.layer_norm_bias else 1)
    elements = norm * (2 if family.embedding_norm else 1)
    if family.learned_positions:
        elements += (config.required(*_CONTEXT) + family.position_offset) * hidden_size
    return elements + (vocabulary_size if family.lm_head_bias else 0)


def _rotary_tables(
    config: Fields, family: Convention, stack: tuple[Layer, ...], max_context: int
) -> tuple[tuple[int, int], ...]:
    """Rows and columns of each rotary table: one per kind of attention with its own frequencies.

    A table has a row per position; with linear scaling, a row per scaled position (vLLM,
    `LinearScalingRotaryEmbedding`: eight times 128K rows for the full layers of Gemma 3).
    """
    if not family.rotary or config.flag("alibi", default=False):
        return ()
    latent = config.optional("qk_rope_head_dim", least=0)
    if latent is not None:
        return ((max_context, latent),) if latent else ()
    rope = config.section("rope_parameters", "rope_scaling")
    part = config.number("partial_rotary_factor", "rotary_pct", default=1.0)
    if rope is not None:
        part = rope.number("partial_rotary_factor", default=part)
    linear = rope is not None and rope.text("rope_type", "type") == "linear"
    stretch = int(rope.number("factor", default=1.0)) if linear and rope is not None else 1
    if not config.text("model_type").startswith("gemma3"):
        stretch = 1  # already in the length
    given = config.optional("rotary_dim")
    local = config.has("rope_local_base_freq")
    tables = {
        (
            max_context * (1 if local and mixer.window is not None else stretch),
            given or int(mixer.head_dim * part),
            local and mixer.window is not None,
        )
        for mixer in dict.fromkeys(layer.mixer for layer in stack)
        if isinstance(mixer, Attention)
    }
    return tuple((rows, columns) for rows, columns, _ in sorted(tables))


def _refuse_unknown(config: Fields) -> None:
    for field, what in _NOT_READ.items():
        if config.raw(field):
            config.note(field, f"{what}: not read, because guessing would be wrong")
    config.raise_faults()


def _broken(file: Path, message: str) -> SpecError:
    return SpecError([Fault(message=message, source=str(file))])
