"""Storage devices as the controller sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from numpy.typing import ArrayLike

from optimizer.errors import Fault, SpecError
from optimizer.kv.delays import LoadDelay, LoadOverheads, load_delay
from optimizer.kv.kv_shape import KvShape
from optimizer.kv.ranges import Range, refuse_outside

if TYPE_CHECKING:
    from optimizer.catalog import StorageDeviceFacts
    from optimizer.kv.profiles.records import DeviceProfile

__all__ = ["DeviceScope", "StorageDevice", "refuse_twins"]

_RANGES = {
    "bandwidth_gb_s": Range("GB/s", above=True, high=1e6),
    "latency_ms": Range("ms", high=1e9),
    "sharers": Range("loads", low=1.0, high=1e9),
    "free_gb": Range("GB", high=1e15),
    "usd_per_gb_hour": Range("USD", high=1e9),
    "read_usd_per_gb": Range("USD", high=1e9),
    "write_usd_per_gb": Range("USD", high=1e9),
    "usd_per_1000_reads": Range("USD", high=1e9),
    "copies": Range("copies", low=1.0, high=1e3),
    "reliability": Range(high=1.0),
    "availability": Range(high=1.0),
}


class DeviceScope(StrEnum):
    """Who can reach a device, and whether its use is billed."""

    LOCAL = "local"  # in the serving node: paid for already
    CLUSTER = "cluster"  # over the cluster's network
    CLOUD = "cloud"  # a provider's service


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageDevice:
    """A place where KV caches can be kept.

    Parameters
    ----------
    name
        Unique among the candidates.
    bandwidth_gb_s
        Read bandwidth of large transfers, alone [GB/s].
    latency_ms
        Until the first byte [ms].
    scope
        Local devices cost nothing unless opportunity counts.
    sharers
        Loads at the same time that divide the bandwidth, e.g. 8 for a node's aggregate.
    free_gb
        Capacity left [GB = 1e9 bytes]; None: as much as wanted.
    usd_per_gb_hour
        Price of keeping; of a local device its opportunity cost.
    read_usd_per_gb, write_usd_per_gb
        Transfer fees.
    usd_per_1000_reads
        Request fee of thousand reads.
    copies
        Copies that redundancy keeps, billed each.
    reliability, availability
        Chance that what is kept is not lost in a year, and share of time that it can be read;
        None: not known, which ranks last.

    Raises
    ------
    SpecError
        Naming each figure outside its range.
    """

    name: str
    bandwidth_gb_s: float
    latency_ms: float = 0.0
    scope: DeviceScope = DeviceScope.CLOUD
    sharers: float = 1.0
    free_gb: float | None = None
    usd_per_gb_hour: float = 0.0
    read_usd_per_gb: float = 0.0
    write_usd_per_gb: float = 0.0
    usd_per_1000_reads: float = 0.0
    copies: float = 1.0
    reliability: float | None = None
    availability: float | None = None

    def __post_init__(self) -> None:
        refuse_outside({name: getattr(self, name) for name in _RANGES}, _RANGES)

    def load(
        self, shape: KvShape, tokens: ArrayLike, overheads: LoadOverheads | None = None
    ) -> LoadDelay:
        """Return the delay of loading the KV cache of a context from here."""
        return load_delay(
            shape,
            tokens,
            bandwidth_gb_s=self.bandwidth_gb_s,
            latency_ms=self.latency_ms,
            sharers=self.sharers,
            overheads=overheads,
        )

    def as_measured(self, profile: DeviceProfile) -> Self:
        """Return the device with the bandwidth and latency that one reader measured."""
        return replace(
            self,
            bandwidth_gb_s=profile.bandwidth_gb_s,
            latency_ms=profile.latency_ms,
            sharers=1.0,
        )

    @classmethod
    def of_catalog(cls, facts: StorageDeviceFacts) -> Self:
        """Take the figures of the catalogue; an unknown price is 0."""
        return cls(
            name=facts.name,
            bandwidth_gb_s=facts.read_gb_s,
            latency_ms=facts.latency_ms,
            scope=DeviceScope(facts.scope),
            sharers=facts.accelerators,
            free_gb=facts.capacity_gb,
            usd_per_gb_hour=facts.usd_per_gb_hour or 0.0,
            read_usd_per_gb=facts.read_usd_per_gb or 0.0,
            write_usd_per_gb=facts.write_usd_per_gb or 0.0,
            usd_per_1000_reads=facts.usd_per_1000_reads or 0.0,
            reliability=facts.durability,
            availability=facts.availability,
        )


def refuse_twins(devices: Sequence[StorageDevice]) -> None:
    """Refuse devices of one name.

    Raises
    ------
    SpecError
        Naming them.
    """
    names = [device.name for device in devices]
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise SpecError(
            [Fault("is the name of several devices", value=repr(name)) for name in twins]
        )
