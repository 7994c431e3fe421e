"""What can go wrong in a solver call, apart from the answer itself."""

from __future__ import annotations

__all__ = [
    "BrokenPluginError",
    "MissingExtraError",
    "ProblemError",
    "SolverBackendError",
    "SolverError",
    "SolverOptionError",
    "UnknownSolverError",
    "UnsupportedFeatureError",
]


class SolverError(Exception):
    """Base of every error raised by `solvers`."""


class ProblemError(SolverError, ValueError):
    """The arrays do not describe an allocation problem; the message lists every fault."""


class UnknownSolverError(SolverError, LookupError):
    """No solver of that name is registered."""


class BrokenPluginError(SolverError):
    """A registered solver cannot be loaded; the message carries its distribution and reason."""


class MissingExtraError(SolverError):
    """A solver needs a package that is not installed; the message says how to add it."""


class UnsupportedFeatureError(SolverError):
    """The problem or the parameters need a feature that this solver does not declare."""


class SolverOptionError(SolverError, ValueError):
    """A solver parameter is unknown, of the wrong type or out of range."""


class SolverBackendError(SolverError):
    """The back end failed; the message carries the tail of its log."""
