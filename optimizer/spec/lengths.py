"""Distributions of prompt and output lengths."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

from pydantic import Field

from optimizer.spec.base import NonNegative, SpecModel, Tokens, Variability

__all__ = ["LengthDistribution", "LengthDistributionSpec", "LengthsSpec", "mean_length"]


class LengthDistribution(StrEnum):
    """Family of a distribution of lengths."""

    FIXED = "fixed"
    GEOMETRIC = "geometric"
    LOGNORMAL = "lognormal"
    EMPIRICAL = "empirical"


class LengthDistributionSpec(SpecModel):
    """A distribution of lengths: `{distribution: lognormal, mean: 512, scv: 2.25}`."""

    distribution: LengthDistribution = Field(
        strict=False,
        description="fixed (mean), geometric (mean: the same chance of ending at each token), "
        "lognormal (mean, scv) or empirical (values, weights).",
    )
    mean: Tokens | None = Field(
        default=None, description="Mean length [tokens]; not for an empirical distribution."
    )
    scv: Variability | None = Field(
        default=None,
        description="lognormal only: squared coefficient of variation (variance over squared "
        "mean).",
    )
    values: tuple[Tokens, ...] | None = Field(
        default=None,
        strict=False,
        description="empirical only: lengths as seen [tokens], in any order, repeated or not.",
    )
    weights: tuple[NonNegative, ...] | None = Field(
        default=None,
        strict=False,
        description="empirical only: how often each of `values` was seen; by default once.",
    )


LengthsSpec: TypeAlias = Tokens | LengthDistributionSpec


def mean_length(lengths: LengthsSpec) -> float:
    """Return the mean of lengths that have passed all checks [tokens]."""
    if not isinstance(lengths, LengthDistributionSpec):
        return lengths
    if lengths.values is None:
        return lengths.mean or 0.0
    weights = lengths.weights or (1.0,) * len(lengths.values)
    products = (v * w for v, w in zip(lengths.values, weights, strict=True))
    return sum(products) / sum(weights)
