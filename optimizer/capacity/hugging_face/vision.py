"""Encoders of images: a vision transformer and its projection into the language model."""

from __future__ import annotations

from optimizer.capacity.hugging_face.fields import Fields
from optimizer.capacity.tensors import Role, Split, Tensor

__all__ = ["image_inputs_per_token", "read_vision"]

_GATED = {"pixtral", "qwen2_5_vl", "mistral3", "gemma4_vision"}
_WITHOUT_BIAS = {"pixtral", "gemma4_vision"}
# Square of merged patches in encoders that do not name it.
_DEFAULT_MERGE = 2


def read_vision(config: Fields, hidden_size: int) -> tuple[Tensor, ...]:
    """Weights of the image encoder of a multimodal model; empty for a text model.

    The transformer blocks are counted exactly for SigLIP, CLIP, Llama-4, Pixtral and Qwen-VL
    encoders; position tables and projections follow the family's usual form.
    """
    vision = config.section("vision_config", "vision_tower_config")
    if vision is None:
        return ()
    width = vision.required("hidden_size", "width", "vt_hidden_size")
    depth = vision.required("num_hidden_layers", "depth", "layers", "vt_num_hidden_layers")
    inner = vision.optional("intermediate_size", "mlp_dim", "vt_intermediate_size")
    inner = 4 * width if inner is None else inner
    family = vision.text("model_type")
    counts = [
        depth * _block(width, inner, family),
        _patches(vision, width),
        _projection(config, vision, width, hidden_size),
    ]
    return tuple(_whole(count) for count in counts if count)


def image_inputs_per_token(config: Fields) -> int:
    """Pixel values behind one token of an image: patches merged into it, three channels each."""
    vision = config.section("vision_config", "vision_tower_config")
    if vision is None:
        return 0
    patch = vision.count("patch_size", default=14, least=1)
    tokens = config.optional("mm_tokens_per_image")
    merge = config.count("spatial_merge_size", default=0) or vision.count(
        "spatial_merge_size", default=_DEFAULT_MERGE, least=1
    )
    merged = merge * merge
    if tokens is not None:
        merged = max(1, (vision.count("image_size", default=224, least=1) // patch) ** 2 // tokens)
    return merged * patch * patch * 3


def _block(width: int, inner: int, family: str) -> int:
    """Parameters of one transformer block."""
    matrices = 4 * width * width + (3 if family in _GATED else 2) * width * inner
    if family in _WITHOUT_BIAS:
        return matrices + 2 * width
    inner_biases = 2 * inner if family in _GATED else inner
    return matrices + 4 * width + inner_biases + width + 4 * width


def _patches(vision: Fields, width: int) -> int:
    """Parameters of the patch embedding and the table of positions."""
    patch = vision.count("patch_size", default=14, least=1)
    frames = vision.count("temporal_patch_size", default=1, least=1)
    channels = vision.count("num_channels", "in_channels", "in_chans", default=3, least=1)
    family = vision.text("model_type")
    table = vision.optional("num_position_embeddings")
    if table is None and vision.has("position_embedding_size"):
        table = 2 * vision.required("position_embedding_size")
    if table is None and vision.has("init_pos_emb_height"):
        table = vision.required("init_pos_emb_height") * vision.required("init_pos_emb_width")
    if table is None and family not in {"pixtral", "qwen2_vl", "qwen2_5_vl"}:
        table = (vision.count("image_size", default=224, least=1) // patch) ** 2
        table += 1 if family.startswith("llama4") else 0
    bias = 0 if family in _WITHOUT_BIAS or family.startswith("llama4") else width
    norms = 2 * width * (2 if family.startswith("llama4") else 1)
    return patch * patch * frames * channels * width + bias + (table or 0) * width + norms


def _projection(config: Fields, vision: Fields, width: int, hidden_size: int) -> int:
    """Parameters between the encoder and the language model."""
    family = vision.text("model_type")
    if vision.has("projector_output_dim"):  # Llama 4
        inputs = vision.required("intermediate_size")
        middle = vision.required("projector_output_dim")
        outputs = vision.count("vision_output_dim", default=middle, least=1)
        inner = vision.count("projector_input_dim", default=middle, least=1)
        return inputs * inner + inner * middle + outputs * hidden_size
    if family.startswith(("siglip", "gemma")):
        return width * hidden_size + width
    merge = config.count("spatial_merge_size", default=0) or vision.count(
        "spatial_merge_size", default=_DEFAULT_MERGE, least=1
    )
    merged = width * merge * merge
    if family == "pixtral":
        return merged * width + width * hidden_size + hidden_size * hidden_size + width
    merger = merged * merged + merged + merged * hidden_size + hidden_size + 2 * width
    stages = len(vision.sequence("deepstack_visual_indexes") or ())
    return merger + stages * (merger + 2 * (merged - width))


def _whole(parameters: int) -> Tensor:
    return Tensor(role=Role.VISION, rows=1, columns=parameters, split=Split.EVEN)
