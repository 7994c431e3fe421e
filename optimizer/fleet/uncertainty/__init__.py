"""Uncertain loads: scenarios and their probabilities, few peaks at once, loads that spread."""

from __future__ import annotations

from optimizer.fleet.uncertainty.check_spread import SpreadCheck, check_spread
from optimizer.fleet.uncertainty.decide import optimize_uncertain
from optimizer.fleet.uncertainty.explained import (
    ServiceAtLoad,
    UncertainExplanation,
    explain_uncertain,
)
from optimizer.fleet.uncertainty.loads import ScenarioLoads, with_rates
from optimizer.fleet.uncertainty.spread_loads import SpreadLoads
from optimizer.fleet.uncertainty.uncertain_plan import (
    CapacityOutlook,
    ScenarioOutcome,
    UncertainPlan,
)

__all__ = [
    "CapacityOutlook",
    "ScenarioLoads",
    "ScenarioOutcome",
    "ServiceAtLoad",
    "SpreadCheck",
    "SpreadLoads",
    "UncertainExplanation",
    "UncertainPlan",
    "check_spread",
    "explain_uncertain",
    "optimize_uncertain",
    "with_rates",
]
