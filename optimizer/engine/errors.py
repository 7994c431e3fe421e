"""What can be wrong with a simulation."""

from __future__ import annotations

from optimizer.errors import FleetError

__all__ = ["SimulationError", "WorkloadError"]


class WorkloadError(FleetError, ValueError):
    """A load, or a file that one is read from, is not what it must be."""


class SimulationError(FleetError):
    """A plan cannot be simulated."""
