"""Tuners by name: entry points of the group `fleetopt.tuners`."""

from __future__ import annotations

from optimizer.performance.tuner.base import Tuner
from optimizer.performance.tuner.errors import BrokenTunerError, UnknownTunerError
from optimizer.plugin_registry import PluginInfo, PluginRegistry
from solvers import MissingExtraError

__all__ = ["describe", "get", "names"]

_REGISTRY: PluginRegistry[Tuner] = PluginRegistry(
    group="fleetopt.tuners",
    kind="tuner",
    base=Tuner,  # type: ignore[type-abstract]
    unknown=UnknownTunerError,
    broken=BrokenTunerError,
    missing=MissingExtraError,
)


def names() -> tuple[str, ...]:
    """Return the names of the registered tuners, sorted; none is imported."""
    return _REGISTRY.names()


def get(name: str) -> type[Tuner]:
    """Return the tuner of this name, a class.

    Raises
    ------
    UnknownTunerError
        If none is registered by this name; the message offers the nearest and lists all.
    BrokenTunerError
        If it cannot be loaded; the message names its distribution and the reason.
    """
    return _REGISTRY.get(name)


def describe() -> tuple[PluginInfo, ...]:
    """Return every registered tuner, sorted by name; each is loaded, and may be broken."""
    return _REGISTRY.describe()
