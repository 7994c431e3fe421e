"""Services: a model under a class, with a load and what is deployed today."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from optimizer.spec.base import Name, NonNegative, SpecModel, Tokens, Variability
from optimizer.spec.length_buckets import LengthBucketsSpec
from optimizer.spec.lengths import LengthDistributionSpec, mean_length
from optimizer.spec.options import AllocationMode, PoolRole, Serving
from optimizer.spec.precision import AllowedPrecision
from optimizer.spec.storage import KvReuseSpec

__all__ = [
    "BatchRangeSpec",
    "CurrentAllocationSpec",
    "FailureDomain",
    "LoadSpec",
    "ReplicaRangeSpec",
    "RoutingPolicy",
    "ServiceSpec",
]


class RoutingPolicy(StrEnum):
    """How requests are spread over the replicas of a service."""

    RANDOM = "random"
    ROUND_ROBIN = "round_robin"
    LEAST_OUTSTANDING = "least_outstanding"


class FailureDomain(StrEnum):
    """What fails together."""

    ZONE = "zone"
    REGION = "region"
    POOL = "pool"


OutputTokens = Annotated[float, Field(ge=1, le=1e9, allow_inf_nan=False)]


class LoadSpec(SpecModel):
    """Requests of a service."""

    arrival_rate_rps: NonNegative = Field(description="Mean arrival rate [requests/s].")
    input_tokens: Tokens | LengthDistributionSpec = Field(
        description="Prompt length [tokens]: its mean, or its distribution."
    )
    output_tokens: OutputTokens | LengthDistributionSpec = Field(
        description="Output length [tokens]: its mean, at least 1, or its distribution."
    )
    input_tokens_scv: Variability = Field(
        default=0.0,
        description="Squared coefficient of variation of prompt lengths (variance over squared "
        "mean) given by their mean; 0: all alike, else lognormal.",
    )
    output_tokens_scv: Variability = Field(
        default=0.0,
        description="Squared coefficient of variation of output lengths given by their mean.",
    )
    arrival_scv: float = Field(
        default=1.0,
        gt=0,
        le=1e6,
        allow_inf_nan=False,
        description="Squared coefficient of variation of the times between arrivals; 1: Poisson.",
    )
    prefix_hit_rate: float = Field(
        default=0.0,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Share of prompt tokens found in the prefix cache and not computed again.",
    )

    @property
    def mean_input_tokens(self) -> float:
        """Mean prompt length, however it is given."""
        return mean_length(self.input_tokens)

    @property
    def mean_output_tokens(self) -> float:
        """Mean output length, however it is given."""
        return mean_length(self.output_tokens)


class ReplicaRangeSpec(SpecModel):
    """How many replicas are allowed."""

    min: int = Field(default=1, ge=0, le=10**6, description="At least; 0 allows scale to zero.")
    max: int | None = Field(default=None, ge=0, le=10**6, description="At most.")


class BatchRangeSpec(SpecModel):
    """Maximum batch left to the optimiser within a range."""

    min: int = Field(default=1, ge=1, le=65536, description="Smallest maximum batch.")
    max: int = Field(ge=1, le=65536, description="Largest maximum batch.")
    step: int | None = Field(
        default=None,
        ge=1,
        le=65536,
        description="Tries every so-many-th batch from min, and max; by default min, max and every "
        "power of two between.",
    )


class CurrentAllocationSpec(SpecModel):
    """What serves the service today."""

    accelerator: Name | None = Field(default=None, description="Accelerator in use.")
    replicas: int = Field(default=0, ge=0, le=10**6, description="Replicas in use.")
    max_batch: int | None = Field(default=None, ge=1, description="Maximum batch in use.")
    role: PoolRole = Field(
        default=PoolRole.AGGREGATED,
        strict=False,
        description="aggregated: its replicas prefill and decode; prefill or decode: they are that "
        "pool of a service that is served by two.",
    )
    cost_per_hour: NonNegative | None = Field(
        default=None, description="What it costs; by default computed from the accelerator."
    )


CurrentAllocations = Annotated[tuple[CurrentAllocationSpec, ...], Field(strict=False)]


class ServiceSpec(SpecModel):
    """A model served to one class of users."""

    name: Name = Field(description="Name of the service.")
    model: Name = Field(description="Model, as in `models[].name`.")
    service_class: Name = Field(alias="class", description="Class, as in `classes[].name`.")
    tenant: Name | None = Field(
        default=None, description="Whose service it is, for limits on tenants."
    )
    load: LoadSpec = Field(description="Its requests.")
    replicas: ReplicaRangeSpec = Field(
        default_factory=ReplicaRangeSpec, description="Allowed numbers of replicas."
    )
    max_batch: Annotated[int, Field(ge=1, le=65536)] | BatchRangeSpec | None = Field(
        default=None,
        description="Maximum batch: a number fixes it, a range lets the optimiser search it; by "
        "default it is searched up to the performance data's.",
    )
    max_queue: int | None = Field(
        default=None,
        ge=0,
        le=10**9,
        description="Requests that may wait on one replica beyond its batch; by default the "
        "queue model's own convention.",
    )
    routing: RoutingPolicy = Field(
        default=RoutingPolicy.RANDOM,
        strict=False,
        description="How requests are spread over the replicas: random, round_robin (in turn) or "
        "least_outstanding (to the replica with the fewest requests).",
    )
    accelerator: Name | None = Field(
        default=None, description="Pins the service to this accelerator."
    )
    weight_precisions: tuple[AllowedPrecision, ...] | None = Field(
        default=None,
        strict=False,
        description="Precisions of the weights that its quality allows; by default all that its "
        "class allows.",
    )
    kv_precisions: tuple[AllowedPrecision, ...] | None = Field(
        default=None,
        strict=False,
        description="Precisions of the KV cache that its quality allows; by default all that its "
        "class allows.",
    )
    allocation: AllocationMode | None = Field(
        default=None,
        strict=False,
        description="choose: one accelerator; split: several at once, with shares of the load; by "
        "default `optimizer.allocation`.",
    )
    max_different: int | None = Field(
        default=None,
        ge=1,
        le=10**6,
        description="With split: how many different (accelerator, maximum batch) may serve it; by "
        "default `optimizer.max_different`.",
    )
    serving: Serving | None = Field(
        default=None,
        strict=False,
        description="aggregated: the same replicas prefill and decode; disaggregated: pools of "
        "their own do; either; by default `optimizer.serving`.",
    )
    replica_pool: Name | None = Field(
        default=None,
        description="Services of one model with the same name here may share replicas, where that "
        "serves the fleet better: the optimiser decides which of them do, and every one's "
        "objectives hold under the traffic of all. By default a service shares with none.",
    )
    length_buckets: LengthBucketsSpec | None = Field(
        default=None,
        description="Its requests in buckets of prompt and output length, each with a rate of its "
        "own on every accelerator.",
    )
    kv_reuse: KvReuseSpec | None = Field(
        default=None, description="KV caches that it may keep in a store and load again."
    )
    spares: int = Field(
        default=0,
        ge=0,
        le=10**6,
        description="Replicas beyond those that its load needs: so many may fail and every "
        "objective still holds.",
    )
    survive: FailureDomain | None = Field(
        default=None,
        strict=False,
        description="zone, region or pool: with any one of them lost, what is left still carries "
        "all of its load within the objectives. Needs allocation: split.",
    )
    current: CurrentAllocationSpec | CurrentAllocations | None = Field(
        default=None,
        description="What serves it today: one allocation, or a list of several where it splits.",
    )

    @property
    def only_current(self) -> CurrentAllocationSpec | None:
        """What serves it today, where that is at most one allocation."""
        current = self.current
        if isinstance(current, tuple):
            return current[0] if len(current) == 1 else None
        return current

    @property
    def deployed(self) -> tuple[CurrentAllocationSpec, ...]:
        """What serves it today, as a list of those with an accelerator and replicas."""
        current = self.current
        listed = current if isinstance(current, tuple) else () if current is None else (current,)
        return tuple(c for c in listed if c.accelerator is not None and c.replicas > 0)
