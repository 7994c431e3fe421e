"""What candidates take of stores: bytes, bandwidth and money."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optimizer.fleet.plan import StorageUse
from optimizer.fleet.reuse import Reuse
from optimizer.fleet.stores import stores_of
from optimizer.spec.fleet_spec import FleetSpec

__all__ = ["kept_gb", "storage_cost_per_hour", "use_of_store"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_S_PER_H = 3600.0


def kept_gb(spec: FleetSpec, reuse: Reuse, replicas: IntArray) -> FloatArray:
    """Return what each candidate keeps [GB]: once on a shared store, per replica on local ones."""
    local = np.array([not store.is_shared for store in stores_of(spec)] or [False])
    return reuse.kept_gb * np.where((reuse.store >= 0) & local[reuse.store], replicas, 1)


def storage_cost_per_hour(
    spec: FleetSpec, reuse: Reuse, replicas: IntArray, rate_rps: FloatArray
) -> FloatArray:
    """Return what keeping, reading and writing costs each candidate per hour.

    Parameters
    ----------
    replicas
        (candidates,), replicas needed.
    rate_rps
        (candidates,), requests of the whole service.
    """
    if not spec.stores:
        return np.zeros(len(reuse.store))
    devices = [store.device for store in stores_of(spec)]

    def price(name: str) -> FloatArray:
        return np.array([getattr(device, name) for device in devices])[reuse.store]

    kept = kept_gb(spec, reuse, replicas) * price("usd_per_gb_hour")
    moved = reuse.read_gb * price("read_usd_per_gb") + reuse.written_gb * price("write_usd_per_gb")
    reads = reuse.hit_rate * price("usd_per_1000_reads") / 1000.0
    cost = kept + rate_rps * _S_PER_H * (moved + reads)
    return np.where(reuse.store >= 0, cost, 0.0)


def use_of_store(spec: FleetSpec, reuse: Reuse, replicas: int, rate_rps: float) -> StorageUse:
    """Return what one candidate takes of its store, in a plan's words.

    Parameters
    ----------
    reuse
        A single row that has a store.
    replicas
        Replicas, each of which keeps a copy on a local store.
    rate_rps
        Requests of the whole service.
    """
    all_of_them, rate = np.array([replicas]), np.array([rate_rps])
    quality = float(reuse.quality[0])
    return StorageUse(
        store=spec.stores[int(reuse.store[0])].name,
        recompute_ratio=float(reuse.ratio[0]),
        reused_share=float(reuse.prefix_hit_rate[0]),
        quality=None if np.isnan(quality) else quality,
        loading_ms=float(reuse.mean_ms[0]),
        kept_gb=float(kept_gb(spec, reuse, all_of_them)[0]),
        read_gb_s=float(reuse.read_gb[0]) * rate_rps,
        cost_per_hour=float(storage_cost_per_hour(spec, reuse, all_of_them, rate)[0]),
    )
