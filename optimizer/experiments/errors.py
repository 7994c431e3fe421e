"""What can go wrong in a comparison, apart from the runs themselves."""

from __future__ import annotations

from optimizer.errors import FleetError

__all__ = ["ExperimentError"]


class ExperimentError(FleetError):
    """A comparison cannot be set up, or its results cannot be read; the message says what to do."""
