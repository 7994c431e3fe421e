"""Sweeps over contexts, the format of the cache, the longest context of a budget."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.capacity import (
    GPU_LIBRARY,
    CapacityError,
    ModelArchitecture,
    best_context_len,
    context_sweep,
    doubling_lengths,
    recommend_kv_precision,
)

MODELS = ("meta-llama/Llama-3.1-8B", "google/gemma-3-27b-it", "Qwen/Qwen3.5-27B")


def test_lengths_double_up_to_the_longest() -> None:
    """From 512 to the model's longest, which is always there."""
    assert doubling_lengths(4096) == [512, 1024, 2048, 4096]
    assert doubling_lengths(3000) == [512, 1024, 2048, 3000]
    assert doubling_lengths(100) == [100]


def test_a_sweep_is_the_cache_at_each_length() -> None:
    """In order, with the batch of the first."""
    detail = ModelArchitecture(MODELS[0]).get_kv_cache_detail(1, 4)
    sweep = context_sweep(detail, [512, 1024])
    assert [entry.kv_cache_size_bytes for entry in sweep] == [4 * 512 * 131_072, 4 * 1024 * 131_072]


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    model=st.sampled_from(MODELS),
    budget=st.floats(1e6, 1e12),
    batch=st.integers(1, 64),
)
def test_the_best_context_fits_and_the_next_does_not(model: str, budget: float, batch: int) -> None:
    """At most the budget, and one token more is beyond it or beyond the model."""
    source = ModelArchitecture(model)
    detail = source.get_kv_cache_detail()
    longest = source.max_context_tokens
    best = best_context_len(detail, budget, longest=longest, batch_size=batch)
    if best:
        assert detail.at(best, batch).kv_cache_size_bytes <= budget
    if best < longest:
        assert detail.at(best + 1, batch).kv_cache_size_bytes > budget


@pytest.mark.parametrize(
    ("budget_gb", "advised"), [(50, "bfloat16"), (30, "fp8"), (15, "nvfp4"), (1, None)]
)
def test_the_most_exact_format_that_fits_is_advised(budget_gb: float, advised: str | None) -> None:
    """Llama-3.1-8B, 10 requests of 32K: 42.9 GB in 16 bits, 21.5 in 8, 12.1 in nvfp4."""
    found = recommend_kv_precision(
        MODELS[0], budget_bytes=budget_gb * 1e9, context_len=32_768, batch_size=10
    )
    assert found.kv_dtype == advised
    assert [round(option.kv_cache_size_gb, 1) for option in found.options] == [42.9, 21.5, 12.1]


def test_formats_that_an_accelerator_cannot_compute_are_not_advised() -> None:
    """An A100 has no fp8 units: nothing but 16 bits is considered, and that does not fit."""
    found = recommend_kv_precision(
        MODELS[0],
        budget_bytes=30e9,
        context_len=32_768,
        batch_size=10,
        accelerator=GPU_LIBRARY["A100-80GB-SXM"],
    )
    assert found.kv_dtype is None
    assert found.reason == "even bfloat16 needs 42.95 GB of 30.00"


def test_bad_budgets_are_named() -> None:
    """A budget is above 0."""
    detail = ModelArchitecture(MODELS[0]).get_kv_cache_detail()
    with pytest.raises(CapacityError, match=r"^budget_bytes = "):
        best_context_len(detail, 0, longest=4096)
