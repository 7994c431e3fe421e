"""Number formats that weights and KV caches are served in."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import Field

__all__ = ["WEIGHT_BITS", "AllowedPrecision", "Precision"]


class Precision(StrEnum):
    """Names as serving engines have them."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    FP8 = "fp8"
    INT8 = "int8"
    MXFP8 = "mxfp8"
    INT4 = "int4"
    NF4 = "nf4"
    MXFP4 = "mxfp4"
    NVFP4 = "nvfp4"


AllowedPrecision = Annotated[Precision, Field(strict=False)]
"""A precision in a list, by its name."""

WEIGHT_BITS: Mapping[Precision, float] = {
    Precision.FP32: 32.0,
    Precision.BF16: 16.0,
    Precision.FP16: 16.0,
    Precision.FP8: 8.0,
    Precision.INT8: 8.0,
    Precision.MXFP8: 8.25,  # 32 numbers share an 8-bit scale (OCP MX 1.0)
    Precision.INT4: 4.125,  # groups of 128 share a 16-bit scale (GPTQ, AWQ)
    Precision.NF4: 4.127,  # 8-bit scales of 64, 32-bit ones of 256 of these (arXiv 2305.14314)
    Precision.MXFP4: 4.25,
    Precision.NVFP4: 4.5,  # 16 numbers share an 8-bit scale
}
"""Bits per parameter, scales of its groups included. Per-channel scales of fp8 and int8 add less
than 0.1 %."""
