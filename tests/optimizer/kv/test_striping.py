"""Several devices at once: the linear program against the waterline."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq

from optimizer.errors import SpecError
from optimizer.kv import (
    KvShape,
    QuadraticPrefill,
    RestorationTask,
    StorageDevice,
    plan_restoration,
    plan_striping,
)

SHAPE = KvShape(layers=10, elements_per_layer_token=50_000)  # 1 MB a token: 1 ms at 1 GB/s


def waterline(prefix: float, a: float, b: float, devices: list[StorageDevice]) -> float:
    """The T at which all produce P tokens together: each works from its latency until T."""

    def lacking(t: float) -> float:
        loaded = sum(max(0.0, t - d.latency_ms) * d.bandwidth_gb_s for d in devices)
        computed = t / a if b == 0 else (-a + np.sqrt(a * a + 4 * b * t)) / (2 * b)
        return computed + loaded - prefix

    return float(brentq(lacking, 0, a * prefix + b * prefix**2, xtol=1e-12, rtol=1e-14))


def test_random_cases_reach_the_waterline():
    """40 cases of one to five devices: the LP's time is the waterline's, and tokens add up."""
    rng = np.random.default_rng(5)
    for _ in range(40):
        devices = [
            StorageDevice(
                name=f"d{k}", bandwidth_gb_s=rng.uniform(0.1, 5), latency_ms=rng.uniform(0, 400)
            )
            for k in range(rng.integers(1, 6))
        ]
        a, b = rng.uniform(0.1, 3), rng.choice([0.0, 1e-4, 1e-3])
        prefill = QuadraticPrefill(ms_per_token=a, ms_per_token2=b)
        plan = plan_striping(SHAPE, prefill, 1000.0, devices)
        assert float(plan.time.ms) == pytest.approx(waterline(1000.0, a, b, devices), rel=1e-6)
        assert plan.computed_tokens + sum(plan.loaded_tokens.values()) == pytest.approx(1000)


def test_one_device_is_the_split():
    """With one device the program is the planner without suffix."""
    prefill = QuadraticPrefill(ms_per_token=1.0, ms_per_token2=1e-3)
    device = StorageDevice(name="d", bandwidth_gb_s=2.0, latency_ms=30.0)
    striped = plan_striping(SHAPE, prefill, 1000.0, [device])
    split = plan_restoration(
        RestorationTask(
            shape=SHAPE, prefill=prefill, prefix_tokens=1000.0, bandwidth_gb_s=2.0, latency_ms=30.0
        )
    )
    assert float(striped.time.ms) == pytest.approx(float(split.time.ms), rel=1e-6)


def test_bandwidths_add_and_no_devices_compute():
    """Three equal devices and an equal accelerator: a quarter each; without devices all."""
    prefill = QuadraticPrefill(ms_per_token=1.0)
    devices = [StorageDevice(name=f"d{k}", bandwidth_gb_s=1.0) for k in range(3)]
    plan = plan_striping(SHAPE, prefill, 1000.0, devices)
    assert float(plan.time.ms) == pytest.approx(250, rel=1e-9)
    assert plan.loaded_tokens == pytest.approx({"d0": 250, "d1": 250, "d2": 250})
    assert float(plan_striping(SHAPE, prefill, 1000.0, []).time.ms) == 1000


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"stored_tokens": {"d": -1.0}}, "stored_tokens"),
        ({"links": {frozenset("d"): 0.0}}, "links"),
    ],
)
def test_figures_out_of_range_are_refused_by_name(more, path):
    """Negative tokens, a link without bandwidth."""
    device = StorageDevice(name="d", bandwidth_gb_s=1.0)
    with pytest.raises(SpecError, match=path):
        plan_striping(SHAPE, QuadraticPrefill(ms_per_token=1.0), 1000.0, [device], **more)


def test_a_shared_link_and_what_is_stored_bind():
    """Two devices of 1 GB/s behind a link of 1 GB/s are one; half a prefix stored is half."""
    prefill = QuadraticPrefill(ms_per_token=1.0)
    devices = [StorageDevice(name=f"d{k}", bandwidth_gb_s=1.0) for k in range(2)]
    shared = plan_striping(SHAPE, prefill, 1000.0, devices, links={frozenset({"d0", "d1"}): 1.0})
    assert float(shared.time.ms) == pytest.approx(500, rel=1e-9)
    little = plan_striping(SHAPE, prefill, 1000.0, devices, stored_tokens={"d0": 100.0})
    assert little.loaded_tokens["d0"] == pytest.approx(100)
    assert float(little.time.ms) == pytest.approx(450, rel=1e-9)
