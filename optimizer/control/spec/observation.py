"""What is seen of a fleet: figures that are known, or missing with a reason, never zero for want.

A figure that could not be had is not a small figure: a controller that reads it as one takes
replicas away from services under load.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from optimizer.control.spec.document import ControlDocument
from optimizer.control.spec.variant import Variant
from optimizer.spec.base import Name, SpecModel

__all__ = [
    "NOT_ASKED",
    "FleetObservation",
    "MissingReason",
    "Reading",
    "ReplicaCount",
    "ReplicaCounts",
    "ServiceObservation",
]

Seconds = Annotated[float, Field(allow_inf_nan=False)]


class MissingReason(StrEnum):
    """Why a figure is not known."""

    NOT_ASKED = "not-asked"  # this collector does not look for it
    EMPTY = "empty"  # the source answered, and has no such series
    PARTIAL = "partial"  # some replicas report it, others do not
    STALE = "stale"  # the newest sample is too old
    NOT_FINITE = "not-finite"  # NaN or an infinity
    NEGATIVE = "negative"
    FROM_THE_FUTURE = "from-the-future"  # clocks disagree
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"  # 401, 403
    SERVER_ERROR = "server-error"  # 5xx, 429
    BAD_ANSWER = "bad-answer"  # not what was asked for
    CONTRADICTORY = "contradictory"  # figures that cannot be true together
    NO_TRAFFIC = "no-traffic"  # known to be idle, so there is nothing to take a mean of


class Reading(SpecModel):
    """One figure: its value, or why there is none."""

    value: float | None = Field(default=None, ge=0, description="null: not known.")
    missing: MissingReason | None = Field(
        default=None, strict=False, description="Why it is not known; null where it is."
    )
    detail: str = Field(default="", description="More of the reason, for people.")
    age_s: float = Field(default=0.0, ge=0, description="Age of the newest sample [s].")

    @model_validator(mode="after")
    def _known_or_missing(self) -> Self:
        if (self.value is None) == (self.missing is None):
            raise ValueError("must have a value or a reason why it is missing, and not both")
        return self

    @classmethod
    def of(cls, value: float, age_s: float = 0.0) -> Reading:
        """Return a known figure; missing where it is not a number that such a figure can be."""
        if not math.isfinite(value):
            return cls.none(MissingReason.NOT_FINITE, f"the value is {value}")
        if value < 0:
            return cls.none(MissingReason.NEGATIVE, f"the value is {value:g}")
        return cls(value=float(value), age_s=age_s)

    @classmethod
    def none(cls, why: MissingReason, detail: str = "") -> Reading:
        """Return a figure that is missing."""
        return cls(missing=why, detail=detail)

    @property
    def known(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    def __str__(self) -> str:
        """Return the value, or why there is none."""
        if self.value is not None:
            return f"{self.value:.6g}"
        return f"missing ({self.missing}{': ' + self.detail if self.detail else ''})"


NOT_ASKED = Reading(missing=MissingReason.NOT_ASKED)
"""A figure that a collector does not look for."""


class ServiceObservation(SpecModel):
    """What is seen of one service's traffic, over all its replicas."""

    service: Name = Field(description="Name of the service.")
    arrival_rate_rps: Reading = Field(
        default=NOT_ASKED,
        description="Requests that come [requests/s], whether they are completed or not.",
    )
    recent_rate_rps: Reading = Field(
        default=NOT_ASKED,
        description="The same over the last moments: less exact, and there sooner.",
    )
    completed_rate_rps: Reading = Field(default=NOT_ASKED, description="Requests completed.")
    input_tokens: Reading = Field(default=NOT_ASKED, description="Mean prompt length [tokens].")
    output_tokens: Reading = Field(default=NOT_ASKED, description="Mean output length [tokens].")
    waiting: Reading = Field(default=NOT_ASKED, description="Requests that wait, all replicas.")
    running: Reading = Field(default=NOT_ASKED, description="Requests in batches, all replicas.")
    kv_usage: Reading = Field(default=NOT_ASKED, description="KV cache in use, mean share.")
    ttft_ms: Reading = Field(default=NOT_ASKED, description="Mean time to first token [ms].")
    itl_ms: Reading = Field(default=NOT_ASKED, description="Mean inter-token latency [ms].")
    reporting: Reading = Field(default=NOT_ASKED, description="Replicas that report figures.")
    age_s: float = Field(default=0.0, ge=0, description="Time since a service's start-up [s].")


class FleetObservation(ControlDocument):
    """What a collector saw at one time."""

    at_s: Seconds = Field(description="When [s], on the controller's clock.")
    services: tuple[ServiceObservation, ...] = Field(strict=False, description="By service.")
    cards: dict[str, int] | None = Field(
        default=None,
        description="Cards that can be used now per type, where somebody counts them; null: as "
        "the fleet's description says.",
    )


class ReplicaCount(SpecModel):
    """Replicas of one variant, as whoever runs them tells."""

    variant: Variant = Field(description="Which.")
    wanted: int = Field(ge=0, le=10**6, description="Replicas asked for: what is written down.")
    ready: int = Field(default=0, ge=0, le=10**6, description="Replicas that serve.")
    pending: int = Field(default=0, ge=0, le=10**6, description="Replicas that are starting.")
    stopping: int = Field(
        default=0, ge=0, le=10**6, description="Replicas on their way out that still hold cards."
    )
    pending_for_s: float = Field(
        default=0.0, ge=0, description="How long the oldest of those starting has been [s]."
    )

    @property
    def holding(self) -> int:
        """Replicas that hold cards, or may at any moment: never fewer than those asked for."""
        return max(self.wanted, self.ready + self.pending) + self.stopping


class ReplicaCounts(ControlDocument):
    """The replicas of a fleet at one time."""

    at_s: Seconds = Field(description="When [s], on the controller's clock.")
    counts: tuple[ReplicaCount, ...] = Field(strict=False, description="By variant.")

    def wanted(self) -> dict[Variant, int]:
        """Return what is asked for, by variant."""
        return {count.variant: count.wanted for count in self.counts}

    def of(self, service: str) -> tuple[ReplicaCount, ...]:
        """Return the variants of a service."""
        return tuple(count for count in self.counts if count.variant.service == service)
