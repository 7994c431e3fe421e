"""What the REST services of the control loop are asked, and what they answer."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from optimizer.control.spec.decision import Decision
from optimizer.control.spec.document import ControlDocument
from optimizer.control.spec.observation import FleetObservation, ReplicaCounts
from optimizer.control.spec.order import OrderOutcome
from optimizer.control.spec.status import ControlStatus
from optimizer.control.spec.variant import Variant
from optimizer.spec.base import Milliseconds, Name, NonNegative, Positive, SpecModel, Tokens

__all__ = [
    "ActuateAnswer",
    "ActuateRequest",
    "CollectAnswer",
    "CycleDocument",
    "ErrorAnswer",
    "ErrorDetail",
    "ErrorKind",
    "InvokeRequest",
    "OptimizeAnswer",
    "OptimizeRequest",
    "RequestFault",
    "ServiceLoad",
    "ServingWindow",
    "TuneAnswer",
    "TuneRequest",
    "VariantReplicas",
]

_MOST_SERVICES = 20_000
_MOST_WINDOWS = 500
Event = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]


class VariantReplicas(SpecModel):
    """So many replicas of one variant."""

    variant: Variant = Field(description="Which.")
    replicas: int = Field(ge=0, le=10**6, description="How many.")


class ServiceLoad(SpecModel):
    """A load that is expected of a service."""

    service: Name = Field(description="Name of the service.")
    arrival_rate_rps: NonNegative = Field(description="Requests that come [requests/s].")
    input_tokens: Tokens | None = Field(
        default=None, gt=0, description="Mean prompt length [tokens]; null: as before."
    )
    output_tokens: Tokens | None = Field(
        default=None, ge=1, description="Mean output length [tokens]; null: as before."
    )


class OptimizeRequest(ControlDocument):
    """A plan is asked for; nothing is changed by it."""

    loads: tuple[ServiceLoad, ...] = Field(
        default=(),
        strict=False,
        max_length=_MOST_SERVICES,
        description="Loads; services that are not there keep what they were planned for.",
    )
    running: tuple[VariantReplicas, ...] | None = Field(
        default=None,
        strict=False,
        max_length=_MOST_SERVICES,
        description="Replicas asked for today; null: as the actuator counts them.",
    )
    moves_allowed: bool = Field(
        default=False, description="Whether services may go to variants they do not run on."
    )


class OptimizeAnswer(ControlDocument):
    """Replicas that there should be."""

    replicas: tuple[VariantReplicas, ...] = Field(strict=False)
    needed: dict[str, int] = Field(description="Replicas that would serve each service whole.")
    unserved: tuple[str, ...] = Field(
        strict=False, description="Services that do not get all they need."
    )
    moves_allowed: bool
    cost_per_hour: float
    solver: str = Field(description="What solved it.")


class CollectAnswer(ControlDocument):
    """What is seen of the fleet now."""

    counts: ReplicaCounts
    observation: FleetObservation


class ServingWindow(SpecModel):
    """A window of one replica's serving, as monitoring sees it."""

    arrival_rate_rps: Positive | None = Field(default=None, description="Offered [requests/s].")
    input_tokens: Tokens = Field(gt=0, description="Mean prompt length [tokens].")
    output_tokens: Tokens = Field(ge=1, description="Mean output length [tokens].")
    ttft_ms: Milliseconds | None = Field(default=None, gt=0, description="Mean [ms].")
    itl_ms: Milliseconds | None = Field(default=None, gt=0, description="Mean [ms].")
    concurrency: Positive | None = Field(default=None, description="Requests in service, mean.")
    requests: Positive | None = Field(default=None, description="How many were seen.")


class TuneRequest(ControlDocument):
    """Observations of replicas of one variant, oldest first."""

    variant: Variant
    observations: tuple[ServingWindow, ...] = Field(
        strict=False, min_length=1, max_length=_MOST_WINDOWS
    )


class TuneAnswer(ControlDocument):
    """What they teach of its timing."""

    variant: Variant
    tuner: str = Field(description="What learnt it.")
    parameters: dict[str, float] = Field(description="By name [ms]; empty: nothing was learnt.")
    prediction_log_sd: float | None = Field(
        description="Spread of the logarithm of predicted times at these loads."
    )
    accepted: int = Field(ge=0, description="Observations taken in.")
    rejected: tuple[str, ...] = Field(strict=False, description="Why others were not.")


class ActuateRequest(ControlDocument):
    """Replicas that somebody wants now; quotas, the circuit breaker and `paused` hold for them."""

    targets: tuple[VariantReplicas, ...] = Field(
        strict=False, min_length=1, max_length=_MOST_SERVICES
    )


class ActuateAnswer(ControlDocument):
    """What became of it; the controller goes on from what it sees at its next look."""

    outcomes: tuple[OrderOutcome, ...] = Field(strict=False)
    waiting: tuple[VariantReplicas, ...] = Field(
        strict=False, description="Replicas that wait for cards; they are not remembered."
    )
    held: str = Field(default="", description='What held everything; "": nothing did.')


class InvokeRequest(ControlDocument):
    """Something happened: a cycle is to be made at once."""

    event: Event = Field(default="invoked", description="One word, such as burst.")


class CycleDocument(ControlDocument):
    """One cycle of the controller: what `fleetopt control run --json` prints, too."""

    decision: Decision
    orders: tuple[OrderOutcome, ...] = Field(strict=False)
    status: ControlStatus


class ErrorKind(StrEnum):
    """What kind of error it is."""

    INVALID = "invalid"  # the request cannot be read
    UNAUTHORIZED = "unauthorized"  # the token is missing or wrong
    FORBIDDEN = "forbidden"  # nobody may: no token is set
    NOT_FOUND = "not-found"
    TOO_LARGE = "too-large"
    TOO_SLOW = "too-slow"  # it took longer than requests may
    BUSY = "busy"  # another one is being worked on
    IMPOSSIBLE = "impossible"  # understood, and not possible now
    INTERNAL = "internal"


class RequestFault(SpecModel):
    """One fault of a request."""

    where: str = Field(description="Path of the field, as loads[2].service.")
    message: str


class ErrorDetail(SpecModel):
    """One error."""

    kind: ErrorKind = Field(strict=False)
    message: str = Field(description="For people.")
    faults: tuple[RequestFault, ...] = Field(default=(), strict=False)


class ErrorAnswer(ControlDocument):
    """What every answer is that is not a success."""

    error: ErrorDetail
