"""The control configuration that a user writes."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from optimizer.spec.base import Name, NonNegative, Positive, SpecModel

__all__ = [
    "ActuatorSpec",
    "BreakerSpec",
    "CollectorSpec",
    "ControlSpec",
    "ForecastSpec",
    "StabilizationSpec",
    "TuningSpec",
]


class ForecastSpec(SpecModel):
    """How the load of the near future is told."""

    method: Name = Field(default="headroom", description="A registered forecaster.")
    quantile: float = Field(
        default=0.9, gt=0.0, lt=1, description="Quantile of the rate that replicas are sized for."
    )
    horizon_s: NonNegative | None = Field(
        default=None,
        description="How far ahead [s]; by default the longest start-up time and one period.",
    )
    step_s: Positive = Field(
        default=60.0, description="Time between two values of the series that is forecast [s]."
    )
    season_s: Positive | None = Field(
        default=None, description="Length of the season, such as 86400 for days [s]."
    )
    idle_s: Positive = Field(
        default=600.0,
        description="A service known to get nothing for so long is idle: only what is expected of "
        "it counts then, not how far expectations were off before [s].",
    )
    length_tolerance: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="Relative change of mean lengths from which replicas are sized anew.",
    )


class TuningSpec(SpecModel):
    """Whether the speed of replicas is learnt while they serve."""

    method: Name | None = Field(
        default=None, description="A registered tuner, such as extended-kalman; by default none."
    )
    confidence: float = Field(
        default=0.8,
        ge=0.5,
        lt=1,
        description="Confidence with which learnt times are no slower than is reckoned with: the "
        "less is known, the more is left free.",
    )
    least_change: float = Field(
        default=0.05, gt=0, le=1, description="Relative change of times that is planned with."
    )
    start_log_sd: float = Field(
        default=0.3,
        gt=0,
        le=3,
        description="How far off the described times may be: standard deviation of the logarithm.",
    )


class StabilizationSpec(SpecModel):
    """How fast replicas follow the optimiser."""

    tolerance: float = Field(
        default=0.06,
        ge=0,
        lt=1,
        description="Hysteresis: share by which the load must fall below the rate planned for "
        "before the plan follows; wider where few requests make the rate noisy.",
    )
    up_window_s: NonNegative = Field(
        default=0.0, description="The least of the proposals in this window is granted [s]."
    )
    down_window_s: NonNegative = Field(
        default=60.0, description="The most of the proposals in this window is kept [s]."
    )
    cooldown_up_s: NonNegative = Field(
        default=0.0, description="Least time between two rises of a service [s]."
    )
    cooldown_down_s: NonNegative = Field(
        default=30.0,
        description="Least time between two falls of a service, a rise and a fall, or a proposal "
        "that rises and a fall [s].",
    )
    most_up_share: float = Field(
        default=20.0, gt=0, le=1e6, description="Largest rise at once, as a share of the replicas."
    )
    most_down_share: float = Field(
        default=0.5, gt=0, le=1, description="Largest fall at once, as a share of the replicas."
    )
    least_step: int = Field(
        default=4, ge=1, le=10**6, description="A step of so many replicas is always allowed."
    )
    backlog_drain_s: Positive = Field(
        default=120.0, description="Time in which waiting requests are to be worked off [s]."
    )
    move_every_s: Positive = Field(
        default=1800.0,
        description="Least time between plans that may put services on other accelerators [s]; "
        "sooner where otherwise a service is not served.",
    )
    pending_timeout_s: Positive = Field(
        default=900.0,
        description="After this, replicas that do not come up count as capacity no more, and no "
        "further ones are asked for on that accelerator until they do [s].",
    )


class BreakerSpec(SpecModel):
    """When a plan waits for approval: limits on what changes of the whole fleet within a time."""

    most_stopped_share: float = Field(
        default=0.5, gt=0, le=1, description="Replicas stopped, as a share of the fleet's."
    )
    most_started_share: float = Field(
        default=20.0, gt=0, le=1e6, description="Replicas started, as a share of the fleet's."
    )
    free_replicas: int = Field(
        default=20, ge=0, le=10**6, description="Changes of so few replicas are never held."
    )
    within_s: Positive = Field(default=600.0, description="Changes are summed over this time [s].")


class CollectorSpec(SpecModel):
    """Where figures come from."""

    name: Name = Field(default="prometheus", description="A registered collector.")
    options: dict[str, Any] = Field(default_factory=dict, description="Its own options.")


class ActuatorSpec(SpecModel):
    """Who changes the replicas."""

    name: Name = Field(default="dry-run", description="A registered actuator.")
    options: dict[str, Any] = Field(default_factory=dict, description="Its own options.")


class ControlSpec(SpecModel):
    """How a live fleet is kept at its optimum."""

    schema_version: int = Field(default=1, ge=1, le=1, description="Version of this format.")
    name: Name = Field(default="control", description="Name of this controller.")
    fleet: Name = Field(description="The fleet's file, beside this one.")
    slo: Name | None = Field(default=None, description="An SLO sheet's file, beside this one.")
    state: Name | None = Field(
        default=None,
        description="File in which decisions are written down before they are carried out, beside "
        "this one; without it a restart begins anew, carefully.",
    )
    period_s: Positive = Field(default=60.0, description="Time between two plans [s].")
    observe_s: Positive = Field(
        default=15.0, description="Time between two looks at the fleet [s]; events are found so."
    )
    solver: Name | None = Field(
        default=None, description="Solver; by default the fleet's own choice."
    )
    relative_gap: float = Field(
        default=1e-3, ge=0, lt=1, description="Proven relative gap at which a plan will do."
    )
    time_limit_s: Positive = Field(default=10.0, description="Solving time of a plan [s].")
    margin: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of every replica's capacity that is left free, for what the queue "
        "model does not know.",
    )
    stale_s: Positive = Field(
        default=90.0, description="Figures older than this count as missing [s]."
    )
    most_failures: int = Field(
        default=5,
        ge=1,
        le=10**6,
        description="Failed cycles in a row until Ready is false.",
    )
    paused: bool = Field(default=False, description="Look and decide, and change nothing.")
    forecast: ForecastSpec = Field(default_factory=ForecastSpec)
    tuning: TuningSpec = Field(default_factory=TuningSpec)
    stabilization: StabilizationSpec = Field(default_factory=StabilizationSpec)
    breaker: BreakerSpec = Field(default_factory=BreakerSpec)
    collector: CollectorSpec = Field(default_factory=CollectorSpec)
    actuator: ActuatorSpec = Field(default_factory=ActuatorSpec)
