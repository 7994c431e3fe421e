"""What every part of a spec has in common: frozen, strict about keys, documented."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "NAME_PATTERN",
    "Milliseconds",
    "Name",
    "NonNegative",
    "Positive",
    "SpecModel",
    "Tokens",
    "Variability",
]

NAME_PATTERN = r"^[^\x00-\x1f\x7f]+$"
"""Names stand on one line."""

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=NAME_PATTERN)]
# Beyond these a figure is a slip of the pen, and sums and products of it leave floating point.
_LARGEST = 1e15
Positive = Annotated[float, Field(gt=0, le=_LARGEST, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, le=_LARGEST, allow_inf_nan=False)]
Milliseconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Tokens = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Variability = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class SpecModel(BaseModel):
    """A frozen part of a spec; unknown keys are errors, numbers are finite, types are strict."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        populate_by_name=True,
        use_attribute_docstrings=False,
    )
