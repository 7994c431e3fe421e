"""How weights are stored: which are quantised, to how many bits, with which scales."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from optimizer.capacity.errors import CapacityError
from optimizer.capacity.number_formats import NumberFormat, number_format
from optimizer.capacity.tensors import QUANTIZED_BY_DEFAULT, Role, Tensor

__all__ = ["WeightFormat", "weight_format", "weight_format_names"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightFormat:
    """Precision of the weights of a model.

    Parameters
    ----------
    name
        Name for people, e.g. `fp8`.
    number
        Format of the quantised weights, micro-block scales included.
    scale_bits
        Bits of scale and zero point per group; 0 without.
    group
        Weights that share a scale: a count, or None for one output row.
    block_rows
        Rows of a square block that share a scale together; 1 for groups within a row.
    roles
        Which weights are quantised; the others keep the model's native format.
    """

    name: str
    number: NumberFormat
    scale_bits: int = 0
    group: int | None = None
    block_rows: int = 1
    roles: frozenset[Role] = QUANTIZED_BY_DEFAULT

    @property
    def quantized(self) -> bool:
        """Whether weights are narrower than 16 bits."""
        return self.number.bits < 16

    def bits(self, tensor: Tensor, native: NumberFormat) -> Fraction:
        """Bits per parameter of a group of matrices, scales included."""
        if not self.quantized:
            return self.number.bits
        if tensor.role not in self.roles:
            return native.bits
        group = tensor.columns if self.group is None else self.group * self.block_rows
        return self.number.bits + Fraction(self.scale_bits, group)

    def only(self, roles: frozenset[Role]) -> WeightFormat:
        """Return the same format on other weights."""
        return replace(self, roles=roles)


def _plain(name: str) -> WeightFormat:
    return WeightFormat(name=name, number=number_format(name))


# A scale per output row is fp32 (compressed-tensors, channel strategy); groups of 128 have a 16-bit
# scale (GPTQ, AWQ); the blocks of 128 x 128 of DeepSeek-V3 have an fp32 scale (arXiv:2412.19437);
# NF4 with double quantisation: an 8-bit scale per 64 weights and an fp32 per 256 scales
# (arXiv:2305.14314). MX and NVFP4 scales are in the number format.
_FORMATS = {
    "float32": _plain("float32"),
    "bfloat16": _plain("bfloat16"),
    "float16": _plain("float16"),
    "fp8": WeightFormat(name="fp8", number=number_format("fp8"), scale_bits=32),
    "fp8-block": WeightFormat(
        name="fp8-block", number=number_format("fp8"), scale_bits=32, group=128, block_rows=128
    ),
    "int8": WeightFormat(name="int8", number=number_format("int8"), scale_bits=32),
    "int4": WeightFormat(name="int4", number=number_format("int4"), scale_bits=16, group=128),
    "nf4": WeightFormat(
        name="nf4",
        number=NumberFormat("nf4", Fraction(4) + Fraction(8, 64) + Fraction(32, 64 * 256)),
    ),
    "mxfp8": WeightFormat(name="mxfp8", number=number_format("mxfp8")),
    "mxfp4": WeightFormat(name="mxfp4", number=number_format("mxfp4")),
    "mxfp4-experts": WeightFormat(
        name="mxfp4-experts", number=number_format("mxfp4"), roles=frozenset({Role.EXPERTS})
    ),
    "nvfp4": WeightFormat(name="nvfp4", number=number_format("nvfp4")),
}


def weight_format_names() -> tuple[str, ...]:
    """Names of all weight formats, the widest first."""
    return tuple(_FORMATS)


def weight_format(name: str, *, field: str = "weight_format") -> WeightFormat:
    """Weight format of a name; spellings of number formats are understood.

    Raises
    ------
    CapacityError
        If there is no such format; lists those there are.
    """
    if name in _FORMATS:
        return _FORMATS[name]
    try:
        known = number_format(name, field=field).name
    except CapacityError as error:
        raise CapacityError(
            field, name, f"no such weight format; known: {', '.join(_FORMATS)}"
        ) from error
    if known not in _FORMATS:
        raise CapacityError(field, name, f"no weight format; known: {', '.join(_FORMATS)}")
    return _FORMATS[known]
