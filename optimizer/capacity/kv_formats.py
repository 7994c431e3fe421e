"""Bytes that a layer keeps per token, for every KV format and kind of attention."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from optimizer.capacity.architecture import Architecture
from optimizer.capacity.attention import Attention, LatentAttention
from optimizer.capacity.errors import CapacityError
from optimizer.capacity.number_formats import NumberFormat, number_format, number_format_names

__all__ = ["KVFormat", "kv_format", "kv_format_names", "row_bytes"]

# FlashMLA's fp8 rows (vLLM `fp8_ds_mla`, 656 bytes for DeepSeek): the latent in fp8 with an fp32
# scale per 128 numbers, the rotary part in bfloat16.
_SCALED_LATENT = "fp8_ds_mla"
_SCALED_GROUP = 128


@dataclass(frozen=True, slots=True)
class KVFormat:
    """Format of the KV cache.

    Parameters
    ----------
    name
        `fp8_ds_mla` or the name of the number format.
    number
        Format of one number.
    """

    name: str
    number: NumberFormat


def kv_format_names() -> tuple[str, ...]:
    """Names of all KV formats: `auto` is the checkpoint's choice, else its native format."""
    return ("auto", *number_format_names(), _SCALED_LATENT)


def kv_format(name: str, architecture: Architecture) -> KVFormat:
    """KV format of a name for a model.

    Parameters
    ----------
    name
        One of `kv_format_names()`, or another spelling of a number format.
    architecture
        Settles `auto`: what the checkpoint declares, else its native format.

    Raises
    ------
    CapacityError
        If there is no such format, or it is not for this model.
    """
    if name == "auto":
        declared = architecture.kv_format_name
        number = architecture.native_format if declared is None else number_format(declared)
        return KVFormat(number.name, number)
    if name == _SCALED_LATENT:
        if not isinstance(architecture.main_attention, LatentAttention):
            raise CapacityError("kv_dtype", name, "is for multi-head latent attention; try fp8")
        return KVFormat(name, number_format("fp8"))
    number = number_format(name, field="kv_dtype")
    return KVFormat(number.name, number)


def row_bytes(
    mixer: Attention | LatentAttention, form: KVFormat, tensor_parallel: int = 1
) -> Fraction:
    """Bytes that one layer keeps per token on each rank, exact.

    A latent is kept whole on every rank; key-value heads are divided until every rank has one.
    The indexer of sparse attention keeps fp8 numbers with an fp32 scale per 128, whatever the
    format of the rest (DeepSeek-V3.2 in vLLM: 132 bytes).
    """
    if isinstance(mixer, Attention):
        return mixer.kv_elements(tensor_parallel) * form.number.bits / 8
    indexer = Fraction(mixer.indexer_dim) * (1 + Fraction(4, _SCALED_GROUP))
    if form.name == _SCALED_LATENT:
        scales = Fraction(4 * mixer.kv_lora_rank, _SCALED_GROUP)
        return mixer.kv_lora_rank + scales + 2 * mixer.rope_dim + indexer
    return mixer.kv_elements(tensor_parallel) * form.number.bits / 8 + indexer
