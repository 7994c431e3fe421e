"""What is minimised, and what changing today's plan costs."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from optimizer.spec.base import NonNegative, Positive, SpecModel

__all__ = [
    "Objective",
    "ObjectiveStageSpec",
    "ObjectiveWeightsSpec",
    "StageMeasure",
    "TransitionSpec",
]


class Objective(StrEnum):
    """What is minimised over the services that are served."""

    COST = "cost"  # money per hour, with what changing today's plan costs
    POWER = "power"  # kW
    CARBON = "carbon"  # kg CO2e per hour
    WEIGHTED = "weighted"  # a sum of them, by `optimizer.weights`
    LEXICOGRAPHIC = "lexicographic"  # one after another, by `optimizer.stages`
    INFERNO_VALUE = "inferno-value"  # money per hour plus inferno's penalty for moving


class StageMeasure(StrEnum):
    """What one stage of a lexicographic objective minimises."""

    COST = "cost"
    POWER = "power"
    CARBON = "carbon"
    WEIGHTED = "weighted"
    TRANSITION = "transition"


class ObjectiveWeightsSpec(SpecModel):
    """Weights of the weighted objective, whose unit is money per hour where `cost` is 1."""

    cost: NonNegative = Field(
        default=1.0, description="Of money per hour, with what changing today's plan costs."
    )
    power: NonNegative = Field(default=0.0, description="Of one kW: the price of a kWh.")
    carbon: NonNegative = Field(default=0.0, description="Of one kg CO2e per hour: its price.")


class ObjectiveStageSpec(SpecModel):
    """One stage: it is minimised with what the earlier stages reached kept within tolerance."""

    minimise: StageMeasure = Field(
        strict=False,
        description="cost, power, carbon, weighted (by `optimizer.weights`) or transition (money "
        "that changing today's plan costs).",
    )
    tolerance: float = Field(
        default=0.0,
        ge=0,
        le=10,
        allow_inf_nan=False,
        description="How much of it the later stages may give up, relative to its minimum.",
    )


class TransitionSpec(SpecModel):
    """What changing from today's plan (`services[].current`) costs, and how much may change."""

    cost_per_start: NonNegative = Field(
        default=0.0, description="Money per replica that is started, beside its start-up time."
    )
    start_up_s: NonNegative = Field(
        default=0.0,
        description="Time until a new replica serves [s], paid at its price; `performance` entries "
        "may give their own.",
    )
    cost_per_stop: NonNegative = Field(
        default=0.0, description="Money per replica that is stopped."
    )
    cost_per_move: NonNegative = Field(
        default=0.0,
        description="Money per service that is put on an accelerator where it is not today.",
    )
    horizon_h: Positive = Field(
        default=24.0, description="Hours over which this one-off money is spread."
    )
    most_moved: int | None = Field(
        default=None, ge=0, le=10**6, description="Services that may move in one step."
    )
    most_started: int | None = Field(
        default=None, ge=0, le=10**9, description="Replicas that may be started in one step."
    )
    most_stopped: int | None = Field(
        default=None, ge=0, le=10**9, description="Replicas that may be stopped in one step."
    )
