"""What can go wrong in a queue-model call."""

from __future__ import annotations

__all__ = [
    "BrokenPluginError",
    "MissingExtraError",
    "OutsideValidityError",
    "QueueModelError",
    "ServiceProcessError",
    "UnknownQueueModelError",
    "UnstableError",
]


class QueueModelError(Exception):
    """Base of every error raised by `queue_models`."""


class ServiceProcessError(QueueModelError, ValueError):
    """An argument is not a service process, target or rate; the message names field and value."""


class OutsideValidityError(QueueModelError, ValueError):
    """The model does not hold for this input; the message says which assumption fails."""


class UnstableError(QueueModelError, ArithmeticError):
    """A scalar formula was asked for a queue without a steady state (ρ >= 1)."""


class UnknownQueueModelError(QueueModelError, LookupError):
    """No queue model of that name is registered."""


class BrokenPluginError(QueueModelError):
    """A registered model cannot be loaded; the message carries its distribution and reason."""


class MissingExtraError(QueueModelError):
    """A model needs a package that is not installed; the message names the command that adds it."""
