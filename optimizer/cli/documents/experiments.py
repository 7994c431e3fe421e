"""Documents of the commands that compare solvers and sweep scenarios."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optimizer.experiments.run import RunRow
from optimizer.experiments.settings import Settings
from optimizer.experiments.summary import Cell, TableRules

__all__ = ["ComparisonDocument", "SweepDocument"]


@dataclass(frozen=True, kw_only=True)
class ProtocolOfComparison:
    """How the runs were measured; environments by the short name that runs carry."""

    kind: str
    schema_version: int
    settings: Settings
    kill_after_s: float
    jobs: int
    solvers: list[str]
    environments: dict[str, dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class ComparedRun(RunRow):
    """A run beside the best value of its instance."""

    best_value: float | None
    gap_to_best: float | None


@dataclass(frozen=True, kw_only=True)
class ComparisonDocument:
    """Of `fleetopt compare`."""

    schema_version: int
    complete: bool
    protocol: ProtocolOfComparison
    rules: TableRules
    runs: list[ComparedRun]
    summary: list[Cell]


@dataclass(frozen=True, kw_only=True)
class SolvedScenario:
    """A scenario's result: labels by axis, figures where there is a plan."""

    key: str
    fleet: str
    labels: dict[str, str | float | int | bool | None]
    status: str
    error: str
    detail: str | None = None
    currency: str | None = None
    total_cost_per_hour: float | None = None
    primal_bound: float | None = None
    dual_bound: float | None = None
    relative_gap: float | None = None
    power_kw: float | None = None
    carbon_kg_per_hour: float | None = None
    services: int | None = None
    served: int | None = None
    partly_served: int | None = None
    unserved: list[str] | None = None
    replicas: int | None = None
    cards: dict[str, int] | None = None
    smallest_margin: float | None = None
    slo_met: bool | None = None
    solver: str | None = None
    queue_model: str | None = None


@dataclass(frozen=True, kw_only=True)
class SweepDocument:
    """Of `fleetopt sweep`."""

    schema_version: int
    name: str
    complete: bool
    scenarios: int
    results: list[SolvedScenario]
