"""What keeping a KV cache on a device costs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from optimizer.kv.devices import DeviceScope, StorageDevice
from optimizer.kv.ranges import Range, refuse_outside

__all__ = ["LocalCost", "StorageCost", "StorageUse", "storage_cost"]

_BYTES_PER_GB = 1e9
_RANGES = {
    "duration_h": Range("h", high=1e9),
    "reads": Range("reads", high=1e12),
    "writes": Range("writes", high=1e12),
    "request_bytes": Range("bytes", above=True, high=1e18),
}


class LocalCost(StrEnum):
    """How devices of the serving node itself are priced."""

    FREE = "free"  # they are paid for with the node
    OPPORTUNITY = "opportunity"  # their price is what else they could hold


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageUse:
    """For how long a KV cache is kept and how often it is moved.

    Parameters
    ----------
    duration_h
        Time it is kept [h].
    reads, writes
        Times that it is loaded and stored.
    request_bytes
        Bytes of one read request, for request fees; None: one request per load.
    local
        How local devices are priced.
    """

    duration_h: float = 1.0
    reads: float = 1.0
    writes: float = 1.0
    request_bytes: float | None = None
    local: LocalCost = LocalCost.FREE

    def __post_init__(self) -> None:
        refuse_outside({name: getattr(self, name) for name in _RANGES}, _RANGES)


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageCost:
    """Cost of one KV cache over its use [USD]; `usd_per_hour` of keeping alone."""

    storage_usd: float
    transfer_usd: float
    request_usd: float
    usd_per_hour: float

    @property
    def total_usd(self) -> float:
        """Keeping, transfer and requests together."""
        return self.storage_usd + self.transfer_usd + self.request_usd


def storage_cost(device: StorageDevice, size_bytes: float, use: StorageUse) -> StorageCost:
    """Cost of keeping `size_bytes` on a device: size x duration x price, and fees.

    Redundancy multiplies what is kept and written, not what is read.
    """
    size_gb = size_bytes / _BYTES_PER_GB
    free = device.scope is DeviceScope.LOCAL and use.local is LocalCost.FREE
    usd_per_hour = 0.0 if free else size_gb * device.usd_per_gb_hour * device.copies
    requests = 1.0 if use.request_bytes is None else max(1.0, size_bytes / use.request_bytes)
    return StorageCost(
        storage_usd=usd_per_hour * use.duration_h,
        transfer_usd=size_gb
        * (
            use.reads * device.read_usd_per_gb
            + use.writes * device.write_usd_per_gb * device.copies
        ),
        request_usd=use.reads * requests * device.usd_per_1000_reads / 1000.0,
        usd_per_hour=usd_per_hour,
    )
