"""Tuners by name: entry points of the group `fleetopt.tuners`."""

from __future__ import annotations

from optimizer.performance.tuner.base import Tuner
from optimizer.performance.tuner.errors import BrokenTunerError, UnknownTunerError
from optimizer.plugin_registry import PluginRegistry
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

names = _REGISTRY.names
get = _REGISTRY.get
describe = _REGISTRY.describe
