"""Where figures of a live fleet come from: plug-ins of the group `fleetopt.collectors`."""

from __future__ import annotations

from optimizer.control.collectors.base import Collector
from optimizer.control.collectors.registry import describe, get, names

__all__ = ["Collector", "describe", "get", "names"]
