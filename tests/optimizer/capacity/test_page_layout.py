"""Page groups follow the engine's rules; they reduce to blocks of tokens for uniform models."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.capacity import ModelArchitecture, PageLayout, kv_format, page_layout
from tests.optimizer.capacity.configurations import DEEPSEEK_V32, NEMOTRON_3_NANO, small

STEP = 8192


def layout_of(model: object, tensor_parallel: int = 1) -> PageLayout:
    """Pages of a model's pool."""
    architecture = ModelArchitecture(model).architecture  # type: ignore[arg-type]
    found = page_layout(
        architecture, kv_format("auto", architecture), tensor_parallel=tensor_parallel
    )
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("model", "groups", "layers_in_a_group"),
    [
        ("google/gemma-3-27b-it", 7, 10),  # 10 full, 52 sliding: padded to 60
        ("google/gemma-2-27b", 2, 23),
        ("meta-llama/Llama-4-Scout-17B-16E-Instruct", 4, 12),
        ("openai/gpt-oss-20b", 2, 12),
        ("meta-llama/Llama-3.1-8B", 1, 32),
    ],
)
def test_groups_have_the_size_of_the_smallest_kind(
    model: str, groups: int, layers_in_a_group: int
) -> None:
    """As vLLM cuts these models (its published group counts)."""
    found = layout_of(model)
    row = ModelArchitecture(model).get_kv_cache_detail().layers[0].row_bytes
    assert found.group_count == groups
    assert found.block_bytes == layers_in_a_group * 16 * row


def test_a_uniform_model_has_blocks_of_sixteen_tokens() -> None:
    """Llama-2-70B: 5,242,880 bytes a block, ceil(T / 16) blocks a request."""
    found = layout_of("meta-llama/Llama-2-70b-hf")
    assert found.block_bytes == 16 * 327_680
    assert found.admitted_blocks(1000, STEP) == found.steady_blocks(1000) == 63


def test_sliding_layers_reserve_a_step_of_tokens_and_then_keep_their_window() -> None:
    """gpt-oss-20b at 64K: full layers 4096 blocks; sliding ones (127 + 8192) / 16 + 1, then 8."""
    found = layout_of("openai/gpt-oss-20b")
    assert found.admitted_blocks(65_536, STEP) == 4096 + 520 + 1
    assert found.steady_blocks(65_536) == 4096 + 8


def test_chunked_layers_reserve_a_chunk_and_a_step() -> None:
    """Llama-4-Scout at 64K: three groups of (8192 + 8192) / 16 blocks beside one of 4096."""
    found = layout_of("meta-llama/Llama-4-Scout-17B-16E-Instruct")
    assert found.admitted_blocks(65_536, STEP) == 4096 + 3 * 1024
    assert found.steady_blocks(65_536) == 4096 + 3 * 512


def test_blocks_grow_until_they_hold_a_recurrent_state() -> None:
    """Qwen3.5-27B: 3,207,168 bytes of state want 784 tokens of 4096 bytes; 1 + 3 groups of 16."""
    found = layout_of("Qwen/Qwen3.5-27B")
    assert found.block_tokens == 784
    assert found.block_bytes == 16 * 784 * 4096
    assert found.group_count == 4
    assert found.steady_blocks(10_000) == 13 + 3


def test_pages_of_different_rows_have_equal_bytes() -> None:
    """Gemma-4: full layers have half the bytes per token, so their blocks have twice the tokens."""
    tokens = {
        group.reach: group.block_tokens for group in layout_of("google/gemma-4-26B-A4B").groups
    }
    assert {reach.value: n for reach, n in tokens.items() if reach} == {"full": 32, "sliding": 16}


def test_an_indexer_shares_the_blocks_of_its_layer() -> None:
    """DeepSeek-V3.2 stays one group."""
    found = layout_of(DEEPSEEK_V32)
    assert found.group_count == 1
    assert found.block_bytes == 61 * 16 * (1152 + 132)


def test_tensor_parallelism_divides_heads_and_no_latents() -> None:
    """Half the bytes for grouped queries at 2 ranks, all of them for a latent."""
    for model, factor in (("meta-llama/Llama-3.1-8B", 2), ("deepseek-ai/DeepSeek-V3", 1)):
        assert layout_of(model).block_bytes == factor * layout_of(model, 2).block_bytes


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    tokens=st.integers(1, 200_000),
    more=st.integers(0, 50_000),
    step=st.integers(1, 16_384),
    model=st.sampled_from(
        ["google/gemma-3-27b-it", "openai/gpt-oss-20b", "Qwen/Qwen3.5-27B", "nemotron", "small"]
    ),
)
def test_blocks_never_shrink_with_length(tokens: int, more: int, step: int, model: str) -> None:
    """Longer requests take no fewer blocks, and admission reserves no fewer than decoding holds."""
    found = layout_of({"nemotron": NEMOTRON_3_NANO, "small": small()}.get(model, model))
    assert found.steady_blocks(tokens) <= found.steady_blocks(tokens + more)
    assert found.admitted_blocks(tokens, step) <= found.admitted_blocks(tokens + more, step)
    assert found.steady_blocks(tokens) <= found.admitted_blocks(tokens, step)
