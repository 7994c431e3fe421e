"""The clock of an emulator: real time, or a multiple of it."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["ScaledClock"]


class ScaledClock:
    """Milliseconds that pass `speed` times as fast as real ones.

    Parameters
    ----------
    speed
        How many engine seconds pass in a real second, > 0.
    monotonic
        Real time [s].
    """

    def __init__(self, speed: float = 1.0, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.speed = speed
        self._monotonic = monotonic
        self._started = monotonic()

    def now_ms(self) -> float:
        """Return the engine's time, from 0 at the start."""
        return (self._monotonic() - self._started) * self.speed * 1e3

    def seconds_until(self, time_ms: float) -> float:
        """Return how long to wait in real time [s]; 0 for what is past."""
        return max(time_ms - self.now_ms(), 0.0) / self.speed / 1e3
