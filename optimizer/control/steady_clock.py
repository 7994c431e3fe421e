"""A clock that never goes back, whatever the machine's own does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["SteadyClock"]


class SteadyClock:
    """Goes on from where it was when the time it is told lies before that.

    Windows and cooldowns then last longer than they should, never shorter. It goes on from the
    last time written down, too.
    """

    def __init__(self) -> None:
        self._last_s = -math.inf
        self._ahead_s = 0.0

    def at(self, told_s: float) -> float:
        """Return the time that is meant by a time told [s]."""
        self._ahead_s = max(self._ahead_s, self._last_s - told_s)
        self._last_s = told_s + self._ahead_s
        return self._last_s

    def state(self) -> dict[str, float | None]:
        """Return what to write down."""
        return {"at_s": self._last_s if math.isfinite(self._last_s) else None}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what was written down."""
        self._last_s = -math.inf if state["at_s"] is None else float(state["at_s"])
