"""Accelerators: what one card has, draws and costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from optimizer.catalog.lookup import find_entry
from optimizer.catalog.table import load_table

__all__ = ["AcceleratorFacts", "accelerator", "accelerator_names"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceleratorFacts:
    """One card (for superchips one GPU, for TPUs one chip); None where a figure is not known.

    Parameters
    ----------
    name
        Name in the catalogue.
    vendor
        Who makes it.
    memory_gb
        Device memory as the vendor states it, read as GB = 1e9 bytes. Vendors mostly mean 2**30
        bytes, so this errs low, by at most 7 %.
    bandwidth_gb_s
        Memory bandwidth [GB/s].
    fp16_tflops, fp8_tflops, fp4_tflops
        Dense matrix throughput in fp16 or bf16, fp8, fp4 [TFLOPS]: half of figures with sparsity.
    int8_tops
        Dense matrix throughput in int8 [TOPS].
    interconnect
        Link between cards.
    interconnect_gb_s
        Its bandwidth per card and direction [GB/s].
    max_scaleup_devices
        Cards that the link joins at most; 1: none.
    tdp_w
        Thermal design power [W].
    usd_per_hour
        Indicative price of one card [USD/h].
    price_source
        Where the price comes from.
    compute_capability
        NVIDIA's compute capability, `major.minor`.
    source
        Where the other figures come from.
    note
        What one should know before using them.
    """

    name: str
    vendor: str
    memory_gb: float
    bandwidth_gb_s: float | None
    fp16_tflops: float | None
    fp8_tflops: float | None
    int8_tops: float | None
    fp4_tflops: float | None
    interconnect: str
    interconnect_gb_s: float
    max_scaleup_devices: int
    tdp_w: float | None
    usd_per_hour: float | None
    price_source: str | None
    compute_capability: str | None
    source: str
    note: str | None


@cache
def _table() -> Mapping[str, AcceleratorFacts]:
    return load_table("accelerators.csv", AcceleratorFacts)


def accelerator_names() -> tuple[str, ...]:
    """Names of all accelerators, in the catalogue's order (by vendor and generation)."""
    return tuple(_table())


def accelerator(name: str) -> AcceleratorFacts:
    """Facts about one accelerator.

    Raises
    ------
    UnknownEntryError
        If the catalogue has none of that name; a `LookupError` with the nearest names.
    """
    return find_entry("accelerator", name, _table())
