"""Concurrency for one length, for a mix of lengths, and with a shared prefix."""

from __future__ import annotations

import random
from statistics import mean

import pytest

from optimizer.capacity import (
    CapacityError,
    ModelArchitecture,
    PageLayout,
    RequestLengths,
    concurrency,
    concurrency_for_lengths,
    kv_format,
    page_layout,
)

BLOCKS = 10_000


def layout_of(model: str) -> PageLayout:
    """Pages of a model's pool."""
    architecture = ModelArchitecture(model).architecture
    found = page_layout(architecture, kv_format("auto", architecture))
    assert found is not None
    return found


LLAMA = layout_of("meta-llama/Llama-3.1-8B")


def test_the_reference_pool_holds_few_requests() -> None:
    """6 GB of Llama-2-70B: 1144 blocks hold 35, 17, 8, 4 and 2 whole requests."""
    layout = layout_of("meta-llama/Llama-2-70b-hf")
    blocks = layout.blocks(6e9)
    held = [int(concurrency(layout, blocks, n).steady_state) for n in (512, 1024, 2048, 4096, 8192)]
    assert blocks == 1144
    assert held == [35, 17, 8, 4, 2]


def test_the_engine_logs_fewer_than_it_serves_with_windows() -> None:
    """At 64K gpt-oss keeps 128 tokens in half its layers, but is admitted for 8319."""
    found = concurrency(layout_of("openai/gpt-oss-20b"), BLOCKS, 65_536)
    assert found.engine_logged == pytest.approx(BLOCKS / 4617)
    assert found.steady_state == pytest.approx(BLOCKS / 4104)


def test_a_shared_prefix_is_kept_once() -> None:
    """1024 of 2048 tokens shared: 64 blocks once, 64 more for each request."""
    found = concurrency(LLAMA, BLOCKS, 2048, shared_prefix_tokens=1024)
    assert found.steady_state == pytest.approx((BLOCKS - 64) / 64)
    assert found.engine_logged == pytest.approx(BLOCKS / 128)


def test_windows_share_no_prefix() -> None:
    """Only the full layers of Gemma-3 keep a prefix: one group of seven."""
    layout = layout_of("google/gemma-3-27b-it")
    alone = layout.steady_blocks(8192)
    found = concurrency(layout, BLOCKS, 8192, shared_prefix_tokens=4096)
    assert found.steady_state == pytest.approx((BLOCKS - 256) / (alone - 256))


def test_one_length_without_an_answer_is_the_steady_state() -> None:
    """A mix of equal, hardly growing requests is the concurrency of that length."""
    mix = concurrency_for_lengths(
        LLAMA, BLOCKS, [RequestLengths(input_tokens=3990, output_tokens=1)]
    )
    assert mix == pytest.approx(concurrency(LLAMA, BLOCKS, 4000).steady_state)


def test_a_mix_is_what_a_simulation_holds() -> None:
    """Requests met at random times, long answers more often: mean blocks within 1 %."""
    kinds = [
        RequestLengths(input_tokens=200, output_tokens=50, weight=3),
        RequestLengths(input_tokens=4000, output_tokens=800, weight=1),
    ]
    rng = random.Random(7)
    met = rng.choices(kinds, [kind.weight * kind.output_tokens for kind in kinds], k=60_000)
    held = [
        LLAMA.steady_blocks(kind.input_tokens + rng.uniform(0, kind.output_tokens)) for kind in met
    ]
    assert concurrency_for_lengths(LLAMA, BLOCKS, kinds) == pytest.approx(
        BLOCKS / mean(held), rel=0.01
    )


def test_a_quantile_leaves_room_for_chance() -> None:
    """So many requests exceed the pool with the stated probability (simulated, 1 in 20)."""
    kinds = [
        RequestLengths(input_tokens=100, output_tokens=400),
        RequestLengths(input_tokens=6000, output_tokens=400),
    ]
    most = int(concurrency_for_lengths(LLAMA, BLOCKS, kinds, quantile=0.95))
    rng = random.Random(11)
    draws = 3000
    over = sum(
        sum(
            LLAMA.steady_blocks(kind.input_tokens + rng.uniform(0, kind.output_tokens))
            for kind in rng.choices(kinds, k=most)
        )
        > BLOCKS
        for _ in range(draws)
    )
    assert most < concurrency_for_lengths(LLAMA, BLOCKS, kinds)
    assert over / draws == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: concurrency(LLAMA, BLOCKS, 0), "context_len"),
        (lambda: concurrency(LLAMA, BLOCKS, 64, shared_prefix_tokens=64), "shared_prefix_tokens"),
        (lambda: concurrency_for_lengths(LLAMA, BLOCKS, []), "lengths"),
        (lambda: RequestLengths(input_tokens=-1, output_tokens=1), "input_tokens"),
        (
            lambda: concurrency_for_lengths(
                LLAMA, BLOCKS, [RequestLengths(input_tokens=9, output_tokens=9)], quantile=0.3
            ),
            "quantile",
        ),
    ],
)
def test_bad_arguments_are_named(call: object, field: str) -> None:
    """The error carries the field, what came and what is wanted."""
    assert callable(call)
    with pytest.raises(CapacityError) as error:
        call()
    assert error.value.field == field
    assert str(error.value).startswith(f"{field} = ")
