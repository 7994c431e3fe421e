"""A plan for loads that are not known: what is decided now, and what every load makes of it."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from optimizer.errors import PlanError
from optimizer.fleet.answer import Answer, read_answer
from optimizer.fleet.plan import Allocation, FleetPlan, UnservedService
from optimizer.spec.uncertainty import CostMeasure, ProbabilityScope, ReplicaTiming
from solvers import Limit, Reason

__all__ = ["CapacityOutlook", "ScenarioOutcome", "UncertainPlan"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ScenarioOutcome(_Part):
    """What one load makes of the decisions."""

    name: str
    probability: float | None = Field(description="null for peaks and mean loads.")
    served: bool = Field(description="Whether everyone whom the plan serves keeps every objective.")
    short: tuple[str, ...] = Field(
        default=(), description="Services whose replicas are too few for this load."
    )
    cost_per_hour: float | None = Field(description="null where the load is not served.")
    plan: FleetPlan | None = Field(
        description="The decisions at this load, checked as any plan is; null where not served."
    )


class CapacityOutlook(_Part):
    """What a capacity or limit has to hold where loads spread about their means."""

    name: str
    unit: str
    capacity: float
    expected_use: float
    standard_deviation: float
    kept_probability: float = Field(description="That the use stays within it, by the stated law.")


class UncertainPlan(_Part, Answer):
    """What is decided before the load is known, and every load that it was decided for."""

    schema_version: Literal[1] = 1
    fleet: str
    currency: str
    termination: Reason
    limit: Limit | None
    detail: str = ""
    replicas: ReplicaTiming
    minimize: CostMeasure
    serve_probability: float
    probability_of: ProbabilityScope
    at_once: int | None = Field(
        default=None, description="Services at their peaks together; null with scenarios."
    )
    keep_probability: float | None = Field(
        default=None,
        description="With which every capacity and limit is kept; null unless loads spread.",
    )
    total_cost_per_hour: float | None = Field(
        default=None,
        description="What was minimised, less penalties: with fixed replicas the cost in every "
        "scenario, else the expected or the worst one.",
    )
    expected_cost_per_hour: float | None = Field(
        default=None, description="null without probabilities, or where a scenario is not served."
    )
    worst_cost_per_hour: float | None = None
    served_probability: float | None = Field(
        default=None,
        description="Of the scenarios that serve everyone; null without any.",
    )
    primal_bound: float | None = None
    dual_bound: float | None = Field(
        default=None, description="Proven: no decision has a lower objective."
    )
    relative_gap: float | None = None
    allocations: tuple[Allocation, ...] = Field(
        default=(),
        description="With fixed replicas what is decided, with latencies at the largest load that "
        "is served; else what the costliest load makes of it.",
    )
    unserved: tuple[UnservedService, ...] = ()
    scenarios: tuple[ScenarioOutcome, ...] = ()
    capacities: tuple[CapacityOutlook, ...] = Field(
        default=(), description="Of loads that spread: the use of every capacity and limit."
    )
    solver: str = ""
    notes: tuple[str, ...] = ()

    def scenario(self, name: str) -> ScenarioOutcome:
        """Return the outcome of a scenario.

        Raises
        ------
        KeyError
            If there is no such scenario.
        """
        for outcome in self.scenarios:
            if outcome.name == name:
                return outcome
        raise KeyError(f"the plan has no scenario {name!r}")

    @property
    def costliest(self) -> FleetPlan | None:
        """The plan of the costliest load that is served; None where none is.

        Of loads that cost the same it is the one with the tightest objective.
        """
        served = [(o.cost_per_hour or 0.0, o.plan) for o in self.scenarios if o.plan is not None]
        worst = max(served, key=lambda pair: (pair[0], -_tightest(pair[1])), default=None)
        return None if worst is None else worst[1]

    def plan_at(self, scenario: str | None = None) -> FleetPlan:
        """Return the plan of one load, by default of the costliest that is served.

        With fixed replicas every load that is served has the same ones.

        Raises
        ------
        PlanError
            If there is no such load, it is not served, or the plan is none; says what there is.
        """
        if scenario is None:
            if self.costliest is None:
                raise PlanError(f"no load is served: {self.termination}: {self.detail}")
            return self.costliest
        try:
            chosen = self.scenario(scenario)
        except KeyError:
            names = ", ".join(o.name for o in self.scenarios) or "none"
            raise PlanError(f"the plan has no load {scenario!r}; it has: {names}") from None
        if chosen.plan is None:
            raise PlanError(
                f"load {scenario!r} is not served: too few replicas of {', '.join(chosen.short)}"
            )
        return chosen.plan

    @classmethod
    def from_json(cls, text: str) -> UncertainPlan:
        """Read a plan from its JSON.

        Raises
        ------
        PlanError
            If the text is not such a document.
        """
        return read_answer(cls, text, "a plan for uncertain loads")

    def to_json(self) -> str:
        """Return the plan as JSON."""
        return self.model_dump_json(indent=2) + "\n"


def _tightest(plan: FleetPlan) -> float:
    """Return the smallest margin of a plan."""
    return min((a.margin for a in plan.allocations if a.margin is not None), default=math.inf)
