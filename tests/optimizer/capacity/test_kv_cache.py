"""The KV cache is exact for every kind of attention, with no constant but the configuration."""

from __future__ import annotations

import csv
import json
from dataclasses import fields
from pathlib import Path

import pytest

from optimizer.capacity import KVCacheDetail, ModelArchitecture, kv_cache_detail
from tests.optimizer.capacity.configurations import DEEPSEEK_V32, NEMOTRON_3_NANO, small

REFERENCE = "meta-llama/Llama-2-70b-hf"


def detail(model: object, context: int = 1, **options: object) -> KVCacheDetail:
    """KV cache of a model."""
    found = ModelArchitecture(model)  # type: ignore[arg-type]
    return kv_cache_detail(found.architecture, context_len=context, **options)  # type: ignore[arg-type]


def test_the_fields_are_those_that_were_asked_for() -> None:
    """Every named field exists, MLA's two among them."""
    asked = {
        *("model", "attention_type", "kv_data_type", "precision_in_bytes", "num_hidden_layers"),
        *("hidden_size", "num_attention_heads", "num_key_value_heads", "head_dimension"),
        *("model_architecture", "num_attention_group", "per_token_memory_bytes"),
        *("per_request_kv_cache_bytes", "per_request_kv_cache_gb", "kv_cache_size_gb"),
        *("context_len", "batch_size", "kv_lora_rank", "qk_rope_head_dim"),
    }
    assert asked <= {field.name for field in fields(KVCacheDetail)}


def test_the_reference_case_has_327680_bytes_per_token() -> None:
    """Llama-2-70B: 80 x 2 x 128 x 8 x 2 bytes; 6 GB hold 18,310 tokens, 6 GiB 19,660."""
    found = ModelArchitecture(REFERENCE).get_kv_cache_detail(8192, 2)
    assert found.per_token_memory_bytes == 327_680
    assert found.tokens_in(6e9) == 18_310
    assert found.tokens_in(6 * 2**30) == 19_660
    assert found.per_request_kv_cache_bytes == 8192 * 327_680
    assert found.per_request_kv_cache_gb == pytest.approx(2.68435456)
    assert found.kv_cache_size_gb == pytest.approx(2 * 2.68435456)
    assert found.kv_cache_size_gib == pytest.approx(5.0)
    assert (found.num_attention_heads, found.num_attention_group) == (64, 8)


def test_the_table_of_the_catalogue_is_reproduced(shared_data: Path) -> None:
    """Numbers per token of full and sliding layers agree with the reference for all 34 models."""
    with (shared_data / "model_architectures.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        found = ModelArchitecture(row["hf_id"]).get_kv_cache_detail()
        kept = {"full": 0.0, "window": 0.0}
        for layer in found.layers:
            kept["full" if layer.window is None else "window"] += layer.bytes_per_token / 2
        assert kept["full"] == int(row["kv_elems_per_token_full"]), row["hf_id"]
        assert kept["window"] == int(row["kv_elems_per_token_sliding"]), row["hf_id"]
        assert found.attention_type.value == row["attention"], row["hf_id"]
    assert len(rows) == 34


@pytest.mark.parametrize(
    ("heads", "kv_heads", "kind"), [(8, 8, "MHA"), (8, 2, "GQA"), (8, 1, "MQA")]
)
def test_kinds_are_detected_from_heads(heads: int, kv_heads: int, kind: str) -> None:
    """No list of names: the numbers of heads decide."""
    model = small(num_attention_heads=heads, num_key_value_heads=kv_heads, model_type="unheard-of")
    assert detail(model).attention_type.value == kind


def test_mla_is_detected_from_its_fields_and_kept_whole_on_every_rank() -> None:
    """Kimi-VL: 27 x (512 + 64) x 2 = 31,104 bytes per token, at any tensor parallelism."""
    one = detail("moonshotai/Kimi-VL-A3B-Instruct")
    two = detail("moonshotai/Kimi-VL-A3B-Instruct", tensor_parallel=2)
    assert one.attention_type.value == "MLA"
    assert one.per_token_memory_bytes == two.per_token_memory_bytes == 31_104
    assert (one.kv_lora_rank, one.qk_rope_head_dim) == (512, 64)


def test_key_value_heads_are_divided_and_then_copied() -> None:
    """Four key-value heads: a quarter per rank at 4, and still a quarter at 8."""
    whole = detail("Qwen/Qwen3-235B-A22B").per_token_memory_bytes
    at_4 = detail("Qwen/Qwen3-235B-A22B", tensor_parallel=4).per_token_memory_bytes
    at_8 = detail("Qwen/Qwen3-235B-A22B", tensor_parallel=8).per_token_memory_bytes
    assert whole == 4 * at_4 == 4 * at_8


@pytest.mark.parametrize(
    ("dtype", "bytes_each", "per_token"),
    [
        ("bfloat16", 2, 327_680),
        ("fp8_e4m3", 1, 163_840),
        ("int4", 0.5, 81_920),
        ("nvfp4", 0.5625, 92_160),
        ("torch.float32", 4, 655_360),
    ],
)
def test_precisions_below_a_byte_are_exact(dtype: str, bytes_each: float, per_token: int) -> None:
    """The cache's format is its own, and half a byte is half a byte."""
    found = detail(REFERENCE, kv_dtype=dtype)
    assert found.precision_in_bytes == bytes_each
    assert found.per_token_memory_bytes == per_token


def test_the_cache_does_not_take_the_format_of_quantised_weights() -> None:
    """gpt-oss-20b has mxfp4 weights, and 49,152 bytes of bfloat16 per token (as measured)."""
    assert detail("openai/gpt-oss-20b").per_token_memory_bytes == 49_152


def test_the_checkpoint_may_declare_the_cache() -> None:
    """`kv_cache_scheme` of compressed-tensors sets what `auto` is."""
    scheme = {"num_bits": 8, "type": "float"}
    weights = {"group_0": {"weights": {"num_bits": 8, "type": "float", "strategy": "channel"}}}
    config = {
        "quant_method": "compressed-tensors",
        "config_groups": weights,
        "kv_cache_scheme": scheme,
    }
    assert detail(small(quantization_config=config)).kv_data_type == "fp8"


def test_windows_limit_what_a_request_keeps() -> None:
    """Gemma-3-27B at 32K: 10 layers keep all tokens, 52 keep 1024."""
    found = detail("google/gemma-3-27b-it", 32_768)
    row = 2 * 16 * 128 * 2
    assert found.per_request_kv_cache_bytes == row * (10 * 32_768 + 52 * 1024)
    assert found.per_token_memory_bytes == 62 * row


def test_chunks_limit_what_a_request_keeps() -> None:
    """Llama-4-Scout at 64K: 12 layers keep all tokens, 36 keep a chunk of 8192."""
    found = detail("meta-llama/Llama-4-Scout-17B-16E-Instruct", 65_536)
    row = 2 * 8 * 128 * 2
    assert found.per_request_kv_cache_bytes == row * (12 * 65_536 + 36 * 8192)


def test_a_window_that_is_switched_off_is_ignored() -> None:
    """Qwen2.5 names a window of 131072 and does not use it."""
    layers = detail("Qwen/Qwen2.5-7B-Instruct").layers
    assert [(layer.kind, layer.window, layer.layers) for layer in layers] == [("full", None, 28)]


def test_global_layers_may_have_their_own_heads() -> None:
    """Gemma-4: 5 global layers of 2 heads x 512, 25 sliding ones of 8 heads x 256."""
    layers = {layer.kind: layer for layer in detail("google/gemma-4-26B-A4B").layers}
    assert layers["full"].row_bytes == 2 * 2 * 512 * 2
    assert layers["sliding"].row_bytes == 2 * 8 * 256 * 2
    assert (layers["full"].layers, layers["sliding"].layers) == (5, 25)


def test_recurrent_layers_keep_a_state_of_fixed_size() -> None:
    """Qwen3.5-27B: 48 heads of 128 x 128 in fp32, and three tokens of convolution in bf16."""
    layers = {layer.kind: layer for layer in detail("Qwen/Qwen3.5-27B").layers}
    state = 48 * 128 * 128 * 4 + (2 * 16 * 128 + 48 * 128) * 3 * 2
    assert layers["gated-delta"].state_bytes == state
    assert layers["gated-delta"].layers == 48
    assert detail("Qwen/Qwen3.5-27B").per_token_memory_bytes == 16 * 2 * 4 * 256 * 2
    one, two = (detail("Qwen/Qwen3.5-27B", n).per_request_kv_cache_bytes for n in (1000, 2000))
    assert two - one == 1000 * 16 * 2 * 4 * 256 * 2


def test_mamba2_states_follow_its_heads() -> None:
    """Nemotron 3 Nano: 64 heads x 64 x 128 in fp32, channels of the convolution in bf16."""
    layers = {layer.kind: layer for layer in detail(NEMOTRON_3_NANO).layers}
    assert layers["mamba2"].state_bytes == 64 * 64 * 128 * 4 + (64 * 64 + 2 * 8 * 128) * 3 * 2
    assert (layers["mamba2"].layers, layers["full"].layers) == (23, 6)


def test_sparse_attention_keeps_an_indexer_as_well() -> None:
    """DeepSeek-V3.2: 576 x 2 bytes and 128 + 4 bytes of indexer per token and layer."""
    assert detail(DEEPSEEK_V32).per_token_memory_bytes == 61 * (576 * 2 + 132)


def test_fp8_rows_of_a_latent_may_carry_scales() -> None:
    """DeepSeek-V3: 576 bytes as plain fp8, 656 in FlashMLA's layout."""
    plain = detail("deepseek-ai/DeepSeek-V3", kv_dtype="fp8")
    scaled = detail("deepseek-ai/DeepSeek-V3", kv_dtype="fp8_ds_mla")
    assert plain.per_token_memory_bytes == 61 * 576
    assert scaled.per_token_memory_bytes == 61 * 656


@pytest.mark.parametrize("name", ["tiiuae/falcon-7b", "mistralai/Mistral-7B-v0.1"])
def test_details_are_built_once_and_kept(name: str) -> None:
    """The same question gets the same object; another length leaves the first as it was."""
    model = ModelArchitecture(name)
    first = model.get_kv_cache_detail(1024, 4)
    assert model.get_kv_cache_detail(2048, 4) is not first
    assert model.get_kv_cache_detail(1024, 4) is first
    assert model.kv_cache_memory_gb(1024, 4) == first.kv_cache_size_gb


def test_the_document_is_json() -> None:
    """All figures, GiB beside GB."""
    found = ModelArchitecture("google/gemma-2-27b").get_kv_cache_detail(8192)
    document = json.loads(json.dumps(found.to_document()))
    assert document["attention_type"] == "GQA"
    assert document["per_request_kv_cache_gib"] == found.per_request_kv_cache_bytes / 2**30
