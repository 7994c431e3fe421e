"""The split planner: optimal, and never slower than what it contains."""

from __future__ import annotations

import numpy as np
import pytest

from optimizer.kv import (
    KvShape,
    LoadOverheads,
    QuadraticPrefill,
    RestorationTask,
    plan_restoration,
)

CASES = 10_000


def random_task(granularity: float = 0.0) -> RestorationTask:
    """10,000 cases: tiny and huge prefixes, fast and slow devices, with and without suffix."""
    rng = np.random.default_rng(20)
    suffix = np.where(rng.random(CASES) < 0.3, 0.0, np.floor(rng.uniform(1, 4000, CASES)))
    return RestorationTask(
        shape=KvShape(
            layers=rng.integers(1, 127, CASES),
            elements_per_layer_token=rng.integers(64, 16_384, CASES),
            bytes_per_element=rng.choice([0.5, 1.0, 2.0], CASES),
        ),
        prefill=QuadraticPrefill(
            ms_per_token=10 ** rng.uniform(-3, 0.5, CASES),
            ms_per_token2=np.where(rng.random(CASES) < 0.2, 0, 10 ** rng.uniform(-9, -5, CASES)),
        ),
        prefix_tokens=np.floor(10 ** rng.uniform(0, 5.3, CASES)),
        suffix_tokens=suffix,
        bandwidth_gb_s=10 ** rng.uniform(-2, 3, CASES),
        latency_ms=np.where(rng.random(CASES) < 0.3, 0, 10 ** rng.uniform(-3, 3, CASES)),
        overheads=LoadOverheads(
            layer_ms=np.where(rng.random(CASES) < 0.5, 0, 10 ** rng.uniform(-4, 0, CASES))
        ),
        granularity_tokens=granularity,
    )


@pytest.mark.parametrize("granularity", [0.0, 1.0, 128.0])
def test_never_slower_than_any_special_case(granularity):
    """10,000 random cases each: full recompute, preload, load then compute, bidirectional."""
    plan = plan_restoration(random_task(granularity))
    assert plan.time.ms.shape == (CASES,)
    for special in (
        plan.full_recompute,
        plan.layerwise_preload,
        plan.load_then_compute,
        plan.bidirectional,
    ):
        assert np.all(plan.time.ms <= special.ms * (1 + 1e-12))
    assert np.all((plan.computed_tokens >= 0) & (plan.loaded_tokens >= 0))
    assert np.any(plan.time.ms < 0.9 * plan.bidirectional.ms)


def test_no_split_on_a_grid_is_better():
    """201 splits of each of the 10,000 cases: the plan is at most equal (to 1e-9)."""
    task = random_task()
    plan = plan_restoration(task)
    for share in np.linspace(0, 1, 201):
        times = task.overlapped(share * np.asarray(task.prefix_tokens))
        assert np.all(plan.time.ms <= times.ms * (1 + 1e-9))


def test_the_time_is_that_of_the_split():
    """What the plan promises is what its split takes."""
    task = random_task(64.0)
    plan = plan_restoration(task)
    assert task.overlapped(plan.computed_tokens).ms == pytest.approx(plan.time.ms, rel=1e-12)
    assert task.bidirectional(plan.bidirectional_tokens).ms == pytest.approx(
        plan.bidirectional.ms, rel=1e-12
    )


def by_hand(**changed) -> RestorationTask:
    """10 layers, 1 MB a token, 1 GB/s (u = 1 ms a token), P = 1,000, a = 1 ms."""
    figures = {
        "shape": KvShape(layers=10, elements_per_layer_token=50_000),
        "prefill": QuadraticPrefill(ms_per_token=1.0),
        "prefix_tokens": 1000.0,
        "bandwidth_gb_s": 1.0,
    }
    return RestorationTask(**(figures | changed))


def test_equal_speeds_meet_in_the_middle():
    """a = u: half is computed, half is loaded, in half the time; T = Tc Tl / (Tc + Tl)."""
    plan = plan_restoration(by_hand())
    assert float(plan.computed_tokens) == pytest.approx(500, rel=1e-9)
    assert float(plan.time.ms) == pytest.approx(500, rel=1e-9)
    slower = plan_restoration(by_hand(bandwidth_gb_s=0.25))
    assert float(slower.time.ms) == pytest.approx(1000 * 4000 / 5000, rel=1e-9)


def test_the_meeting_point_is_the_root_of_the_quadratic():
    """b m² + (a + u) m = L0 + u P, with b = 0.001 and L0 = 50: m = (-2 + sqrt(8.2)) / 0.002."""
    plan = plan_restoration(
        by_hand(prefill=QuadraticPrefill(ms_per_token=1.0, ms_per_token2=0.001), latency_ms=50.0)
    )
    root = (-2 + np.sqrt(4 + 4 * 0.001 * 1050)) / 0.002
    assert float(plan.computed_tokens) == pytest.approx(root, rel=1e-9)
    assert float(plan.bidirectional_tokens) == pytest.approx(root, rel=1e-9)
    assert float(plan.time.ms) == pytest.approx(root + 0.001 * root**2, rel=1e-9)


def test_a_suffix_is_computed_while_layers_arrive():
    """S = 100, c = 10 ms a layer: m + 100 = l + 9 max(l, 10) + 10, l = (1000 - m) / 10."""
    plan = plan_restoration(by_hand(suffix_tokens=100.0))
    # l > c: m + 100 = (1000 - m) + 10, m = 455, l = 54.5.
    assert float(plan.computed_tokens) == pytest.approx(455, rel=1e-9)
    assert float(plan.time.ms) == pytest.approx(555, rel=1e-9)
    assert float(plan.bidirectional.ms) == pytest.approx(600, rel=1e-9)
    assert float(plan.layerwise_preload.ms) == pytest.approx(1010, rel=1e-9)
    assert float(plan.load_then_compute.ms) == pytest.approx(1100, rel=1e-9)
    assert float(plan.full_recompute.ms) == pytest.approx(1100, rel=1e-9)


def test_a_latency_longer_than_computing_loads_nothing():
    """100 ms to the first byte against 10 tokens of 1 ms: m = P, and no latency is paid."""
    plan = plan_restoration(by_hand(prefix_tokens=10.0, latency_ms=100.0))
    assert float(plan.loaded_tokens) == 0
    assert float(plan.time.ms) == pytest.approx(10, rel=1e-12)


def test_splits_lie_on_the_grid():
    """A multiple of 128, or everything."""
    plan = plan_restoration(by_hand(granularity_tokens=128.0))
    assert float(plan.computed_tokens) in (384.0, 512.0)
    assert float(plan.time.ms) == pytest.approx(512, rel=1e-12)
