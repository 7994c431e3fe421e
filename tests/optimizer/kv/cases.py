"""A KV cache by hand, and places for it."""

from __future__ import annotations

from optimizer.kv import (
    KvDemand,
    KvShape,
    RatioPolicy,
    SelectionPolicy,
    StorageDevice,
    WholeModelTime,
)

# 1 GB, 4,000 ms of prefill, no overhead: 15 % take 600 ms.
DEMAND = KvDemand(
    shape=KvShape(layers=10, elements_per_layer_token=50_000),
    tokens=1000.0,
    prefill=WholeModelTime(4000.0),
)
POLICY = SelectionPolicy(ratios=RatioPolicy(recompute_overhead=0.0))
RAM = StorageDevice(name="ram", bandwidth_gb_s=20, usd_per_gb_hour=0.003)
DISK = StorageDevice(name="disk", bandwidth_gb_s=2, usd_per_gb_hour=0.0001)
