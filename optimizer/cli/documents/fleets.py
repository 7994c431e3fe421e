"""Documents of the commands that study a fleet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from optimizer.fleet.explain import Explanation
from optimizer.fleet.plan import FleetPlan
from optimizer.fleet.uncertainty.explained import UncertainExplanation
from optimizer.fleet.uncertainty.uncertain_plan import UncertainPlan

__all__ = [
    "ExplanationDocument",
    "ParetoDocument",
    "PricesDocument",
    "RepairDocument",
    "WhatIfDocument",
]


@dataclass(frozen=True, kw_only=True)
class ExplanationDocument:
    """Of `fleetopt explain`."""

    schema_version: int
    fleet: str
    explanations: list[UncertainExplanation | Explanation]


@dataclass(frozen=True, kw_only=True)
class ConflictingDemand:
    """What a service asks for that others' demands rule out."""

    service: str
    demand: str


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """An irreducible set of demands that cannot all be kept."""

    services: list[str]
    demands: list[ConflictingDemand]
    resources: list[str]
    irreducible: bool


@dataclass(frozen=True, kw_only=True)
class Relaxation:
    """By how much a service asks for less."""

    service: str
    kind: str
    factor: float


@dataclass(frozen=True, kw_only=True)
class Extension:
    """How much more of a resource there is."""

    resource: str
    unit: str
    more: float
    capacity: float
    price_per_hour: float


@dataclass(frozen=True, kw_only=True)
class RepairedBy:
    """A way out; `set` is what `fleetopt whatif --set` takes."""

    price_per_hour: float | None
    price_at_least: float | None
    proven_least: bool
    relaxations: list[Relaxation]
    extensions: list[Extension]
    set: list[str]


@dataclass(frozen=True, kw_only=True)
class BeyondRepair:
    """A service that no repair serves."""

    service: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class RepairDocument:
    """Of `fleetopt explain --repair`."""

    schema_version: int
    fleet: str
    feasible: bool
    conflict: Conflict | None
    repairs: list[RepairedBy]
    beyond_repair: list[BeyondRepair]


@dataclass(frozen=True, kw_only=True)
class Price:
    """What one more unit of a resource would save."""

    resource: str
    unit: str
    capacity: float
    price_per_hour: float


@dataclass(frozen=True, kw_only=True)
class PricesDocument:
    """Of `fleetopt explain --prices`."""

    schema_version: int
    fleet: str
    currency: str
    meaning: str
    prices: list[Price]


@dataclass(frozen=True, kw_only=True)
class ReplacedFigure:
    """A figure of a fleet that is replaced."""

    path: str
    operation: str
    value: object


@dataclass(frozen=True, kw_only=True)
class WhatIfCase:
    """The fleet with further changes, and what they cost."""

    changes: list[ReplacedFigure]
    cost_delta_per_hour: float | None
    plan: FleetPlan | UncertainPlan


@dataclass(frozen=True, kw_only=True)
class WhatIfDocument:
    """Of `fleetopt whatif`."""

    schema_version: int
    fleet: str
    currency: str
    set: list[ReplacedFigure]
    base: FleetPlan | UncertainPlan
    cases: list[WhatIfCase]


@dataclass(frozen=True, kw_only=True)
class ParetoPoint:
    """A plan that none beats in both."""

    cost_per_hour: float
    value: float
    proven: bool
    plan: FleetPlan


@dataclass(frozen=True, kw_only=True)
class ParetoDocument:
    """Of `fleetopt pareto`."""

    schema_version: int
    fleet: str
    currency: str
    against: Literal[
        "ttft_ms", "itl_ms", "e2e_ms", "power_kw", "carbon_kg_per_hour", "cards", "moves"
    ]
    complete: bool
    points: list[ParetoPoint]
