"""Number formats and their exact size in bits, scales of micro-blocks included."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from fractions import Fraction

from optimizer.capacity.errors import CapacityError

__all__ = ["NumberFormat", "number_format", "number_format_names"]


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """How one number is stored.

    Parameters
    ----------
    name
        Name in this package, e.g. `bfloat16`.
    bits
        Bits per number, exact: with the scale of its micro-block where the format has one.
    """

    name: str
    bits: Fraction

    @property
    def bytes(self) -> float:
        """Bytes per number; half a byte is 0.5."""
        return float(self.bits / 8)


# Micro-scaled formats (OCP MX specification 1.0): 32 numbers share an 8-bit scale. NVFP4: 16
# numbers share an fp8 scale. The formats without a micro-block carry their scales apart.
_BITS: dict[str, Fraction] = {
    "float32": Fraction(32),
    "bfloat16": Fraction(16),
    "float16": Fraction(16),
    "fp8": Fraction(8),
    "int8": Fraction(8),
    "mxfp8": Fraction(8) + Fraction(8, 32),
    "mxfp6": Fraction(6) + Fraction(8, 32),
    "int4": Fraction(4),
    "mxfp4": Fraction(4) + Fraction(8, 32),
    "nvfp4": Fraction(4) + Fraction(8, 16),
}

_OTHER_NAMES = {
    "fp32": "float32",
    "float": "float32",
    "bf16": "bfloat16",
    "fp16": "float16",
    "half": "float16",
    "float8": "fp8",
    "fp8_e4m3": "fp8",
    "fp8_e5m2": "fp8",
    "float8_e4m3fn": "fp8",
    "float8_e4m3fnuz": "fp8",
    "float8_e5m2": "fp8",
    "fp8_inc": "fp8",
    "w4": "int4",
    "uint4": "int4",
    "uint8": "int8",
}


def number_format_names() -> tuple[str, ...]:
    """Names of all formats, the widest first."""
    return tuple(_BITS)


def number_format(name: str, *, field: str = "dtype") -> NumberFormat:
    """Format of a name; `torch.` before it and common other spellings are understood.

    Parameters
    ----------
    name
        E.g. `bfloat16`, `torch.float16`, `fp8_e4m3`, `nvfp4`.
    field
        What the name was given for, named in the error.

    Raises
    ------
    CapacityError
        If there is no such format; names the nearest.
    """
    if not isinstance(name, str):
        raise CapacityError(field, name, f"must be the name of a format: {', '.join(_BITS)}")
    folded = name.strip().lower().removeprefix("torch.")
    known = _OTHER_NAMES.get(folded, folded)
    if known not in _BITS:
        near = difflib.get_close_matches(folded, [*_BITS, *_OTHER_NAMES], n=1)
        offer = f"did you mean {near[0]}? " if near else ""
        raise CapacityError(field, name, f"no such format; {offer}known: {', '.join(_BITS)}")
    return NumberFormat(known, _BITS[known])
