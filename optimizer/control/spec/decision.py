"""What was decided in one cycle, and why: everything that a person asks afterwards."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from optimizer.control.spec.document import ControlDocument
from optimizer.control.spec.variant import Variant
from optimizer.spec.base import Name, SpecModel

__all__ = ["Clamp", "Decision", "ServiceDecision", "VariantTarget"]


class Clamp(StrEnum):
    """What kept replicas from following the optimiser's proposal at once."""

    NO_DATA = "no-data"  # figures are missing: nothing is taken away
    UP_WINDOW = "up-window"
    DOWN_WINDOW = "down-window"
    SHORT_HISTORY = "short-history"  # not watched for a whole window yet
    STEP_UP = "step-up"
    STEP_DOWN = "step-down"
    COOLDOWN = "cooldown"
    PENDING = "pending"  # replicas that do not come up: no more are asked for
    QUOTA = "quota"  # waits for cards that others still hold
    BREAKER = "breaker"  # waits for approval
    PAUSED = "paused"


class VariantTarget(SpecModel):
    """Replicas of one variant: before, proposed, and wanted now."""

    variant: Variant = Field(description="Which.")
    before: int = Field(ge=0, description="Replicas asked for when the cycle began.")
    proposed: int = Field(ge=0, description="By the optimiser.")
    target: int = Field(ge=0, description="After the stabiliser.")


class ServiceDecision(SpecModel):
    """What was decided for one service."""

    service: Name = Field(description="Name of the service.")
    observed_rps: float | None = Field(description="Rate seen; null: not known.")
    forecast_rps: float | None = Field(description="Rate expected at the horizon.")
    planned_rps: float = Field(description="Rate that the replicas are sized for.")
    variants: tuple[VariantTarget, ...] = Field(default=(), strict=False)
    clamps: tuple[Clamp, ...] = Field(default=(), strict=False)
    served: bool = Field(default=True, description="Whether the plan serves all of its load.")
    reason: str = Field(default="", description="In words.")


class Decision(ControlDocument):
    """One plan of the controller."""

    at_s: float = Field(description="When [s], on the controller's clock.")
    cycle: int = Field(ge=0, description="Count of the cycles since the state began.")
    trigger: str = Field(description="What made it: period, event or approval.")
    solver: str = Field(default="", description="What solved it.")
    cost_per_hour: float = Field(default=0.0, description="Of the targets.")
    moves_allowed: bool = Field(default=False, description="Whether services could change place.")
    services: tuple[ServiceDecision, ...] = Field(strict=False, description="By service.")
