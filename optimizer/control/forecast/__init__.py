"""Forecasts of loads: many series at once, one value of each per step, updated in place."""

from __future__ import annotations

from optimizer.control.forecast.base import Forecast, Forecaster, State
from optimizer.control.forecast.errors import (
    BrokenForecasterError,
    ForecastError,
    UnknownForecasterError,
)
from optimizer.control.forecast.load_forecaster import LoadForecast, LoadForecaster, ObservedLoad
from optimizer.control.forecast.registry import describe, get, names
from optimizer.control.forecast.settings import ForecastSettings

__all__ = [
    "BrokenForecasterError",
    "Forecast",
    "ForecastError",
    "ForecastSettings",
    "Forecaster",
    "LoadForecast",
    "LoadForecaster",
    "ObservedLoad",
    "State",
    "UnknownForecasterError",
    "describe",
    "get",
    "names",
]
