"""What can be wrong with a simulation."""

from __future__ import annotations

from optimizer.errors import FleetError

__all__ = [
    "LiveFleetError",
    "SimulationError",
    "SimulationStoppedError",
    "WorkloadError",
    "require_within",
]


class WorkloadError(FleetError, ValueError):
    """A load, or a file that one is read from, is not what it must be."""


class SimulationError(FleetError):
    """A plan cannot be simulated."""


class LiveFleetError(FleetError, ValueError):
    """A live fleet cannot do what it was asked to."""


def require_within(name: str, value: float, least: float, most: float) -> None:
    """Raise `LiveFleetError` unless a number is in a range; NaN is in none."""
    if not least <= value <= most:
        raise LiveFleetError(f"{name} = {value}: must be from {least:.15g} to {most:.15g}")


class SimulationStoppedError(SimulationError):
    """A simulation was stopped before anything was measured."""
