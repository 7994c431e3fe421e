"""Forecasters by name: entry points of the group `fleetopt.forecasters`."""

from __future__ import annotations

from optimizer.control.forecast.base import Forecaster
from optimizer.control.forecast.errors import BrokenForecasterError, UnknownForecasterError
from optimizer.plugin_registry import PluginRegistry
from solvers import MissingExtraError

__all__ = ["describe", "get", "names"]

_REGISTRY: PluginRegistry[Forecaster] = PluginRegistry(
    group="fleetopt.forecasters",
    kind="forecaster",
    base=Forecaster,  # type: ignore[type-abstract]
    unknown=UnknownForecasterError,
    broken=BrokenForecasterError,
    missing=MissingExtraError,
    needs={"statsforecast": ("statsforecast", "forecast")},
)

names = _REGISTRY.names
get = _REGISTRY.get
describe = _REGISTRY.describe
