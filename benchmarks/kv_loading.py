"""How long the loading controller takes over the whole catalogue, and over many restorations."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import numpy as np

from optimizer.catalog import model, model_names, storage_device, storage_device_names
from optimizer.kv import (
    KvDemand,
    KvShape,
    QuadraticPrefill,
    RestorationTask,
    StorageDevice,
    WholeModelTime,
    evaluate_grid,
    plan_restoration,
    select_device,
)

_CONTEXTS = np.geomspace(128, 131_072, 20)


def run(repeats: int) -> None:
    """Print a row per question."""
    devices = [StorageDevice.of_catalog(storage_device(name)) for name in storage_device_names()]
    shapes = [KvShape.of_model(model(name)) for name in model_names()]
    per_token = np.linspace(0.02, 2.0, len(shapes))[:, None]
    law = QuadraticPrefill(ms_per_token=per_token, ms_per_token2=per_token * 1e-6)
    rng = np.random.default_rng(0)
    tasks = RestorationTask(
        shape=KvShape(layers=rng.integers(16, 127, 10_000), elements_per_layer_token=2048),
        prefill=QuadraticPrefill(ms_per_token=rng.uniform(0.01, 1, 10_000), ms_per_token2=1e-6),
        prefix_tokens=rng.uniform(100, 1e5, 10_000),
        suffix_tokens=rng.uniform(0, 2000, 10_000),
        bandwidth_gb_s=10 ** rng.uniform(-1, 2, 10_000),
        latency_ms=rng.uniform(0, 100, 10_000),
    )
    demand = KvDemand(shape=shapes[0], tokens=4096.0, prefill=WholeModelTime(600.0))
    print("Loading or recomputing KV caches")
    combinations = f"{len(devices)} devices x {len(shapes)} models x {_CONTEXTS.size} contexts"
    _row(combinations, lambda: evaluate_grid(devices, shapes, _CONTEXTS, law), repeats)
    _row("one device selected, all ranked", lambda: select_device(demand, devices), repeats)
    _row("10 000 restorations planned", lambda: plan_restoration(tasks), repeats)


def _row(name: str, work: Callable[[], object], repeats: int) -> None:
    work()
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    print(f"{name:<44}{median(seconds):>8.4f} ({min(seconds):.4f})")
