"""What the whole fleet, or a part of it, may use at most."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from optimizer.spec.base import Name, NonNegative, SpecModel

__all__ = ["LimitMeasure", "LimitSpec", "RegionSpec"]


class LimitMeasure(StrEnum):
    """What a limit counts."""

    CARDS = "cards"
    COST_PER_HOUR = "cost_per_hour"
    POWER_KW = "power_kw"
    CARBON_KG_PER_HOUR = "carbon_kg_per_hour"


class LimitSpec(SpecModel):
    """One limit: `{measure: cost_per_hour, at_most: 120, tenant: search}`."""

    name: Name | None = Field(
        default=None, description="Its name in plans; by default the measure and where it holds."
    )
    measure: LimitMeasure = Field(
        strict=False,
        description="cards; cost_per_hour, in the fleet's currency; power_kw, of the accelerators "
        "at their predicted utilisation; carbon_kg_per_hour, that power times the carbon intensity "
        "of its region.",
    )
    at_most: NonNegative = Field(description="The limit, in the measure's unit.")
    tenant: Name | None = Field(
        default=None, description="Services of this tenant alone; without it, all services."
    )
    type: Name | None = Field(default=None, description="Cards of this type alone.")
    pool: Name | None = Field(default=None, description="Accelerators in this pool alone.")
    zone: Name | None = Field(default=None, description="Accelerators in this zone alone.")
    region: Name | None = Field(default=None, description="Accelerators in this region alone.")


class RegionSpec(SpecModel):
    """A region, and how clean its electricity is."""

    name: Name = Field(description="Name, as in `accelerators[].region`.")
    carbon_g_per_kwh: NonNegative = Field(
        description="Carbon intensity of its electricity [g CO2e per kWh]."
    )
