"""Horizons: periods planned together, with start-up times, switching costs and commitments."""

from __future__ import annotations

from optimizer.fleet.horizon.check_horizon import check_horizon
from optimizer.fleet.horizon.horizon_plan import (
    Commitment,
    HorizonCost,
    HorizonPlan,
    PeriodAllocation,
    PeriodPlan,
)
from optimizer.fleet.horizon.loads_table import with_loads_table
from optimizer.fleet.horizon.plan_periods import plan_horizon

__all__ = [
    "Commitment",
    "HorizonCost",
    "HorizonPlan",
    "PeriodAllocation",
    "PeriodPlan",
    "check_horizon",
    "plan_horizon",
    "with_loads_table",
]
