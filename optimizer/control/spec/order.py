"""Orders to change replicas, and what became of them."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from optimizer.control.spec.document import ControlDocument
from optimizer.control.spec.variant import Variant

__all__ = ["Order", "OrderKind", "OrderOutcome", "OrderResult"]


class OrderKind(StrEnum):
    """Whether cards come back or go out."""

    RELEASE = "release"
    GRANT = "grant"


class Order(ControlDocument):
    """Set the replicas of one variant; giving it again changes nothing more."""

    variant: Variant = Field(description="Which.")
    kind: OrderKind = Field(strict=False, description="release: fewer; grant: more.")
    expected: int = Field(ge=0, le=10**6, description="Replicas that were asked for when decided.")
    replicas: int = Field(ge=0, le=10**6, description="Replicas wanted.")
    cycle: int = Field(ge=0, description="Cycle of the decision it carries out.")

    def __str__(self) -> str:
        """As in `chat on H100: 2 -> 3`."""
        return f"{self.variant}: {self.expected} -> {self.replicas}"


class OrderResult(StrEnum):
    """What became of an order."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"  # it was so already
    CONFLICT = "conflict"  # somebody else changed it, or owns it
    REFUSED = "refused"  # not allowed, or no such deployment
    FAILED = "failed"  # not reached, or it went wrong there: to be tried again
    SHADOWED = "shadowed"  # a dry run


class OrderOutcome(ControlDocument):
    """An order and what became of it."""

    order: Order
    result: OrderResult = Field(strict=False)
    detail: str = Field(default="", description="For people.")

    @property
    def done(self) -> bool:
        """Whether the replicas are as ordered."""
        return self.result in (OrderResult.APPLIED, OrderResult.UNCHANGED)
