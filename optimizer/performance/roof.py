"""The peaks of an accelerator that bound a forward pass."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.catalog import AcceleratorFacts
from optimizer.errors import FleetError
from optimizer.performance.batching import Batched
from optimizer.performance.numbers import Number

__all__ = ["AcceleratorRoof", "MissingFigureError", "family_of", "roof_of"]


_HIGH_POWER_W = 1000


class MissingFigureError(FleetError, ValueError):
    """A figure that the roofline needs is not known of an accelerator."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AcceleratorRoof(Batched):
    """Peak rates of one card; numbers, or arrays that broadcast.

    Parameters
    ----------
    memory_gb
        Device memory [GB = 1e9 bytes].
    bandwidth_gb_s
        Memory bandwidth [GB/s].
    tflops_16, tflops_8, tflops_4
        Dense matrix throughput [TFLOPS] with 16-bit, 8-bit and 4-bit operands. A card without a
        narrower type multiplies in the next wider one and saves bandwidth only.
    link_gb_s
        Bandwidth of the link between cards, per card and direction [GB/s].
    """

    memory_gb: Number
    bandwidth_gb_s: Number
    tflops_16: Number
    tflops_8: Number
    tflops_4: Number
    link_gb_s: Number


def roof_of(facts: AcceleratorFacts) -> AcceleratorRoof:
    """Peaks of an accelerator of the catalogue.

    Raises
    ------
    MissingFigureError
        If its bandwidth or its 16-bit throughput is not known.
    """
    for field in ("bandwidth_gb_s", "fp16_tflops"):
        if getattr(facts, field) is None:
            raise MissingFigureError(
                f"accelerator {facts.name!r}: {field} is not in the catalogue, and iteration times "
                f"cannot be estimated without it; give measured parameters instead"
            )
    bandwidth, tflops_16 = facts.bandwidth_gb_s or 0.0, facts.fp16_tflops or 0.0
    tflops_8 = facts.fp8_tflops or facts.int8_tops or tflops_16
    return AcceleratorRoof(
        memory_gb=facts.memory_gb,
        bandwidth_gb_s=bandwidth,
        tflops_16=tflops_16,
        tflops_8=max(tflops_8, tflops_16),
        tflops_4=max(facts.fp4_tflops or 0.0, tflops_8, tflops_16),
        link_gb_s=facts.interconnect_gb_s,
    )


def family_of(facts: AcceleratorFacts) -> str:
    """Family whose calibration an accelerator shares, e.g. `hopper`; `other` where none is."""
    if facts.vendor == "AMD":
        # The power budget sets the sustained clock: 1000 W sustain a fifth more than 750 W.
        return "cdna-1000w" if (facts.tdp_w or 0) >= _HIGH_POWER_W else "cdna"
    capability = facts.compute_capability
    if facts.vendor != "NVIDIA" or capability is None:
        return "other"
    by_capability = {"7": "volta", "8.9": "ada", "8": "ampere", "9": "hopper"}
    major = capability.split(".")[0]
    return by_capability.get(capability) or by_capability.get(major) or "blackwell"
