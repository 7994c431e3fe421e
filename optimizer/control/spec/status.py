"""How the controller is: conditions as Kubernetes has them, and what it wants of each service."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from optimizer.control.spec.document import ControlDocument
from optimizer.control.spec.variant import Variant
from optimizer.spec.base import Name, SpecModel

__all__ = ["Condition", "ConditionType", "ControlStatus", "ServiceStatus"]


class ConditionType(StrEnum):
    """What is told of; each is true where all is well."""

    READY = "Ready"
    METRICS_AVAILABLE = "MetricsAvailable"
    CONFIGURATION_VALID = "ConfigurationValid"
    OPTIMIZATION_READY = "OptimizationReady"
    CAPACITY_AVAILABLE = "CapacityAvailable"
    APPROVED = "Approved"
    STABILIZED = "Stabilized"
    ACTUATED = "Actuated"


class Condition(SpecModel):
    """One statement about the controller."""

    type: ConditionType = Field(strict=False)
    status: bool = Field(description="Whether all is well with it.")
    reason: str = Field(description="One word, for programs.")
    message: str = Field(default="", description="For people.")
    since_s: float = Field(description="When the status last changed [s].")


class ServiceStatus(SpecModel):
    """Where one variant stands."""

    variant: Variant
    wanted: int = Field(ge=0, description="Replicas asked for.")
    ready: int = Field(ge=0, description="Replicas that serve.")
    target: int = Field(ge=0, description="Replicas that the last good plan wants.")


class ControlStatus(ControlDocument):
    """The controller at one time."""

    fleet: Name
    at_s: float
    cycle: int = Field(ge=0)
    last_success_s: float | None = Field(
        default=None, description="When a plan was last made from good data [s]."
    )
    last_digest: str = Field(default="", description="Of the last good plan.")
    awaiting_approval: str = Field(
        default="", description='Digest of the plan that waits for approval; "": none does.'
    )
    conditions: tuple[Condition, ...] = Field(default=(), strict=False)
    services: tuple[ServiceStatus, ...] = Field(default=(), strict=False)

    def condition(self, kind: ConditionType) -> Condition | None:
        """Return a condition by its type."""
        return next((c for c in self.conditions if c.type is kind), None)
