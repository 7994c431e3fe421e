"""Storage devices: how fast KV caches are read from them, what they hold and cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from optimizer.catalog.lookup import find_entry
from optimizer.catalog.table import load_table

__all__ = ["StorageDeviceFacts", "storage_device", "storage_device_names"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageDeviceFacts:
    """One storage option; None where a figure is not known.

    Parameters
    ----------
    name
        Name in the catalogue.
    description
        What it is.
    kind
        `hbm`, `gpu_peer`, `cpu_dram`, `remote_dram`, `nvme`, `ssd`, `hdd`, `block`, `file`,
        `shared_fs` or `object`.
    scope
        `local` to the node, on the `cluster`'s network, or a `cloud` service.
    read_gb_s
        Read bandwidth [GB/s].
    latency_ms
        Until the first byte [ms].
    capacity_gb
        Of one device or volume [GB]; object stores have no practical limit.
    accelerators
        How many accelerators that bandwidth is for: aggregates of a node must be divided.
    usd_per_gb_hour
        Price of keeping [USD per GB and hour; a month is 730 h]; of local devices what else they
        could hold.
    read_usd_per_gb, write_usd_per_gb
        Transfer fees [USD per GB].
    usd_per_1000_reads
        Request fee [USD per thousand].
    other_charges
        Charges that depend on what is provisioned and are in no figure here.
    durability, availability
        What the provider says it is designed for: chance of not losing an object or volume in a
        year, share of time that it answers.
    evidence
        `sourced`, `secondary`, `vendor nominal` or `indicative`.
    source
        Where the figures come from.
    note
        What one should know before using them.
    """

    name: str
    description: str
    kind: str
    scope: str
    read_gb_s: float
    latency_ms: float
    capacity_gb: float
    accelerators: int
    usd_per_gb_hour: float | None
    read_usd_per_gb: float | None
    write_usd_per_gb: float | None
    usd_per_1000_reads: float | None
    other_charges: str | None
    durability: float | None
    availability: float | None
    evidence: str
    source: str
    note: str | None


@cache
def _table() -> Mapping[str, StorageDeviceFacts]:
    return load_table("storage_devices.csv", StorageDeviceFacts)


def storage_device_names() -> tuple[str, ...]:
    """Names of all storage devices, in the catalogue's order (local, cluster, cloud)."""
    return tuple(_table())


def storage_device(name: str) -> StorageDeviceFacts:
    """Facts about one storage device.

    Raises
    ------
    UnknownEntryError
        If the catalogue has none of that name; a `LookupError` with the nearest names.
    """
    return find_entry("storage device", name, _table())
