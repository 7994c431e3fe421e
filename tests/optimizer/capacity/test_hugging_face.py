"""Configurations of the hub are read as the engines read them, from fields and not from names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from optimizer.capacity import ModelArchitecture, max_context_len
from optimizer.errors import SpecError
from tests.optimizer.capacity.configurations import SMALL, small


def kinds(config: dict[str, Any]) -> list[str]:
    """Kind of every layer's mixer."""
    layers = ModelArchitecture(config).architecture.layers
    return [
        "none"
        if layer.mixer is None
        else getattr(layer.mixer, "reach", None) or layer.mixer.recurrence.value
        for layer in layers
    ]


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, ["full"] * 4),
        ({"sliding_window": 128}, ["sliding"] * 4),
        ({"sliding_window": 128, "use_sliding_window": False}, ["full"] * 4),
        (
            {"sliding_window": 128, "use_sliding_window": True, "max_window_layers": 3},
            ["full"] * 3 + ["sliding"],
        ),
        ({"sliding_window": 128, "model_type": "gemma2"}, ["sliding", "full"] * 2),
        (
            {"sliding_window": 128, "sliding_window_pattern": 3},
            ["sliding", "sliding", "full", "sliding"],
        ),
        (
            {"sliding_window": 128, "sliding_window_pattern": "LLG"},
            ["sliding", "sliding", "full", "sliding"],
        ),
        ({"attention_chunk_size": 64, "no_rope_layers": []}, ["chunked"] * 3 + ["full"]),
        (
            {"sliding_window": 9, "layer_types": ["sliding_attention", "full_attention"] * 2},
            ["sliding", "full"] * 2,
        ),
        ({"attention_chunk_size": 64}, ["chunked"] * 3 + ["full"]),
        (
            {"attention_chunk_size": 64, "no_rope_layers": [1, 0, 1, 0]},
            ["chunked", "full"] * 2,
        ),
        (
            {"sliding_window": 64, "hybrid_layer_pattern": [0, 1, 1, 0]},
            ["full", "sliding"] * 1 + ["sliding", "full"],
        ),
        ({"attn_type_list": [0, 0, 0, 1]}, ["lightning"] * 3 + ["full"]),
        (
            {"attn_layer_period": 4, "attn_layer_offset": 2, "mamba_d_state": 16},
            ["mamba", "mamba", "full", "mamba"],
        ),
        (
            {"attn_layer_indices": [1], "mamba_n_heads": 8, "mamba_d_state": 16},
            ["mamba2", "full", "mamba2", "mamba2"],
        ),
        (
            {
                "linear_num_value_heads": 4,
                "linear_num_key_heads": 2,
                "linear_key_head_dim": 16,
                "linear_value_head_dim": 16,
            },
            ["gated-delta"] * 3 + ["full"],
        ),
        (
            {
                "linear_attn_config": {
                    "kda_layers": [1, 2, 3],
                    "full_attn_layers": [4],
                    "num_heads": 4,
                    "head_dim": 16,
                }
            },
            ["kimi-delta"] * 3 + ["full"],
        ),
        (
            {"hybrid_override_pattern": "M-M*", "ssm_state_size": 16, "mamba_num_heads": 8},
            ["mamba2", "none", "mamba2", "full"],
        ),
    ],
)
def test_kinds_of_layers(fields: dict[str, Any], wanted: list[str]) -> None:
    """Every way in which configurations say which layers see what."""
    assert kinds(small(**fields)) == wanted


@pytest.mark.parametrize(
    ("fields", "kv_heads"),
    [
        ({"num_key_value_heads": None}, 8),
        ({"num_key_value_heads": None, "multi_query": True}, 1),
        ({"num_key_value_heads": None, "num_kv_heads": 4}, 4),
        ({"num_key_value_heads": None, "multi_query_group_num": 2}, 2),
        ({"num_key_value_heads": None, "attn_config": {"kv_n_heads": 4}}, 4),
        ({"num_key_value_heads": None, "model_type": "falcon"}, 1),
        (
            {
                "num_key_value_heads": None,
                "model_type": "falcon",
                "new_decoder_architecture": True,
                "num_kv_heads": 4,
            },
            4,
        ),
    ],
)
def test_key_value_heads_by_any_name(fields: dict[str, Any], kv_heads: int) -> None:
    """As many as heads where nothing says otherwise."""
    assert ModelArchitecture(small(**fields)).get_kv_cache_detail().num_key_value_heads == kv_heads


def test_old_names_of_fields_are_understood() -> None:
    """GPT-2: `n_layer`, `n_embd`, `n_head`, `n_positions`; 124,439,808 parameters."""
    gpt2 = {
        "model_type": "gpt2",
        "n_layer": 12,
        "n_embd": 768,
        "n_head": 12,
        "n_positions": 1024,
        "vocab_size": 50257,
    }
    found = ModelArchitecture(gpt2)
    assert found.num_parameters == 124_439_808
    assert found.max_context_tokens == 1024


def test_the_language_model_may_be_in_a_section() -> None:
    """`text_config` is read, and faults name their path in it."""
    assert (
        ModelArchitecture({"text_config": SMALL}).num_parameters
        == ModelArchitecture(SMALL).num_parameters
    )
    with pytest.raises(SpecError, match=r"text_config\.num_hidden_layers: is missing"):
        ModelArchitecture({"text_config": small(num_hidden_layers=None)})


@pytest.mark.parametrize(
    ("scaling", "longest"),
    [
        (None, 4096),
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 2048}, 8192),
        ({"type": "linear", "factor": 2.0}, 8192),
        ({"rope_type": "llama3", "factor": 8.0}, 4096),
        ({"rope_type": "longrope", "factor": 8.0}, 4096),
    ],
)
def test_scaling_extends_the_context(scaling: dict[str, Any] | None, longest: int) -> None:
    """YaRN multiplies the original length, linear scaling the stated one, others neither."""
    assert max_context_len(small(rope_scaling=scaling)) == longest


@pytest.mark.parametrize(
    ("config", "name", "bits"),
    [
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8-block", 8 + 32 / 128**2),
        ({"quant_method": "fp8"}, "fp8", 8 + 32 / 256),
        ({"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True}, "int4", 4.125),
        ({"quant_method": "gptq", "bits": 3, "group_size": 128, "sym": True}, "int3", 3.125),
        ({"quant_method": "awq", "bits": 4, "group_size": 64, "zero_point": True}, "int4", 4.3125),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "nf4", 4.126953125),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "int8", 8 + 32 / 256),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "nvfp4", 4.5),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, "fp8", 8 + 32 / 256),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {
                    "group_0": {"weights": {"num_bits": 4, "type": "int", "group_size": 32}}
                },
            },
            "int4",
            4.5,
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {
                    "group_0": {"weights": {"num_bits": 4, "type": "float", "group_size": 16}}
                },
            },
            "nvfp4",
            4.5,
        ),
    ],
)
def test_quantised_checkpoints(config: dict[str, Any], name: str, bits: float) -> None:
    """Name, and bits per weight of the first matrix (256 inputs), scales included."""
    architecture = ModelArchitecture(small(quantization_config=config)).architecture
    matrix = next(t for t, _ in architecture.tensors if t.role.value == "attention")
    form = architecture.weight_format
    assert form.name == name
    assert float(form.bits(matrix, architecture.native_format)) == pytest.approx(bits)


def test_modules_that_are_left_out_keep_their_format() -> None:
    """Attention left out in all layers stays in 16 bits; norms' names say nothing of attention."""
    left_out = ["model.layers.*.self_attn", "model.layers.1.post_attention_layernorm", "lm_head"]
    config = {"quant_method": "fp8", "modules_to_not_convert": left_out}
    roles = ModelArchitecture(small(quantization_config=config)).architecture.weight_format.roles
    assert "attention" not in {role.value for role in roles}
    assert "feed_forward" in {role.value for role in roles}
    few = {"quant_method": "fp8", "modules_to_not_convert": ["model.layers.0.self_attn.q_proj"]}
    roles = ModelArchitecture(small(quantization_config=few)).architecture.weight_format.roles
    assert "attention" in {role.value for role in roles}


def test_a_file_and_a_directory_are_read(tmp_path: Path) -> None:
    """A `config.json`, or the directory it is in; a quantisation beside it counts."""
    file = tmp_path / "config.json"
    file.write_text(json.dumps(SMALL), encoding="utf-8")
    by_file, by_directory = ModelArchitecture(str(file)), ModelArchitecture(tmp_path)
    assert by_file.num_parameters == by_directory.num_parameters
    assert by_file.architecture.weight_format.name == "bfloat16"
    beside = {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8"}}
    (tmp_path / "hf_quant_config.json").write_text(json.dumps(beside), encoding="utf-8")
    assert ModelArchitecture(tmp_path).architecture.weight_format.name == "fp8"


@pytest.mark.parametrize(
    ("fields", "experts", "sparse"),
    [
        ({"num_local_experts": 8, "num_experts_per_tok": 2}, 8, 4),
        ({"n_routed_experts": 8, "num_experts_per_tok": 2, "first_k_dense_replace": 1}, 8, 3),
        ({"num_experts": 8, "num_experts_per_tok": 2, "decoder_sparse_step": 2}, 8, 2),
        ({"num_experts": 8, "num_experts_per_tok": 2, "mlp_only_layers": [0]}, 8, 3),
        ({"num_experts": 8, "num_experts_per_tok": 2, "moe_layer_freq": [0, 0, 0, 1]}, 8, 1),
        (
            {
                "num_experts": 8,
                "num_experts_per_tok": 2,
                "expert_layer_period": 2,
                "expert_layer_offset": 1,
            },
            8,
            2,
        ),
    ],
)
def test_layers_with_experts(fields: dict[str, Any], experts: int, sparse: int) -> None:
    """Every way in which configurations say which layers have experts."""
    layers = ModelArchitecture(small(**fields)).architecture.layers
    parts = [layer.feed_forward for layer in layers]
    with_experts = [part for part in parts if getattr(part, "experts", 0)]
    assert len(with_experts) == sparse
    assert {part.experts for part in with_experts if part is not None} == {experts}  # type: ignore[union-attr]


def test_what_is_not_understood_is_refused_and_not_guessed() -> None:
    """Attention over compressed tokens, layers that differ one by one."""
    for field in ("compress_ratios", "block_configs"):
        with pytest.raises(SpecError, match=rf"{field} = \[1\]: .*not read"):
            ModelArchitecture(small(**{field: [1]}))


def test_quantisation_may_be_said_of_the_language_model() -> None:
    """Kimi-K2.5: int4 experts in groups of 32, attention and shared experts left out; 594 GB."""
    found = ModelArchitecture("moonshotai/Kimi-K2.5")
    form = found.weights_in()
    assert (form.name, form.group) == ("int4", 32)
    assert {role.value for role in form.roles} >= {"experts"}
    assert not {role.value for role in form.roles} & {"attention", "shared_experts"}
    assert found.model_memory_gb() == pytest.approx(594, rel=0.01)
