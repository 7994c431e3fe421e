"""Collectors by name: entry points of the group `fleetopt.collectors`."""

from __future__ import annotations

from optimizer.control.collectors.base import Collector
from optimizer.control.errors import BrokenPluginError, MissingExtraError, UnknownPluginError
from optimizer.plugin_registry import PluginRegistry

__all__ = ["describe", "get", "names"]

_REGISTRY: PluginRegistry[Collector] = PluginRegistry(
    group="fleetopt.collectors",
    kind="collector",
    base=Collector,  # type: ignore[type-abstract]
    unknown=UnknownPluginError,
    broken=BrokenPluginError,
    missing=MissingExtraError,
    needs={"prometheus": ("httpx", "control")},
)

names = _REGISTRY.names
get = _REGISTRY.get
describe = _REGISTRY.describe
