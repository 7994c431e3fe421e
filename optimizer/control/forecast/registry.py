"""Forecasters by name: entry points of the group `fleetopt.forecasters`."""

from __future__ import annotations

from optimizer.control.forecast.base import Forecaster
from optimizer.control.forecast.errors import BrokenForecasterError, UnknownForecasterError
from optimizer.plugin_registry import PluginInfo, PluginRegistry
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


def names() -> tuple[str, ...]:
    """Return the names of the registered forecasters, sorted; none is imported."""
    return _REGISTRY.names()


def get(name: str) -> type[Forecaster]:
    """Return the forecaster of this name, a class: `get("auto")(series=10)`.

    Raises
    ------
    UnknownForecasterError
        If none is registered by this name; the message offers the nearest and lists all.
    BrokenForecasterError
        If it cannot be loaded; the message names its distribution and the reason.
    MissingExtraError
        If what it needs is not installed; the message names the extra.
    """
    return _REGISTRY.get(name)


def describe() -> tuple[PluginInfo, ...]:
    """Return every registered forecaster, sorted by name; each is loaded, and may be broken."""
    return _REGISTRY.describe()
