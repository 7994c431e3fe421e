"""A scenario of the closed-loop laboratory: a fleet, its controller, and what happens to it."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from optimizer.control.spec.configuration import ControlSpec
from optimizer.spec.base import Name, NonNegative, Positive, SpecModel

__all__ = [
    "FaultKind",
    "FaultSpec",
    "LoadEventSpec",
    "LoadPattern",
    "ScenarioSpec",
    "ServiceTrafficSpec",
    "Simulator",
]


class LoadPattern(StrEnum):
    """Shape of a service's load over the scenario."""

    CONSTANT = "constant"
    DIURNAL = "diurnal"  # a sine from `trough` to 1 and back over `season_s`, lowest at 0
    TRACE = "trace"  # recorded requests, stretched over the scenario


class LoadEventSpec(SpecModel):
    """Something that changes a service's load for a time; several multiply."""

    at_s: NonNegative = Field(description="When it begins [s].")
    for_s: Positive | None = Field(default=None, description="How long [s]; by default to the end.")
    rate: NonNegative = Field(default=1.0, description="Factor on the rate; 0: to zero.")
    input_tokens: Positive = Field(default=1.0, description="Factor on prompt lengths.")
    output_tokens: Positive = Field(default=1.0, description="Factor on output lengths.")
    ramp_s: NonNegative = Field(default=0.0, description="Time to its full strength [s].")


class ServiceTrafficSpec(SpecModel):
    """The load of one service over the scenario; its mean is the fleet's own, or the trace's."""

    service: Name = Field(description="Name of the service.")
    pattern: LoadPattern = Field(default=LoadPattern.CONSTANT, strict=False)
    trace: Name | None = Field(default=None, description="File of recorded requests.")
    rate: NonNegative = Field(default=1.0, description="Factor on the rate throughout.")
    trough: float = Field(default=0.2, ge=0, le=1, description="diurnal: least share of the peak.")
    season_s: Positive = Field(default=86_400.0, description="diurnal: one season [s].")
    events: tuple[LoadEventSpec, ...] = Field(default=(), strict=False)


class FaultKind(StrEnum):
    """What goes wrong."""

    METRICS_MISSING = "metrics-missing"  # no figures of any service come
    METRICS_ZERO = "metrics-zero"  # empty answers where a careless reader sees zeros
    METRICS_NAN = "metrics-nan"
    METRICS_STALE = "metrics-stale"  # the last figures are given again and again
    SLOW_MODEL = "slow-model"  # every iteration takes `factor` times as long
    NODE_LOSS = "node-loss"  # `share` of the ready replicas die at once, and start anew
    CARDS_LOST = "cards-lost"  # the type has only `share` of its cards
    START_FAILS = "start-fails"  # new replicas stay pending
    SOLVER_FAILS = "solver-fails"  # the optimiser raises
    ACTUATION_FAILS = "actuation-fails"  # orders fail
    ORDERS_CONFLICT = "orders-conflict"  # orders are refused: somebody else was faster
    ANSWERS_LOST = "answers-lost"  # orders are carried out, and seem to have failed
    REPLICAS_UNKNOWN = "replicas-unknown"  # replicas cannot be counted
    CRASH_LOOP = "crash-loop"  # new replicas come up and die at once, again and again
    SLOW_START = "slow-start"  # new replicas take `factor` times as long to start


class FaultSpec(SpecModel):
    """One fault."""

    kind: FaultKind = Field(strict=False)
    at_s: NonNegative = Field(description="When it begins [s].")
    for_s: Positive | None = Field(default=None, description="How long [s]; by default to the end.")
    service: Name | None = Field(default=None, description="Whose; by default everyone's.")
    type: Name | None = Field(default=None, description="cards-lost: type of card.")
    factor: Positive = Field(
        default=2.0, description="slow-model, slow-start: how many times slower."
    )
    share: float = Field(default=0.5, ge=0, le=1, description="node-loss, cards-lost.")


class Simulator(StrEnum):
    """What simulates the fleet."""

    FLUID = "fluid"  # flows by the queue model's curves: days in seconds
    ENGINE = "engine"  # every request and iteration: small scenarios


class ScenarioSpec(SpecModel):
    """What the laboratory runs."""

    schema_version: int = Field(default=1, ge=1, le=1, description="Version of this format.")
    name: Name = Field(default="scenario")
    duration_s: Positive = Field(default=86_400.0, description="Simulated time [s].")
    tick_s: Positive = Field(default=5.0, description="Step of the simulated fleet [s].")
    simulator: Simulator = Field(
        default=Simulator.FLUID,
        strict=False,
        description="fluid: flows by the queue model's curves; engine: every request and iteration,"
        " for small scenarios.",
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="Seed of what is random.")
    control: ControlSpec = Field(description="The controller, as for a live fleet.")
    traffic: tuple[ServiceTrafficSpec, ...] = Field(
        default=(), strict=False, description="Loads; services without an entry keep the fleet's."
    )
    faults: tuple[FaultSpec, ...] = Field(default=(), strict=False)
    start_up_s: NonNegative = Field(
        default=120.0, description="Time until a new replica serves, where the fleet says nothing."
    )
    stopping_s: NonNegative = Field(
        default=30.0, description="Time for which a replica on its way out holds its cards [s]."
    )
    warm_up_s: NonNegative = Field(
        default=0.0, description="Time at the beginning that is not scored [s]."
    )
    baselines: tuple[Name, ...] = Field(
        default=("static-peak", "hpa", "hpa-tuned", "saturation", "greedy"),
        strict=False,
        description="What it is compared with.",
    )
