"""The errors of tuning."""

from __future__ import annotations

from optimizer.errors import FleetError, PluginError

__all__ = ["BrokenTunerError", "TunerError", "UnknownTunerError"]


class TunerError(FleetError, ValueError):
    """A setting, an observation or a checkpoint cannot be used."""


class UnknownTunerError(TunerError):
    """No tuner of that name is registered."""


class BrokenTunerError(PluginError):
    """A registered tuner cannot be loaded."""
