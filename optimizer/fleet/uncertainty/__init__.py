"""Uncertain loads: scenarios, probabilities of being served, peaks of which few come at once."""

from __future__ import annotations

from optimizer.fleet.uncertainty.decide import optimize_uncertain
from optimizer.fleet.uncertainty.explained import (
    ServiceAtLoad,
    UncertainExplanation,
    explain_uncertain,
)
from optimizer.fleet.uncertainty.loads import ScenarioLoads, with_rates
from optimizer.fleet.uncertainty.uncertain_plan import ScenarioOutcome, UncertainPlan

__all__ = [
    "ScenarioLoads",
    "ScenarioOutcome",
    "ServiceAtLoad",
    "UncertainExplanation",
    "UncertainPlan",
    "explain_uncertain",
    "optimize_uncertain",
    "with_rates",
]
