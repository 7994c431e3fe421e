"""Many devices, models and contexts at once."""

from __future__ import annotations

import numpy as np
import pytest

from optimizer.catalog import model, model_names, storage_device, storage_device_names
from optimizer.kv import (
    KvShape,
    QuadraticPrefill,
    StorageDevice,
    choose_ratio,
    evaluate_grid,
    load_delay,
)


def test_the_whole_catalogue_at_once_equals_one_by_one():
    """49 devices x 34 models x 20 contexts; 60 of them drawn and done alone."""
    devices = [StorageDevice.of_catalog(storage_device(name)) for name in storage_device_names()]
    shapes = [KvShape.of_model(model(name)) for name in model_names()]
    contexts = np.geomspace(128, 131_072, 20)
    per_token = np.linspace(0.02, 2.0, len(shapes))[:, None]
    law = QuadraticPrefill(ms_per_token=per_token, ms_per_token2=per_token * 1e-6)
    grid = evaluate_grid(devices, shapes, contexts, law)
    assert grid.choice.ratio.shape == (49, 34, 20)
    assert grid.size_bytes.shape == (34, 20)
    rng = np.random.default_rng(1)
    for _ in range(60):
        d, m, c = rng.integers(49), rng.integers(34), rng.integers(20)
        load = load_delay(
            shapes[m],
            contexts[c],
            bandwidth_gb_s=devices[d].bandwidth_gb_s,
            latency_ms=devices[d].latency_ms,
            sharers=devices[d].sharers,
        )
        alone = QuadraticPrefill(ms_per_token=per_token[m, 0], ms_per_token2=per_token[m, 0] * 1e-6)
        one = choose_ratio(load, alone.time(contexts[c]))
        assert grid.choice.ratio[d, m, c] == pytest.approx(float(one.ratio), rel=1e-8)
        assert grid.choice.total.ms[d, m, c] == pytest.approx(float(one.total.ms), rel=1e-8)
