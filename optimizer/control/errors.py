"""What the control loop cannot go on with; each message says what came and what to try."""

from __future__ import annotations

from optimizer.errors import FleetError

__all__ = [
    "ActuationError",
    "BrokenPluginError",
    "ControlError",
    "DocumentError",
    "JournalError",
    "MissingExtraError",
    "UnknownPluginError",
]


class ControlError(FleetError):
    """Base of the control loop's errors."""


class DocumentError(ControlError, ValueError):
    """A document between the parts of the loop cannot be read."""


class JournalError(ControlError):
    """What was decided cannot be written down or read again: nothing is changed then."""


class ActuationError(ControlError):
    """The replicas of the fleet cannot be read or changed."""


class UnknownPluginError(ControlError):
    """No actuator or collector of that name is registered."""


class BrokenPluginError(ControlError):
    """A plug-in cannot be loaded, or is none."""


class MissingExtraError(ControlError):
    """A plug-in needs packages that are not installed."""
