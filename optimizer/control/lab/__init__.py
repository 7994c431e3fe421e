"""The closed-loop laboratory: the real controller against a simulated fleet, on a virtual clock."""

from __future__ import annotations

from optimizer.control.lab.fluid_fleet import FluidFleet
from optimizer.control.lab.laboratory import run_scenario
from optimizer.control.lab.results import LabResult, PolicyRun, Series
from optimizer.control.lab.scoring import Score

__all__ = ["FluidFleet", "LabResult", "PolicyRun", "Score", "Series", "run_scenario"]
