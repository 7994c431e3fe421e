"""The plan: who gets what, what it costs, what to expect, how good it is, what is impossible."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from optimizer.errors import PlanError
from optimizer.fleet.answer import Answer, read_answer
from optimizer.spec.options import PoolRole
from optimizer.spec.service_class import SloMetric
from solvers import Limit, MissingExtraError, Reason, SolveStatistics

if TYPE_CHECKING:
    from optimizer.fleet.difference import PlanDifference
    from optimizer.fleet.explain import Explanation
    from optimizer.fleet.problem import FleetProblem

__all__ = [
    "Allocation",
    "BucketRoute",
    "FleetPlan",
    "ObjectiveStage",
    "PlanTransition",
    "PoolRole",
    "Provenance",
    "Purchase",
    "ResourceUse",
    "Stage",
    "TargetOutcome",
    "UnservedService",
]


class _PlanPart(BaseModel):
    """A frozen part of a plan."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    _when_used: ClassVar[tuple[str, ...]] = ()
    """Fields that documents leave out where they have their default: few fleets use them."""

    @model_serializer(mode="wrap")
    def _without_unused(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        for name in self._when_used:
            if name in data and getattr(self, name) == type(self).model_fields[name].default:
                del data[name]
        return data


class TargetOutcome(_PlanPart):
    """One objective of a service and what the queue model predicts for it."""

    metric: SloMetric = Field(description="What is bounded.")
    statistic: str = Field(description="mean, or a percentile such as p99.")
    bound: float = Field(description="The bound, in the metric's unit.")
    value: float | None = Field(description="Predicted; null without a steady state.")
    met: bool = Field(description="Whether the prediction keeps the bound.")
    margin: float | None = Field(
        description="Room left, relative to the bound; negative where it is broken."
    )


class BucketRoute(_PlanPart):
    """Requests of one length bucket that are routed to an allocation."""

    input_row: int = Field(description="Row of the histogram: prompt lengths, from 0.")
    output_column: int = Field(description="Column of the histogram: output lengths, from 0.")
    rate_rps: float = Field(description="Requests of the bucket that come here [requests/s].")
    share: float = Field(description="Share of the bucket's requests, 0 to 1.")


class StorageUse(_PlanPart):
    """KV caches that an allocation keeps in a store and loads instead of computing them."""

    store: str
    recompute_ratio: float = Field(description="Share of the cached tokens computed all the same.")
    reused_share: float = Field(
        description="Share of all prompt tokens that is not computed, the accelerator's own prefix "
        "cache included."
    )
    quality: float | None = Field(
        default=None, description="Of the answers; null where it does not depend on the ratio."
    )
    loading_ms: float = Field(
        description="Mean that loading adds to TTFT, over all requests; the latencies include it."
    )
    kept_gb: float = Field(description="Kept in the store, or in the local ones of all replicas.")
    read_gb_s: float = Field(description="Mean of what is read [GB/s].")
    cost_per_hour: float = Field(description="Of keeping, reading and writing.")


class Allocation(_PlanPart):
    """What serves one service, or the part of it that is routed here where it splits."""

    _when_used: ClassVar[tuple[str, ...]] = (
        "tiers",
        "configuration",
        "tensor_parallel",
        "pipeline_parallel",
        "weight_precision",
        "kv_precision",
        "storage",
        "source",
        "log_sd",
        "role",
        "transfer_ms",
        "replicas_of",
        "shared_with",
    )

    service: str
    model: str
    service_class: str
    priority: int
    role: PoolRole = Field(
        default=PoolRole.AGGREGATED,
        description="What its replicas do of a request. Of a prefill and a decode pool each has an "
        "allocation of its own, with the latencies that requests see of both.",
    )
    transfer_ms: float | None = Field(
        default=None, description="Time of a mean prompt's KV cache from prefill to decode pool."
    )
    accelerator: str | None = Field(description="null: scaled to zero.")
    configuration: str = Field(
        default="",
        description="Which of the model's configurations on this accelerator, in words.",
    )
    tensor_parallel: int | None = Field(default=None, description="Cards per layer.")
    pipeline_parallel: int | None = Field(default=None, description="Stages of layers.")
    weight_precision: str | None = Field(default=None, description="As the weights are served.")
    kv_precision: str | None = Field(default=None, description="Of the KV cache.")
    source: str | None = Field(
        default=None, description="Where the times of this configuration come from, as stated."
    )
    log_sd: float | None = Field(
        default=None,
        description="Uncertainty of estimated times: standard deviation of the logarithm of true "
        "over stated; null where they were measured.",
    )
    replicas_of: str | None = Field(
        default=None,
        description="The service in whose allocation the replicas stand that serve this one too; "
        "replicas, instances, cards and cost are 0 here.",
    )
    shared_with: tuple[str, ...] = Field(
        default=(), description="Services that the same replicas serve."
    )
    replicas: int
    replicas_needed: int = Field(description="Replicas that keep every objective at full load.")
    instances: int = Field(description="Accelerator instances, all replicas together.")
    cards: int = Field(description="Cards, all replicas together.")
    max_batch: int | None
    cost_per_hour: float
    arrival_rate_rps: float = Field(description="Load of the service [requests/s].")
    admitted_rate_rps: float = Field(description="Part of it that the replicas take.")
    max_rate_rps: float = Field(description="Rate at which the replicas still keep every SLO.")
    utilization: float | None = Field(
        description="Mean share of the batch in use. This and the latencies are predicted at the "
        "rate the service is sized for, which a promised throughput may raise above its load."
    )
    stable: bool = Field(description="false: more arrives than can be served.")
    refused_share: float | None = Field(description="Share of arrivals a full queue refuses.")
    queueing_ms: float | None
    ttft_ms: float | None = Field(description="Mean time to first token, queueing included.")
    itl_ms: float | None = Field(description="Mean time between tokens.")
    e2e_ms: float | None = Field(description="Mean time from arrival to last token.")
    storage: StorageUse | None = Field(
        default=None, description="KV caches that it keeps in a store and loads."
    )
    targets: tuple[TargetOutcome, ...] = Field(description="Every objective, with its margin.")
    margin: float | None = Field(description="Smallest margin; null without objectives.")
    partial: bool = Field(
        description="Fewer replicas than needed (best effort), or not all of a load that splits."
    )
    share: float = Field(
        default=1.0,
        description="Share of the service's load that is routed here; below 1 where the service "
        "splits over several allocations, or a part of it stays unserved.",
    )
    tiers: dict[str, int] = Field(
        default={}, description="Instances by purchase tier, of an accelerator that has tiers."
    )
    routes: tuple[BucketRoute, ...] = Field(
        default=(), description="What comes here of each length bucket, of a service in buckets."
    )

    @property
    def slo_met(self) -> bool:
        """Whether every objective is predicted to hold."""
        return all(target.met for target in self.targets)


class UnservedService(_PlanPart):
    """A service that gets nothing, and why."""

    service: str
    model: str
    service_class: str
    priority: int
    reason: Literal["no-candidate", "capacity", "not-worth-it", "not-placed"] = Field(
        description="no-candidate: nothing can serve it; capacity: no room beside the others; "
        "not-worth-it: serving it costs more than its penalty; not-placed: a solver that proved "
        "nothing left it out."
    )
    explanation: str


class ResourceUse(_PlanPart):
    """What the plan uses of one resource: cards of one type and place, or what a limit counts."""

    _when_used: ClassVar[tuple[str, ...]] = ("zone", "region", "tenant")

    name: str
    kind: str = Field(default="cards", description="What is counted, as in `limits[].measure`.")
    unit: str = Field(default="cards", description="Of capacity, used and free.")
    type: str | None
    pool: str | None
    zone: str | None = None
    region: str | None = None
    tenant: str | None = None
    capacity: int | float | None = Field(description="null: not limited.")
    used: int | float
    free: int | float | None


class Purchase(_PlanPart):
    """Instances of one accelerator that are bought in one tier."""

    accelerator: str
    tier: str
    instances: int
    quota: int | None = Field(description="null: no quota.")
    cost_per_hour: float


class PlanTransition(_PlanPart):
    """What changes from today's plan, and what that costs once."""

    moved: tuple[str, ...] = Field(
        description="Services that run today, and will on an accelerator where they do not."
    )
    started: int = Field(description="Replicas that do not run today.")
    stopped: int = Field(description="Replicas that run today and do not go on.")
    cost: float = Field(description="One-off money, in the fleet's currency.")
    cost_per_hour: float = Field(
        description="The same spread over the horizon; not part of total_cost_per_hour."
    )
    ready_after_s: float = Field(description="Longest start-up time of what is started [s].")


class ObjectiveStage(_PlanPart):
    """One stage of a lexicographic objective; later bounds hold given the earlier stages."""

    minimise: str
    value: float = Field(description="Of the answer to this stage, in the measure's unit per hour.")
    dual_bound: float | None = Field(description="Proven: no plan reaches less.")
    tolerance: float = Field(description="How much of it later stages might give up, relative.")
    proven: bool


class Stage(_PlanPart):
    """One stage of the strict priorities; later bounds hold given the earlier stages."""

    priority: int
    not_served_whole: int = Field(
        description="Services of this priority that got nothing, or a part by best effort."
    )
    at_least: int = Field(description="Proven: no plan leaves fewer.")
    proven: bool


class Provenance(_PlanPart):
    """What made the plan; equal provenance, equal plan."""

    fleetopt: str
    spec_digest: str = Field(description="SHA-256 of the fleet's canonical JSON.")
    solver: str
    solver_version: str
    queue_model: str
    objective: str
    priorities: str
    relative_gap: float
    time_limit_s: float | None
    seed: int
    threads: int


class FleetPlan(_PlanPart, Answer):
    """A plan for a whole fleet.

    `statistics` (times, nodes) stands beside the plan and is not part of it, so that equal runs
    give equal documents.
    """

    _when_used: ClassVar[tuple[str, ...]] = (
        "objective_stages",
        "power_kw",
        "carbon_kg_per_hour",
        "purchases",
        "transition",
    )

    schema_version: Literal[1] = 1
    fleet: str
    currency: str
    termination: Reason
    limit: Limit | None = Field(description="What stopped the solver, when nothing was proved.")
    detail: str
    objective: str
    total_cost_per_hour: float | None = Field(description="Of everything allocated.")
    best_effort_cost_per_hour: float = Field(
        default=0.0, description="Part of it for services that got fewer replicas than they need."
    )
    primal_bound: float | None = Field(
        description="Objective of the solver's answer; an exact solver's does not include what "
        "best effort gave out afterwards."
    )
    dual_bound: float | None = Field(
        description="Proven: no plan with these unserved services has a lower objective."
    )
    relative_gap: float | None = Field(description="(primal - dual) / |primal|; null if unknown.")
    stages: tuple[Stage, ...] = ()
    objective_stages: tuple[ObjectiveStage, ...] = Field(
        default=(), description="What each stage of a lexicographic objective reached."
    )
    power_kw: float | None = Field(
        default=None, description="Of the accelerators, at their predicted utilisation."
    )
    carbon_kg_per_hour: float | None = Field(default=None, description="Of that power.")
    purchases: tuple[Purchase, ...] = Field(
        default=(), description="What is bought of every accelerator with purchase tiers."
    )
    transition: PlanTransition | None = Field(
        default=None, description="What changes from today's plan."
    )
    allocations: tuple[Allocation, ...] = ()
    unserved: tuple[UnservedService, ...] = ()
    resources: tuple[ResourceUse, ...] = ()
    solver: str
    solver_reason: str = Field(description="Why this solver, when it was chosen automatically.")
    queue_model: str
    queue_model_reason: str
    notes: tuple[str, ...] = ()
    provenance: Provenance
    fleet_document: dict[str, Any] | None = Field(
        default=None, repr=False, description="The fleet it was made for: what simulating it takes."
    )

    _statistics: SolveStatistics = PrivateAttr(default_factory=SolveStatistics)
    _problem: FleetProblem | None = PrivateAttr(default=None)

    def __eq__(self, other: object) -> bool:
        """Equal when the documents are; statistics do not count."""
        if not isinstance(other, FleetPlan):
            return NotImplemented
        return self.model_dump() == other.model_dump()

    __hash__ = None  # type: ignore[assignment]

    @property
    def statistics(self) -> SolveStatistics:
        """Times and counts of the solve; empty for a plan read from a file."""
        return self._statistics

    def allocations_of(self, service: str) -> tuple[Allocation, ...]:
        """Return every allocation of a service; several where it splits."""
        return tuple(a for a in self.allocations if a.service == service)

    @property
    def by_service(self) -> dict[str, tuple[Allocation, ...]]:
        """Allocations of every service that has some, in the plan's order."""
        found: dict[str, list[Allocation]] = {}
        for allocation in self.allocations:
            found.setdefault(allocation.service, []).append(allocation)
        return {service: tuple(mine) for service, mine in found.items()}

    @property
    def services_served(self) -> tuple[str, ...]:
        """Names of the services that got something, in the plan's order."""
        return tuple(dict.fromkeys(a.service for a in self.allocations))

    @property
    def services_partly_served(self) -> tuple[str, ...]:
        """Names of the services that got less than all they need, in the plan's order."""
        return tuple(dict.fromkeys(a.service for a in self.allocations if a.partial))

    def allocation(self, service: str) -> Allocation:
        """Return the allocation of a service, the first where it splits over several.

        Raises
        ------
        KeyError
            If the service has none.
        """
        for allocation in self.allocations:
            if allocation.service == service:
                return allocation
        raise KeyError(f"service {service!r} has no allocation in this plan")

    def explain(self, service: str) -> Explanation:
        """Say why a service got what it got; see `optimizer.fleet.explain.explain`.

        Raises
        ------
        PlanError
            If the plan was read from a file: explain the fleet's description then.
        """
        from optimizer.fleet.explain import explain

        if self._problem is None:
            raise PlanError(
                "this plan was read from a file and does not carry its candidates; "
                "solve the fleet again, or use `fleetopt explain FLEET SERVICE`"
            )
        return explain(self, self._problem, service)

    def diff(self, previous: FleetPlan) -> PlanDifference:
        """Say what this plan changes of a previous one; see `optimizer.fleet.difference`.

        Raises
        ------
        PlanError
            If the plans count in different currencies.
        """
        from optimizer.fleet.difference import difference

        return difference(previous, self)

    def _repr_html_(self) -> str | None:
        """Return what a notebook shows; None, so that it shows text, without the extra `report`."""
        # Views stand on a higher floor: it is the reader who goes up there, not the plan.
        try:
            return str(import_module("optimizer.report.html").plan_fragment(self))
        except MissingExtraError:
            return None

    def to_json(self, path: str | os.PathLike[str] | None = None) -> str:
        """Return the plan as JSON, and write it to a file when a path is given."""
        text = self.model_dump_json(indent=2) + "\n"
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    @classmethod
    def from_json(cls, text: str | bytes) -> FleetPlan:
        """Read a plan back.

        Raises
        ------
        PlanError
            If the text is not a plan of this version.
        """
        return read_answer(cls, text, "a plan")
