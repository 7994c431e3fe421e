"""Who changes the replicas of a live fleet: plug-ins of the group `fleetopt.actuators`."""

from __future__ import annotations

from optimizer.control.actuators.base import Actuator
from optimizer.control.actuators.registry import describe, get, names

__all__ = ["Actuator", "describe", "get", "names"]
