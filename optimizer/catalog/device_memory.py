"""Memory that a program finds on an accelerator: less than the nominal size, and in GiB."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from optimizer.catalog.accelerators import AcceleratorFacts, accelerator_names
from optimizer.catalog.accelerators import accelerator as find_accelerator
from optimizer.catalog.table import load_table

__all__ = ["DeviceMemory", "device_memory"]

# A nominal 80 GB is 80 GiB of DRAM, of which error correction and firmware keep about 1 % (H100:
# 79.19 of 80 GiB; the same within 0.3 % where other cards with stacked memory are known).
_USABLE_PART = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMemory:
    """Memory of one accelerator.

    Parameters
    ----------
    name
        Name in the catalogue.
    memory_gib
        What a program finds [GiB = 2**30 bytes].
    source
        Where the figure comes from.
    """

    name: str
    memory_gib: float
    source: str


def _is_catalogued(accelerator: AcceleratorFacts) -> bool:
    """Whether it is the catalogue's, and not another of that name with another memory."""
    facts = find_accelerator(accelerator.name) if accelerator.name in accelerator_names() else None
    return facts is not None and facts.memory_gb == accelerator.memory_gb


@cache
def _table() -> Mapping[str, DeviceMemory]:
    return load_table("device_memory.csv", DeviceMemory)


def device_memory(accelerator: AcceleratorFacts) -> DeviceMemory:
    """Memory of an accelerator: measured where known, else 99 % of the nominal size in GiB."""
    known = _table().get(accelerator.name)
    if known is not None and _is_catalogued(accelerator):
        return known
    return DeviceMemory(
        name=accelerator.name,
        memory_gib=accelerator.memory_gb * _USABLE_PART,
        source=f"{_USABLE_PART:.0%} of the nominal size, read as GiB",
    )
