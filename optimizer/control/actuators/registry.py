"""Actuators by name: entry points of the group `fleetopt.actuators`."""

from __future__ import annotations

from optimizer.control.actuators.base import Actuator
from optimizer.control.errors import BrokenPluginError, MissingExtraError, UnknownPluginError
from optimizer.plugin_registry import PluginRegistry

__all__ = ["describe", "get", "names"]

_REGISTRY: PluginRegistry[Actuator] = PluginRegistry(
    group="fleetopt.actuators",
    kind="actuator",
    base=Actuator,  # type: ignore[type-abstract]
    unknown=UnknownPluginError,
    broken=BrokenPluginError,
    missing=MissingExtraError,
    needs={
        "emulator": ("httpx", "control"),
        "gauges": ("prometheus_client", "control"),
        "kubernetes": ("httpx", "control"),
    },
)

names = _REGISTRY.names
get = _REGISTRY.get
describe = _REGISTRY.describe
