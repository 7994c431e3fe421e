"""The stores of a fleet with every default filled in."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.kv import DeviceScope, StorageDevice
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.storage import StoreScope, StoreSpec

__all__ = ["Store", "stores_of"]


@dataclass(frozen=True, slots=True)
class Store:
    """One store of KV caches.

    Parameters
    ----------
    name
        As in the spec.
    is_shared
        Whether one store serves the whole fleet; else each replica has one of its own.
    device
        Its figures at the share of its bandwidth that may be used, in the words of the loading
        controller; prices are in the fleet's currency, `free_gb` is what one store holds.
    total_gb
        What all replicas together may keep in local stores; None: no limit.
    pools
        Pools of the accelerators that reach it; None: all.
    """

    name: str
    is_shared: bool
    device: StorageDevice
    total_gb: float | None
    pools: frozenset[str] | None

    def reaches(self, pool: str | None) -> bool:
        """Whether accelerators of a pool can load from it."""
        return self.pools is None or pool in self.pools


def stores_of(spec: FleetSpec) -> tuple[Store, ...]:
    """Resolve the stores of a validated spec against the catalogue."""
    return tuple(_resolve(store) for store in spec.stores)


def _resolve(spec: StoreSpec) -> Store:
    base = StorageDevice(name=spec.name, bandwidth_gb_s=spec.bandwidth_gb_s or 1.0)
    if spec.catalog is not None:
        from optimizer.catalog import storage_device

        base = StorageDevice.of_catalog(storage_device(spec.catalog))
    known = base.scope is DeviceScope.LOCAL if spec.catalog is not None else False
    local = known if spec.scope is None else spec.scope is StoreScope.LOCAL
    # What keeping costs on local devices is what else they could hold: only a stated price counts.
    price = 0.0 if local else base.usd_per_gb_hour
    # The aggregate of a node is divided among its accelerators.
    bandwidth = spec.bandwidth_gb_s or base.bandwidth_gb_s / base.sharers
    return Store(
        name=spec.name,
        is_shared=not local,
        device=StorageDevice(
            name=spec.name,
            bandwidth_gb_s=spec.bandwidth_share * bandwidth,
            latency_ms=base.latency_ms if spec.latency_ms is None else spec.latency_ms,
            scope=DeviceScope.CLOUD,
            free_gb=spec.capacity_gb or base.free_gb,
            usd_per_gb_hour=_first(spec.cost_per_gb_hour, price),
            read_usd_per_gb=_first(spec.read_cost_per_gb, base.read_usd_per_gb),
            write_usd_per_gb=_first(spec.write_cost_per_gb, base.write_usd_per_gb),
            usd_per_1000_reads=base.usd_per_1000_reads,
        ),
        total_gb=spec.total_gb,
        pools=None if spec.pools is None else frozenset(spec.pools),
    )


def _first(stated: float | None, default: float) -> float:
    return default if stated is None else stated
