"""A plan over periods: what serves, what is started and stopped, what it comes to."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from optimizer.errors import PlanError
from optimizer.fleet.answer import Answer, read_answer
from solvers import Limit, Reason

__all__ = ["Commitment", "HorizonCost", "HorizonPlan", "PeriodAllocation", "PeriodPlan"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PeriodAllocation(_Part):
    """Replicas of one configuration of a service in one period."""

    service: str
    accelerator: str
    configuration: str = ""
    max_batch: int | None
    carries: bool = Field(description="Whether the service's load goes here in this period.")
    needed: int = Field(description="Replicas that carry the load; 0 where it goes elsewhere.")
    serving: int = Field(description="Replicas that serve or could.")
    starting: int = Field(description="Replicas that are paid and not ready yet.")
    started: int = Field(description="Starts that are ordered as this period begins.")
    stopped: int = Field(description="Stops as this period begins.")
    instances: int = Field(description="Accelerator instances of all that are paid.")
    rate_rps: float | None = Field(
        default=None,
        description="Of a service that splits, what goes here of its load [requests/s]; null: all.",
    )
    replicas_of: str | None = Field(
        default=None,
        description="The service with which its replicas stand, where it shares them.",
    )
    shared_with: tuple[str, ...] = Field(
        default=(), description="Services that share the replicas with it."
    )


class PeriodPlan(_Part):
    """One period."""

    name: str
    rates_rps: dict[str, float] = Field(description="Loads by service [requests/s].")
    allocations: tuple[PeriodAllocation, ...]
    unserved: tuple[str, ...] = ()
    moved: tuple[str, ...] = Field(
        default=(), description="Services that went over to another configuration."
    )


class Commitment(_Part):
    """Instances bought for the whole horizon."""

    accelerator: str
    instances: int
    cost_per_hour: float = Field(description="Of one instance.")


class HorizonCost(_Part):
    """Money over the whole horizon, by what it is for."""

    running: float = Field(description="Instances on demand, those that start included.")
    committed: float
    starts: float
    stops: float
    moves: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.running + self.committed + self.starts + self.stops + self.moves


class HorizonPlan(_Part, Answer):
    """A plan for all periods together."""

    schema_version: Literal[1] = 1
    fleet: str
    currency: str
    termination: Reason
    limit: Limit | None
    detail: str = ""
    period_hours: float
    total_cost: float | None = Field(default=None, description="Over the whole horizon.")
    total_cost_per_hour: float | None = None
    cost: HorizonCost | None = None
    primal_bound: float | None = Field(
        default=None, description="total_cost and penalties of services left unserved."
    )
    dual_bound: float | None = Field(default=None, description="Proven: no plan costs less.")
    relative_gap: float | None = None
    commitments: tuple[Commitment, ...] = ()
    periods: tuple[PeriodPlan, ...] = ()
    solver: str = ""
    queue_model: str = ""
    notes: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, text: str) -> HorizonPlan:
        """Read a plan from its JSON.

        Raises
        ------
        PlanError
            If the text is not such a document.
        """
        plan = read_answer(cls, text, "a plan of a horizon")
        if plan.found and (plan.cost is None or not plan.periods):
            raise PlanError("not a plan of a horizon: one that was found has a cost and periods")
        return plan

    def to_json(self) -> str:
        """Return the plan as JSON."""
        return self.model_dump_json(indent=2) + "\n"
