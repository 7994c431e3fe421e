"""The feed-forward part of each layer: dense, experts, both, or none."""

from __future__ import annotations

from optimizer.capacity.architecture import FeedForward
from optimizer.capacity.feed_forward import DenseFeedForward, ExpertFeedForward
from optimizer.capacity.hugging_face.conventions import Convention
from optimizer.capacity.hugging_face.fields import Fields
from optimizer.capacity.hugging_face.layer_kinds import layer_pattern

__all__ = ["read_feed_forwards"]

_EXPERTS = ("n_routed_experts", "num_local_experts", "num_experts", "moe_num_experts")
_PER_TOKEN = (
    "num_experts_per_tok",
    "num_experts_per_token",
    "experts_per_token",
    "top_k_experts",
    "moe_topk",
    "moe_top_k",
    "moe_k",
)
# No model has more experts in a layer; a larger number is a mistake.
_MOST_EXPERTS = 2**16
_WIDTH = ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "d_ff")


def read_feed_forwards(
    config: Fields, layers: int, hidden_size: int, family: Convention
) -> list[FeedForward | None]:
    """Feed-forward part of every layer; equal ones are one object."""
    pattern = layer_pattern(config)
    model_type = config.text("model_type")
    if model_type in {"mamba", "mamba2", "falcon_mamba"}:
        return [None] * layers
    experts = _experts(config, family)
    sparse = _sparse_layers(config, layers, experts is not None)
    dense = None if all(sparse) and not pattern else _dense(config, hidden_size, family)
    if pattern:
        parts = {"-": dense, "E": experts}
        return [parts.get(letter) for letter in pattern.ljust(layers)[:layers]]
    return [experts if is_sparse else dense for is_sparse in sparse]


def _dense(config: Fields, hidden_size: int, family: Convention) -> DenseFeedForward:
    """Dense layer; four times the hidden size where families without gates do not say."""
    nested = config.section("ffn_config")
    width = config.optional("intermediate_size_mlp", *_WIDTH)
    if width is None and nested is not None:
        width = nested.optional("ffn_hidden_size")
    if width is None and not family.gated:
        ratio = config.count("expansion_ratio", default=4, least=1)
        width = ratio * hidden_size
    if width is None:
        width = config.required(*_WIDTH)
    if config.text("model_type") == "qwen":
        width = max(1, width // 2)  # the first Qwen states gate and product together
    return DenseFeedForward(
        width=width,
        gated=family.gated,
        bias=config.flag("mlp_bias", "use_mlp_bias", default=family.feed_forward_bias),
    )


def _experts(config: Fields, family: Convention) -> ExpertFeedForward | None:
    nested = config.section("ffn_config")
    if nested is not None and nested.has("moe_num_experts"):
        config = nested
    experts = config.optional(*_EXPERTS, least=0, most=_MOST_EXPERTS)
    if not experts:
        return None
    width = config.required("moe_intermediate_size", "expert_ffn_hidden_size", *_WIDTH)
    per_token = config.required(*_PER_TOKEN)
    if per_token > experts:
        config.note(_present(config, _PER_TOKEN), f"more than the {experts} experts there are")
    model_type = config.text("model_type")
    is_gpt_oss = model_type == "gpt_oss"
    return ExpertFeedForward(
        experts=experts,
        experts_per_token=min(per_token, experts),
        width=width,
        gated=family.gated,
        bias=is_gpt_oss,
        router_vectors=experts if is_gpt_oss else experts * family.router_vectors,
        shared_width=_shared_width(config, width),
        latent_width=config.count("moe_latent_size", default=0),
        shared_gate=config.has("shared_expert_intermediate_size") and model_type.startswith("qwen"),
        dense_width=config.count("intermediate_size", default=0)
        if config.flag("enable_moe_block", default=False)
        else 0,
    )


def _shared_width(config: Fields, width: int) -> int:
    """Width of the experts every token uses, all together."""
    given = config.optional(
        "shared_expert_intermediate_size",
        "moe_shared_expert_intermediate_size",
        "shared_intermediate_size",
        least=0,
    )
    shared = config.count(
        "n_shared_experts", "num_shared_experts", "moe_num_shared_experts", default=0
    )
    if given is not None:
        return given * max(shared, 1)
    if config.text("model_type").startswith("llama4"):
        return width
    return shared * width


def _sparse_layers(config: Fields, layers: int, has_experts: bool) -> list[bool]:
    """Whether each layer has experts."""
    if not has_experts:
        return [False] * layers
    listed = (
        config.sequence("moe_layer_freq", layers)
        if isinstance(config.raw("moe_layer_freq"), list)
        else None
    )
    if listed is not None:
        return [bool(flag) for flag in listed]
    chosen = config.counts("moe_layers")
    if chosen is not None:
        return [place in chosen for place in range(layers)]
    if config.has("expert_layer_period"):
        period = config.count("expert_layer_period", default=1, least=1)
        offset = config.count("expert_layer_offset", default=0)
        return [place % period == offset for place in range(layers)]
    step = config.count(
        "decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_freq", default=1, least=1
    )
    first = config.count("first_k_dense_replace", "moe_layer_start_index", default=0)
    dense = config.counts("mlp_only_layers") or set()
    counted_from_one = config.has("decoder_sparse_step") or config.has("interleave_moe_layer_step")
    return [
        place >= first
        and place not in dense
        and (place + (1 if counted_from_one else 0)) % step == 0
        for place in range(layers)
    ]


def _present(config: Fields, names: tuple[str, ...]) -> str:
    return next((name for name in names if config.has(name)), names[0])
