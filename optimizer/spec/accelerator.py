"""Accelerators, and how many cards of each type there are."""

from __future__ import annotations

from pydantic import Field

from optimizer.spec.base import Name, NonNegative, Positive, SpecModel

__all__ = ["AcceleratorSpec", "CapacitySpec", "PowerSpec", "TierSpec"]


class PowerSpec(SpecModel):
    """Power of one accelerator instance, piecewise linear in its utilisation."""

    idle_w: NonNegative = Field(description="Power at utilisation 0 [W].")
    full_w: NonNegative = Field(description="Power at utilisation 1 [W].")
    mid_w: NonNegative | None = Field(
        default=None, description="Power at `mid_utilization` [W]; without it the curve is a line."
    )
    mid_utilization: float | None = Field(
        default=None, gt=0, lt=1, description="Utilisation of the curve's middle point, in (0, 1)."
    )


class TierSpec(SpecModel):
    """One way to buy instances of an accelerator: reserved, on demand, spot."""

    tier: Name = Field(description="Name, such as reserved, on-demand or spot.")
    instances: int | None = Field(
        default=None, ge=0, le=10**9, description="Instances that can be had so; by default any."
    )
    cost_per_hour: NonNegative | None = Field(
        default=None,
        description="Price of one instance per hour, in the fleet's currency; by default the "
        "accelerator's own.",
    )


class AcceleratorSpec(SpecModel):
    """One accelerator instance that can be bought: a card, or several cards sold together."""

    name: Name = Field(description="Name that performance data and plans use.")
    catalog: Name | None = Field(
        default=None,
        description="Entry of the built-in catalogue that supplies what is not given here.",
    )
    type: Name | None = Field(
        default=None,
        description="Type of card that capacities count; by default the accelerator's own name.",
    )
    pool: Name | None = Field(
        default=None, description="Pool (region, zone, cluster) that its cards come from."
    )
    zone: Name | None = Field(
        default=None, description="Zone it stands in: what fails together, as an availability zone."
    )
    region: Name | None = Field(default=None, description="Region it stands in.")
    cards: int = Field(default=1, ge=1, le=4096, description="Cards of that type per instance.")
    memory_gb: Positive | None = Field(
        default=None, description="Memory of all its cards together [GB = 1e9 bytes]."
    )
    bandwidth_gb_s: Positive | None = Field(
        default=None, description="Memory bandwidth of all its cards together [GB/s]."
    )
    fp16_tflops: Positive | None = Field(
        default=None,
        description="Dense 16-bit matrix throughput of all its cards together [TFLOPS]; with "
        "memory and bandwidth, enough for estimates without a catalogue entry.",
    )
    link_gb_s: Positive | None = Field(
        default=None,
        description="Bandwidth of the link between cards, per card and direction [GB/s]; by "
        "default the catalogue's. Without either, estimates keep replicas within one instance.",
    )
    power: PowerSpec | None = Field(
        default=None,
        description="Power of one instance; by default the catalogue's thermal design power per "
        "card times `cards`, at any utilisation.",
    )
    cost_per_hour: NonNegative | None = Field(
        default=None,
        description="Price of one instance per hour, in the fleet's currency; by default the "
        "catalogue's indicative price per card (USD) times `cards`.",
    )
    tiers: tuple[TierSpec, ...] = Field(
        default=(),
        strict=False,
        description="Ways to buy its instances, each with its price and quota; of what is bought, "
        "the more important services get the tiers listed first. Without any: at its own price.",
    )


class CapacitySpec(SpecModel):
    """How many cards of a type can be used; a type without an entry is not limited."""

    type: Name = Field(description="Type of card, as in `accelerators[].type`.")
    pool: Name | None = Field(
        default=None, description="Pool the limit holds for; without it, all pools together."
    )
    zone: Name | None = Field(default=None, description="Zone the limit holds for.")
    region: Name | None = Field(default=None, description="Region the limit holds for.")
    cards: int = Field(ge=0, le=10**9, description="Cards that can be used.")
