"""A horizon of periods: forecast loads, what switching costs, what is bought for all of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from optimizer.spec.base import Name, NonNegative, Positive, SpecModel

__all__ = ["CommitmentSpec", "HorizonSpec", "HorizonStart", "PeriodSpec"]

Periods = Annotated[int, Field(ge=0, le=10**4)]


class HorizonStart(StrEnum):
    """What there is when the first period begins."""

    ANYTHING = "anything"  # whatever it needs
    CURRENT = "current"  # what `services[].current` says


class PeriodSpec(SpecModel):
    """The loads that are forecast for one period."""

    name: Name | None = Field(default=None, description="Name of the period; by default its place.")
    factor: NonNegative = Field(
        default=1.0, description="Factor on the arrival rates of services not named in rates_rps."
    )
    rates_rps: dict[Name, NonNegative] = Field(
        default_factory=dict, description="Arrival rates by service [requests/s]."
    )


class CommitmentSpec(SpecModel):
    """Instances that can be bought for the whole horizon at a lower price."""

    accelerator: Name = Field(description="Accelerator, as in `accelerators[].name`.")
    cost_per_hour: NonNegative = Field(
        description="Price of an instance, paid in every period whether it is used or not."
    )
    max_instances: int | None = Field(
        default=None, ge=0, le=10**6, description="Most that can be committed to."
    )


class HorizonSpec(SpecModel):
    """Periods that are planned together."""

    periods: tuple[PeriodSpec, ...] = Field(
        default=(), strict=False, description="In their order; or as `--loads` gives them."
    )
    starts_from: HorizonStart = Field(
        default=HorizonStart.ANYTHING,
        strict=False,
        description="anything: what the first period needs is there when it begins; current: what "
        "`services[].current` says is, and the rest has to be started.",
    )
    period_hours: Positive = Field(default=1.0, description="Length of a period [h].")
    start_delay_periods: Periods = Field(
        default=0,
        description="A replica started in period t serves from t plus this, and is paid from t.",
    )
    min_up_periods: Annotated[int, Field(ge=1, le=10**4)] = Field(
        default=1, description="A replica that was started serves at least so many periods."
    )
    start_cost: NonNegative = Field(default=0.0, description="Money per start of a replica.")
    stop_cost: NonNegative = Field(default=0.0, description="Money per stop of a replica.")
    move_cost: NonNegative = Field(
        default=0.0,
        description="Money when a service goes over to another configuration between two periods, "
        "beside its starts and stops.",
    )
    commitments: tuple[CommitmentSpec, ...] = Field(
        default=(), strict=False, description="What can be bought for the whole horizon."
    )
