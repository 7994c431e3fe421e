from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.performance.operators import (
    all_reduce_ms,
    attended_tokens,
    experts_touched,
    matrix_ms,
    reading_ms,
    soft_maximum,
)

few = settings(deadline=None, max_examples=50, derandomize=True)


def test_matrices_are_bandwidth_bound_for_one_token_and_compute_bound_for_many() -> None:
    """1e9 weights of 2 bytes take 2/3 ms to read at 3000 GB/s, and 2e9 operations per token."""
    one = matrix_ms(1e9, 2.0, 1.0, 3000.0, 500.0)
    many = matrix_ms(1e9, 2.0, 1e5, 3000.0, 500.0)
    assert one == pytest.approx(2 / 3, rel=1e-3)
    assert many == pytest.approx(2e9 * 1e5 / 500e12 * 1e3, rel=1e-3)


@few
@given(st.floats(1e-6, 1e3), st.floats(1e-6, 1e3))
def test_the_soft_maximum_lies_between_the_maximum_and_its_rounding(a: float, b: float) -> None:
    """max <= soft maximum <= 2^(1/3) max, and it is symmetric."""
    rounded = float(soft_maximum(a, b))
    assert max(a, b) * (1 - 1e-9) <= rounded <= 2 ** (1 / 3) * max(a, b) * (1 + 1e-9)
    assert rounded == pytest.approx(float(soft_maximum(b, a)))


@few
@given(st.integers(2, 512), st.floats(0.1, 1.0), st.integers(1, 4096))
def test_experts_touched_lie_between_one_token_s_and_all(
    experts: int, share: float, tokens: int
) -> None:
    """k <= touched <= min(E, k·B), and fewer when tokens resemble each other."""
    chosen = max(1.0, round(experts * share))
    touched = float(experts_touched(experts, chosen, tokens))
    assert chosen * (1 - 1e-9) <= touched <= min(experts, chosen * tokens) * (1 + 1e-9)
    assert float(experts_touched(experts, chosen, tokens, 0.8)) <= touched * (1 + 1e-9)


def test_experts_touched_is_the_expectation_of_uniform_choices() -> None:
    """The formula agrees with drawing 8 of 128 experts for each of 16 tokens, 2000 times."""
    draws = np.random.default_rng(1)
    counts = [
        len({int(e) for _ in range(16) for e in draws.choice(128, 8, replace=False)})
        for _ in range(200)
    ]
    assert float(experts_touched(128, 8, 16)) == pytest.approx(np.mean(counts), rel=0.02)


def test_models_without_experts_touch_none() -> None:
    """A dense model's count is 0, not NaN."""
    assert float(experts_touched(0, 0, 5)) == 0


def test_the_all_reduce_moves_twice_the_message_less_the_own_part() -> None:
    """67 MB over 8 cards at 450 GB/s take 0.261 ms and the latency; one card takes nothing."""
    assert all_reduce_ms(67_108_864, 8, 0.01, 450.0) == pytest.approx(0.01 + 0.2610, rel=1e-3)
    assert all_reduce_ms(67_108_864, 1, 0.01, 450.0) == 0


def test_windows_cap_what_is_attended_to() -> None:
    """Sliding layers count their window at most; without a window nothing is divided by 0."""
    assert attended_tokens(8192.0, 10.0, 52.0, 1024.0) == 10 * 8192 + 52 * 1024
    assert attended_tokens(100.0, 10.0, 52.0, 1024.0) == 62 * 100
    assert attended_tokens(100.0, 10.0, 0.0, 0.0) == 1000


def test_reading_takes_bytes_over_bandwidth() -> None:
    """3.35 GB at 3350 GB/s take 1 ms."""
    assert reading_ms(3.35e9, 3350.0) == pytest.approx(1.0)
