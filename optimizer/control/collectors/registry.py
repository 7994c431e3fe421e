"""Collectors by name: entry points of the group `fleetopt.collectors`."""

from __future__ import annotations

from optimizer.control.collectors.base import Collector
from optimizer.control.errors import BrokenPluginError, MissingExtraError, UnknownPluginError
from optimizer.plugin_registry import PluginInfo, PluginRegistry

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


def names() -> tuple[str, ...]:
    """Return the names of the registered collectors, sorted; none is imported."""
    return _REGISTRY.names()


def get(name: str) -> type[Collector]:
    """Return the collector of this name, a class.

    Raises
    ------
    UnknownPluginError, BrokenPluginError, MissingExtraError
        If there is none, it cannot be loaded, or what it needs is not installed.
    """
    return _REGISTRY.get(name)


def describe() -> tuple[PluginInfo, ...]:
    """Return every registered collector, sorted by name."""
    return _REGISTRY.describe()
