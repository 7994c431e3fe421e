"""The optimiser's options: what is minimised, how priorities count, which plug-ins answer."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from optimizer.spec.base import Name, NonNegative, Positive, SpecModel
from optimizer.spec.objective import (
    Objective,
    ObjectiveStageSpec,
    ObjectiveWeightsSpec,
    TransitionSpec,
)

__all__ = [
    "AllocationMode",
    "CapacityMode",
    "EstimatesPolicy",
    "OptimizerSpec",
    "PartialService",
    "PoolRole",
    "PriorityMode",
    "SaturationPolicy",
    "Serving",
    "ThroughputTarget",
    "UnservedPolicy",
]


class AllocationMode(StrEnum):
    """How many accelerators may serve one service."""

    CHOOSE = "choose"  # one accelerator and maximum batch per service
    SPLIT = "split"  # several at once: whole replicas, and shares of the load routed to each


class Serving(StrEnum):
    """Whether the replicas that prefill a service's requests also decode them."""

    AGGREGATED = "aggregated"  # they do
    DISAGGREGATED = "disaggregated"  # pools of their own, the KV cache is sent between
    EITHER = "either"  # whichever serves the fleet better


class PoolRole(StrEnum):
    """What replicas do of a request."""

    AGGREGATED = "aggregated"  # all of it
    PREFILL = "prefill"  # up to the first token
    DECODE = "decode"  # from the second token on


class PriorityMode(StrEnum):
    """How the classes' priorities count."""

    STRICT = "strict"  # serve as many of priority 1 as possible, then of 2, ..., then least cost
    WEIGHTED = "weighted"  # an unserved service costs its class's penalty


class CapacityMode(StrEnum):
    """Whether capacities bind."""

    LIMITED = "limited"
    UNLIMITED = "unlimited"


class UnservedPolicy(StrEnum):
    """Whether a service may be left unserved."""

    ALLOWED = "allowed"
    FORBIDDEN = "forbidden"


class SaturationPolicy(StrEnum):
    """Who gets the leftovers, in parts, when not everyone can be served whole."""

    NONE = "none"
    PRIORITY_EXHAUSTIVE = "priority-exhaustive"
    PRIORITY_ROUND_ROBIN = "priority-round-robin"
    ROUND_ROBIN = "round-robin"


class PartialService(StrEnum):
    """What happens to a service that got fewer replicas than it needs."""

    OVERLOAD = "overload"  # all of its load arrives; latencies are what that gives
    SHED = "shed"  # only the rate that keeps the SLOs is admitted, the rest is refused


class EstimatesPolicy(StrEnum):
    """Whether pairs of model and accelerator without performance data are estimated."""

    ALLOWED = "allowed"  # tables of computed times
    LINEAR = "linear"  # linear laws fitted to them: faster to solve, less exact
    FORBIDDEN = "forbidden"


class ThroughputTarget(StrEnum):
    """What a service_tokens_per_s or service_requests_per_s target does."""

    FLOOR = "floor"  # the service is sized for the larger of its load and the target
    REPLACES_LOAD = "replaces-load"  # sized for the target alone, as inferno does


class OptimizerSpec(SpecModel):
    """Options of the optimisation; the command line can override most of them."""

    solver: Name = Field(default="auto", description="Solver, see `fleetopt solvers`.")
    solver_options: dict[str, bool | int | float | str] = Field(
        default_factory=dict,
        description="Options of the solver's own, such as `backend: CBC` for milp.",
    )
    queue_model: Name = Field(
        default="auto", description="Queue model, see `fleetopt queue-models`."
    )
    objective: Objective = Field(
        default=Objective.COST,
        strict=False,
        description="What is minimised: cost (per hour), power (kW), carbon (kg CO2e per hour), "
        "weighted (a sum, see weights), lexicographic (one after another, see stages), or "
        "inferno-value.",
    )
    weights: ObjectiveWeightsSpec | None = Field(
        default=None, description="With a weighted objective or stage: what counts how much."
    )
    stages: tuple[ObjectiveStageSpec, ...] = Field(
        default=(),
        strict=False,
        description="With a lexicographic objective: what is minimised first, second, ...",
    )
    transition: TransitionSpec = Field(
        default_factory=TransitionSpec,
        description="What changing from today's plan costs, and how much may change.",
    )
    allocation: AllocationMode = Field(
        default=AllocationMode.CHOOSE,
        strict=False,
        description="How services that do not say are served: choose, by one accelerator each; "
        "split, by several at once, with shares of the load.",
    )
    max_different: int | None = Field(
        default=None,
        ge=1,
        le=10**6,
        description="With split: how many different (accelerator, maximum batch) may serve one "
        "service; by default any number.",
    )
    serving: Serving = Field(
        default=Serving.AGGREGATED,
        strict=False,
        description="How services that do not say prefill and decode: aggregated, disaggregated "
        "(in pools of their own, whose accelerators and numbers are decided) or either.",
    )
    priorities: PriorityMode = Field(
        default=PriorityMode.STRICT, strict=False, description="How priorities count."
    )
    unserved: UnservedPolicy = Field(
        default=UnservedPolicy.ALLOWED,
        strict=False,
        description="Whether services may be left unserved; forbidden makes capacity hard.",
    )
    unserved_penalty_per_hour: NonNegative | None = Field(
        default=None,
        description="With weighted priorities: penalty of classes that do not give their own.",
    )
    capacity: CapacityMode = Field(
        default=CapacityMode.LIMITED, strict=False, description="Whether capacities limit the plan."
    )
    saturation_policy: SaturationPolicy = Field(
        default=SaturationPolicy.NONE,
        strict=False,
        description="Who gets the leftovers in parts when not everyone can be served.",
    )
    delayed_best_effort: bool = Field(
        default=False,
        description="Give out leftovers once at the end instead of after each priority "
        "(greedy only; exact solvers always do it at the end).",
    )
    partial_service: PartialService = Field(
        default=PartialService.OVERLOAD,
        strict=False,
        description="What happens to a service with fewer replicas than it needs.",
    )
    throughput_target: ThroughputTarget = Field(
        default=ThroughputTarget.FLOOR,
        strict=False,
        description="How targets on a service's throughput enter its size.",
    )
    estimates: EstimatesPolicy = Field(
        default=EstimatesPolicy.ALLOWED,
        strict=False,
        description="Whether pairs of model and accelerator without a performance entry get one "
        "that is computed from the model's architecture and the accelerator's facts: allowed, with "
        "tables of iteration times; linear, with linear laws only, which solve several times "
        "faster, with rates off by a factor of two for mixtures of experts; forbidden.",
    )
    estimate_margin_sd: float = Field(
        default=0.0,
        ge=0,
        le=4,
        allow_inf_nan=False,
        description="Standard deviations by which estimated times are made slower: with 1, five "
        "in six true times are faster.",
    )
    performance_confidence: float = Field(
        default=0.5,
        ge=0.5,
        lt=1,
        allow_inf_nan=False,
        description="Confidence with which times of performance entries that state their "
        "uncertainty are no slower than is reckoned with: 0.5 takes them as stated, 0.95 slower by "
        "1.64 standard deviations of the time at each service's own work.",
    )
    transition_penalty: NonNegative = Field(
        default=0.1,
        description="inferno-value only: share of the old and new cost that moving to another "
        "accelerator counts for.",
    )
    time_limit_s: Positive | None = Field(default=None, description="Solving time [s].")
    relative_gap: float = Field(
        default=1e-6, ge=0, lt=1, description="Proven relative gap at which the solver may stop."
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="Seed.")
    threads: int = Field(default=1, ge=1, le=1024, description="Threads of the solver.")
