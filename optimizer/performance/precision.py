"""How many bytes weights and cache take, and in which type the matrices are multiplied."""

from __future__ import annotations

from dataclasses import dataclass

from optimizer.catalog import ModelFacts
from optimizer.errors import FleetError
from optimizer.performance.batching import Batched
from optimizer.performance.numbers import Number

__all__ = ["PRECISIONS", "Precision", "UnknownPrecisionError", "native_precision", "precision"]


class UnknownPrecisionError(FleetError, LookupError):
    """No precision of that name is known."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Precision(Batched):
    """Bytes per element and multiplication types; numbers, or arrays that broadcast.

    Parameters
    ----------
    weight_bytes
        Bytes per weight of attention and dense feed-forward, scales included.
    expert_bytes
        Bytes per weight of routed experts.
    matrix_bits, expert_bits
        Type in which these are multiplied: 16, 8 or 4. Weight-only quantisation keeps 16.
    kv_bytes
        Bytes per element of the KV cache.
    """

    weight_bytes: Number
    expert_bytes: Number
    matrix_bits: Number
    expert_bits: Number
    kv_bytes: Number


# Microscaling formats: one 8-bit scale for 32 values (mxfp4), for 16 values (nvfp4).
_MXFP4_BYTES = 4.25 / 8
_NVFP4_BYTES = 4.5 / 8
# Four-bit integers with a 16-bit scale and zero point for 128 values.
_INT4_BYTES = 4.25 / 8

PRECISIONS: dict[str, tuple[float, float, float, float]] = {
    # name: weight bytes, expert bytes, matrix bits, expert bits
    "bf16": (2.0, 2.0, 16, 16),
    "fp16": (2.0, 2.0, 16, 16),
    "fp8": (1.0, 1.0, 8, 8),
    "int8": (1.0, 1.0, 8, 8),
    "int4": (_INT4_BYTES, _INT4_BYTES, 16, 16),
    "fp4": (_NVFP4_BYTES, _NVFP4_BYTES, 4, 4),
    "mxfp4-experts": (2.0, _MXFP4_BYTES, 16, 16),
}


def precision(name: str, *, kv_bytes: float = 2.0) -> Precision:
    """Precision by its name: bf16, fp16, fp8, int8, int4 (weights only), fp4, mxfp4-experts.

    Raises
    ------
    UnknownPrecisionError
        If there is none of that name; it lists those there are.
    """
    if name not in PRECISIONS:
        raise UnknownPrecisionError(
            f"unknown precision {name!r}; there are: {', '.join(PRECISIONS)}"
        )
    weights, experts, matrix_bits, expert_bits = PRECISIONS[name]
    return Precision(
        weight_bytes=weights,
        expert_bytes=experts,
        matrix_bits=matrix_bits,
        expert_bits=expert_bits,
        kv_bytes=kv_bytes,
    )


def native_precision(facts: ModelFacts) -> str:
    """Name of the precision that a model's checkpoint comes in."""
    quantization = facts.checkpoint_quantization
    if quantization is None:
        return "fp16" if facts.native_dtype == "float16" else "bf16"
    return quantization
