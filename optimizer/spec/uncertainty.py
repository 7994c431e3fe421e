"""Loads that are not known when the plan is made."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from optimizer.spec.base import Name, NonNegative, Positive, SpecModel

__all__ = [
    "CostMeasure",
    "LoadScenarioSpec",
    "PeakLoadsSpec",
    "ProbabilityScope",
    "ReplicaTiming",
    "SpreadLaw",
    "SpreadLoadsSpec",
    "UncertaintySpec",
]

Probability = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class ReplicaTiming(StrEnum):
    """What is decided before the loads are known."""

    FIXED = "fixed"  # replicas; only the shares of services that split follow the load
    ADAPT = "adapt"  # configurations; replicas and maximum batches follow the load


class ProbabilityScope(StrEnum):
    """Whose probability of being served is meant."""

    FLEET = "fleet"  # of everyone together
    SERVICE = "service"  # of each service by itself: its own quantile of the load


class CostMeasure(StrEnum):
    """Which cost is minimised where it depends on the load."""

    EXPECTED = "expected"
    WORST = "worst"


class LoadScenarioSpec(SpecModel):
    """Loads that may come together."""

    name: Name = Field(description="Name of the scenario.")
    probability: Probability | None = Field(
        default=None,
        description="Its probability; all scenarios have one, or none has and they are equally "
        "likely.",
    )
    factor: NonNegative = Field(
        default=1.0, description="Factor on the arrival rates of services not named in rates_rps."
    )
    rates_rps: dict[Name, NonNegative] = Field(
        default_factory=dict, description="Arrival rates by service [requests/s]."
    )


class PeakLoadsSpec(SpecModel):
    """Loads that rise to a peak, but not all of them at once (Bertsimas and Sim's budget)."""

    at_once: int = Field(
        ge=0, le=10**6, description="How many services may be at their peaks at the same time."
    )
    factor: Annotated[float, Field(ge=1, le=1e6, allow_inf_nan=False)] = Field(
        default=1.0, description="Peak over usual rate of services not named in rates_rps."
    )
    rates_rps: dict[Name, Positive] = Field(
        default_factory=dict, description="Peak arrival rates by service [requests/s]."
    )


class SpreadLaw(StrEnum):
    """What the use of a capacity is taken to be like beyond its mean and standard deviation."""

    NORMAL = "normal"  # as sums of many loads are
    ANY = "any"  # whatever: the one-sided bound of Chebyshev


class SpreadLoadsSpec(SpecModel):
    """Loads that vary about their means: replicas follow, capacities keep a probability."""

    keep_probability: Annotated[float, Field(ge=0.5, lt=1, allow_inf_nan=False)] = Field(
        description="Every capacity and limit is kept with at least this probability, each by "
        "itself."
    )
    relative: Annotated[float, Field(ge=0, le=3, allow_inf_nan=False)] = Field(
        default=0.0,
        description="Standard deviation over mean of the rates of services not named in std_rps.",
    )
    std_rps: dict[Name, NonNegative] = Field(
        default_factory=dict,
        description="Standard deviations of arrival rates by service [requests/s].",
    )
    together: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = Field(
        default=0.0,
        description="Correlation of any two services' loads; 0: independent, 1: they rise and fall "
        "as one.",
    )
    law: SpreadLaw = Field(
        default=SpreadLaw.NORMAL,
        strict=False,
        description="normal: the use of a capacity is normal, as a sum of many loads is; any: "
        "whatever law has its mean and standard deviation (Cantelli's bound).",
    )


class UncertaintySpec(SpecModel):
    """Uncertain loads: scenarios, peaks of which few come at once, or a spread about the means."""

    scenarios: tuple[LoadScenarioSpec, ...] = Field(
        default=(), strict=False, description="Loads that may come, one of them at a time."
    )
    peaks: PeakLoadsSpec | None = Field(
        default=None,
        description="In place of scenarios: every set of so many services may be at its peak. "
        "Replicas follow the load, and every capacity and limit holds whoever peaks.",
    )
    spread: SpreadLoadsSpec | None = Field(
        default=None,
        description="In place of scenarios: loads with a standard deviation. Replicas follow the "
        "load, and every capacity and limit is kept with a probability.",
    )
    replicas: ReplicaTiming = Field(
        default=ReplicaTiming.FIXED,
        strict=False,
        description="fixed: replicas are decided before the load is known; adapt: the "
        "configuration is, and replicas follow the load.",
    )
    serve_probability: Probability = Field(
        default=1.0,
        description="Every objective must hold with at least this probability; 1: in every "
        "scenario.",
    )
    probability_of: ProbabilityScope = Field(
        default=ProbabilityScope.FLEET,
        strict=False,
        description="Whose probability: fleet, everyone is served together; service, each by "
        "itself.",
    )
    minimize: CostMeasure = Field(
        default=CostMeasure.EXPECTED,
        strict=False,
        description="With adapt: expected or worst cost over the scenarios. With peaks the worst.",
    )
