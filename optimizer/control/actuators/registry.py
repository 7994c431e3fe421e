"""Actuators by name: entry points of the group `fleetopt.actuators`."""

from __future__ import annotations

from optimizer.control.actuators.base import Actuator
from optimizer.control.errors import BrokenPluginError, MissingExtraError, UnknownPluginError
from optimizer.plugin_registry import PluginInfo, PluginRegistry

__all__ = ["describe", "get", "names"]

_REGISTRY: PluginRegistry[Actuator] = PluginRegistry(
    group="fleetopt.actuators",
    kind="actuator",
    base=Actuator,  # type: ignore[type-abstract]
    unknown=UnknownPluginError,
    broken=BrokenPluginError,
    missing=MissingExtraError,
    needs={"gauges": ("prometheus_client", "control")},
)


def names() -> tuple[str, ...]:
    """Return the names of the registered actuators, sorted; none is imported."""
    return _REGISTRY.names()


def get(name: str) -> type[Actuator]:
    """Return the actuator of this name, a class.

    Raises
    ------
    UnknownPluginError, BrokenPluginError, MissingExtraError
        If there is none, it cannot be loaded, or what it needs is not installed.
    """
    return _REGISTRY.get(name)


def describe() -> tuple[PluginInfo, ...]:
    """Return every registered actuator, sorted by name."""
    return _REGISTRY.describe()
