"""The errors of forecasting."""

from __future__ import annotations

from optimizer.errors import FleetError, PluginError

__all__ = ["BrokenForecasterError", "ForecastError", "UnknownForecasterError"]


class ForecastError(FleetError, ValueError):
    """A setting, an observation or a checkpoint cannot be used."""


class UnknownForecasterError(ForecastError):
    """No forecaster of that name is registered."""


class BrokenForecasterError(PluginError):
    """A registered forecaster cannot be loaded."""
