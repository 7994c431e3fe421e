"""Part 1: the ratio for a device."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.catalog import model
from optimizer.errors import SpecError
from optimizer.kv import (
    KvShape,
    Overlap,
    RatioPolicy,
    WholeModelTime,
    architecture_limits,
    choose_ratio,
    find_crossover,
    load_delay,
)

LLAMA_70B = KvShape(layers=80, elements_per_layer_token=2048)
LLAMA_7B = KvShape(layers=32, elements_per_layer_token=8192)
BARE = RatioPolicy(recompute_overhead=0.0)


def test_cacheblend_on_nvme():
    """Section 5.1's two models at 4.8 GB/s, 4,096 tokens: 7B hides its 15 %, 70B does not."""
    small = load_delay(LLAMA_7B, 4096, bandwidth_gb_s=4.8)
    large = load_delay(LLAMA_70B, 4096, bandwidth_gb_s=4.8)
    of_7b = choose_ratio(small, WholeModelTime(640.0), policy=BARE)
    of_70b = choose_ratio(large, WholeModelTime(3730.0), policy=BARE)
    assert float(of_7b.crossover) == pytest.approx(0.699, abs=1e-3)
    assert bool(of_7b.recompute_hidden)
    assert float(of_70b.crossover) == pytest.approx(0.075, abs=1e-3)
    assert float(of_70b.ratio) == 0.15
    assert not of_70b.recompute_hidden
    assert of_70b.loading_hidden


def test_yi_34b_on_a_1_gb_s_disk():
    """r = load / (prefill x 1.05): 1,006.63 / (3,000 x 1.05) = 31.957 %."""
    shape = KvShape(layers=60, elements_per_layer_token=2048)
    load = load_delay(shape, 4096, bandwidth_gb_s=1.0)
    choice = choose_ratio(load, WholeModelTime(3000.0))
    assert float(choice.crossover) == pytest.approx(1006.63296 / 3150.0, rel=1e-9)
    assert float(choice.total.ms) == pytest.approx(1006.63296, rel=1e-9)


@given(
    bandwidth=st.floats(1e-2, 1e3),
    latency=st.floats(0, 1e3),
    prefill=st.floats(1, 1e5),
    overhead=st.floats(0, 1),
    minimum=st.floats(0, 1),
)
@settings(deadline=None, max_examples=150, derandomize=True)
def test_the_search_finds_the_closed_form(bandwidth, latency, prefill, overhead, minimum):
    """Crossover = load / full recompute, chosen within [minimum, 1], hidden above the floor."""
    load = load_delay(LLAMA_70B, 4096, bandwidth_gb_s=bandwidth, latency_ms=latency)
    policy = RatioPolicy(minimum_ratio=minimum, recompute_overhead=overhead)
    choice = choose_ratio(load, WholeModelTime(prefill), policy=policy)
    closed = float(load.whole.ms) / (prefill * (1 + overhead))
    assert float(choice.crossover) == pytest.approx(closed, rel=1e-9, abs=2e-13)
    assert float(choice.ratio) == pytest.approx(min(1.0, max(minimum, closed)), rel=1e-9)
    assert bool(choice.recompute_hidden) == (closed >= minimum * (1 - 1e-8))


def test_more_than_everything_is_never_recomputed():
    """A device slower than computing: uncapped above 1, chosen 1."""
    load = load_delay(LLAMA_70B, 4096, bandwidth_gb_s=0.09, latency_ms=100)
    choice = choose_ratio(load, WholeModelTime(3730.0))
    assert float(choice.crossover) == pytest.approx(float(load.whole.ms) / 3916.5, rel=1e-6)
    assert float(choice.crossover) > 3
    assert float(choice.ratio) == 1.0


def test_a_full_first_layer_counts_in_the_crossover():
    """(1 + (n - 1) r) / n x prefill = load."""
    load = load_delay(LLAMA_7B, 4096, bandwidth_gb_s=4.8)
    policy = RatioPolicy(overlap=Overlap.FIRST_LAYER_FULL, recompute_overhead=0.0)
    choice = choose_ratio(load, WholeModelTime(640.0), policy=policy)
    share = float(load.whole.ms) / 640.0
    assert float(choice.crossover) == pytest.approx((32 * share - 1) / 31, rel=1e-6)


def test_any_rising_law_has_a_crossover():
    """Bisection: r² x 100 = 25 at one half; nothing hidden at 0; none where the law is flat."""
    found = find_crossover(WholeModelTime([25.0]), lambda r: WholeModelTime(100.0 * r**2))
    assert found == pytest.approx([0.5], rel=1e-8)
    found = find_crossover(WholeModelTime([25.0]), lambda r: WholeModelTime(30.0 + r))
    assert found == pytest.approx([0.0], abs=1e-9)
    found = find_crossover(WholeModelTime([25.0]), lambda r: WholeModelTime(0.0 * r))
    assert np.isinf(found).all()


def test_tokens_are_recomputed_in_whole_steps():
    """Down to a multiple of 128 where loading hides it, up where quality needs it, at most 1."""
    load = load_delay(LLAMA_7B, 4096, bandwidth_gb_s=4.8)
    policy = RatioPolicy(granularity_tokens=128, recompute_overhead=0.0)
    choice = choose_ratio(load, WholeModelTime(640.0), tokens=4096, policy=policy)
    assert float(choice.ratio) * 4096 == 2816  # 22 of 22.4 steps
    assert choice.recompute_hidden
    fast = load_delay(LLAMA_7B, 4096, bandwidth_gb_s=480)
    choice = choose_ratio(fast, WholeModelTime(640.0), tokens=4096, policy=policy)
    assert float(choice.ratio) * 4096 == 640  # 4.8 steps are needed: 5
    slow = load_delay(LLAMA_7B, 100, bandwidth_gb_s=1e-3)
    choice = choose_ratio(slow, WholeModelTime(1.0), tokens=100, policy=policy)
    assert float(choice.ratio) <= 1.0


def test_limits_of_the_architecture_are_said():
    """Too long a context, recurrent layers, windows; nothing for a plain model."""
    plain = model("meta-llama/Llama-3.1-8B")
    assert not list(architecture_limits(plain, 4096))
    (longer,) = architecture_limits(plain, 200_000)
    assert "131,072" in longer
    assert "recurrent state" in next(architecture_limits(model("Qwen/Qwen3.5-27B"), 4096))
    assert "means over all layers" in next(architecture_limits(model("google/gemma-2-27b"), 4096))


@pytest.mark.parametrize(
    ("figures", "path"),
    [
        ({"minimum_ratio": 1.1}, "minimum_ratio"),
        ({"minimum_ratio": -0.1}, "minimum_ratio"),
        ({"recompute_overhead": -1}, "recompute_overhead"),
        ({"compute_share": 0.0}, "compute_share"),
        ({"tolerance": 0.01}, "tolerance"),
    ],
)
def test_rules_out_of_range_are_refused_by_name(figures, path):
    """The fault names the field."""
    with pytest.raises(SpecError) as caught:
        RatioPolicy(**figures)
    assert [fault.path for fault in caught.value.faults] == [path]
