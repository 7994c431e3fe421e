"""A service's load as a histogram over prompt and output lengths, with a rate for each bucket."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from optimizer.spec.base import Name, NonNegative, Positive, SpecModel, Tokens

__all__ = ["LengthBucketsSpec", "MeasuredRatesSpec"]

ShareRow = Annotated[tuple[NonNegative, ...], Field(strict=False)]
RateRow = Annotated[tuple[Positive | None, ...], Field(strict=False)]


class MeasuredRatesSpec(SpecModel):
    """What one replica on an accelerator was measured to serve of each bucket alone."""

    accelerator: Name = Field(description="Accelerator, as in `accelerators[].name`.")
    instances: int = Field(
        default=1, ge=1, le=4096, description="Accelerator instances that one replica takes."
    )
    rates_rps: tuple[RateRow, ...] = Field(
        strict=False,
        description="Largest rate of each bucket alone at which the class's objectives hold "
        "[requests/s], rows as in `shares`; null: it cannot serve the bucket.",
    )


class LengthBucketsSpec(SpecModel):
    """The histogram: rows are prompt lengths, columns are output lengths."""

    shares: tuple[ShareRow, ...] = Field(
        strict=False, description="Share of the requests in each bucket; together 1."
    )
    input_tokens: tuple[Tokens, ...] | None = Field(
        default=None,
        strict=False,
        description="Prompt length that stands for each row [tokens]; needed where the queue "
        "model finds the rates.",
    )
    output_tokens: tuple[Annotated[float, Field(ge=1, le=1e9)], ...] | None = Field(
        default=None,
        strict=False,
        description="Output length that stands for each column [tokens], at least 1.",
    )
    measured: tuple[MeasuredRatesSpec, ...] = Field(
        default=(),
        strict=False,
        description="Measured rates per accelerator; on others the queue model finds them, from "
        "the performance data and the lengths.",
    )
