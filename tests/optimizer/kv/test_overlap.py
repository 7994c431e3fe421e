"""The ways of overlapping against a flow shop played through step by step."""

from __future__ import annotations

import numpy as np
import pytest

from optimizer.kv import (
    HidingRule,
    LayerTime,
    LoadDelay,
    Overlap,
    WholeModelTime,
    hidden,
    recompute_delay,
    total_delay,
)


def flow_shop(latency: float, load: float, computes: list[float]) -> float:
    """Load layers one after the other, compute each as soon as it and the one before are done."""
    loaded, computed = latency, 0.0
    for compute in computes:
        loaded += load
        computed = max(computed, loaded) + compute
    return computed


def delays(latency, load, prefill, ratio, layers):
    """Load and recompute delays of one case, without overhead."""
    return (
        LoadDelay(WholeModelTime(latency), LayerTime(load), np.asarray(float(layers))),
        recompute_delay(ratio, WholeModelTime(prefill), layers=layers, overhead=0.0),
    )


def test_a_case_by_hand():
    """4 layers, lat 10, l 3, c 2 (8 whole), full layer 8: each way counted on fingers."""
    load, recompute = delays(10, 3, 32, 0.25, 4)
    expected = {
        Overlap.SEQUENTIAL: 10 + 12 + 8,
        Overlap.PARALLEL: 22,
        Overlap.LAYER_PIPELINE: 10 + 3 + 3 * 3 + 2,
        Overlap.FIRST_LAYER_FULL: 10 + 3 + 8 + 3 * 2,
    }
    for way, milliseconds in expected.items():
        assert float(total_delay(way, load, recompute).ms) == pytest.approx(milliseconds, rel=1e-12)


def test_pipelines_are_exact_flow_shops():
    """2,000 random cases, one layer to 100, slow and fast loads: equal to the step by step play."""
    rng = np.random.default_rng(7)
    for _ in range(2000):
        layers = int(rng.integers(1, 101))
        latency, load_ms = rng.uniform(0, 20), rng.uniform(0, 10)
        prefill, ratio = rng.uniform(0, 2000), rng.uniform(0, 1)
        load, recompute = delays(latency, load_ms, prefill, ratio, layers)
        compute, full = ratio * prefill / layers, prefill / layers
        even = flow_shop(latency, load_ms, [compute] * layers)
        first = flow_shop(latency, load_ms, [full] + [compute] * (layers - 1))
        got = total_delay(Overlap.LAYER_PIPELINE, load, recompute)
        assert float(got.ms) == pytest.approx(even, rel=1e-9)
        got = total_delay(Overlap.FIRST_LAYER_FULL, load, recompute)
        assert float(got.ms) == pytest.approx(first, rel=1e-9)


def test_ways_are_ordered():
    """Side by side <= pipeline <= first layer in full, and pipeline <= one after the other."""
    rng = np.random.default_rng(3)
    load = LoadDelay(
        WholeModelTime(rng.uniform(0, 5, 1000)),
        LayerTime(rng.uniform(0, 5, 1000)),
        np.full(1000, 32.0),
    )
    recompute = recompute_delay(
        rng.uniform(0, 1, 1000), WholeModelTime(rng.uniform(1, 500, 1000)), layers=32
    )
    times = [
        total_delay(way, load, recompute).ms * (1 + 1e-12)
        for way in (Overlap.PARALLEL, Overlap.LAYER_PIPELINE, Overlap.FIRST_LAYER_FULL)
    ]
    assert np.all(times[0] <= times[1] * (1 + 1e-12))
    assert np.all(times[1] <= times[2] * (1 + 1e-12))
    sequential = total_delay(Overlap.SEQUENTIAL, load, recompute).ms
    assert np.all(times[1] <= sequential * (1 + 1e-9))


def test_the_two_rules_are_opposites():
    """Recompute 3, load 5: recomputing is hidden, loading is not; equal delays hide each other."""
    load, recompute = WholeModelTime([5.0, 3.0, 4.0]), WholeModelTime([3.0, 5.0, 4.0])
    assert hidden(HidingRule.RECOMPUTE_HIDDEN, load, recompute).tolist() == [True, False, True]
    assert hidden(HidingRule.LOADING_HIDDEN, load, recompute).tolist() == [False, True, True]
