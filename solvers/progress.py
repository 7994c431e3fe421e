"""What a running solver has reached, whenever it improves: incumbent, bound, elapsed time."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from solvers.result import relative_gap

__all__ = ["Progress", "ProgressCallback", "ProgressSeries"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One report of a running solver.

    Parameters
    ----------
    incumbent
        Value of the best verified solution so far; +inf before the first.
    bound
        Best proven lower bound so far; -inf before the first.
    elapsed_s
        Wall-clock seconds since the solver began.
    priority
        Under strict priorities the stage that incumbent and bound are about: the weight left
        unserved at this priority. None: they are about the cost.
    """

    incumbent: float = math.inf
    bound: float = -math.inf
    elapsed_s: float = 0.0
    priority: int | None = None

    @property
    def relative_gap(self) -> float:
        """Proven relative gap; inf while a bound is missing."""
        return relative_gap(self.incumbent, self.bound)


# Called from whichever thread the solver is in; an exception it raises ends the solve.
ProgressCallback = Callable[[Progress], None]


class ProgressSeries:
    """Reports about one value: the incumbent never increases, the bound never decreases.

    Parameters
    ----------
    callback
        Who is told; None: nobody.
    priority
        See `Progress`.
    began
        `time.perf_counter()` at which the solver began; None: now.

    Notes
    -----
    Safe in threads; one report at a time.
    """

    def __init__(
        self,
        callback: ProgressCallback | None,
        *,
        priority: int | None = None,
        began: float | None = None,
    ) -> None:
        self._callback = callback
        self._priority = priority
        self._began = time.perf_counter() if began is None else began
        self._lock = threading.Lock()
        self._incumbent = math.inf
        self._bound = -math.inf

    def update(self, *, incumbent: float = math.inf, bound: float = -math.inf) -> None:
        """Report if either is better than what was reported before.

        A bound above the incumbent, which can only be noise, is reported as the incumbent; where
        the incumbent came later, by the noise above it.
        """
        with self._lock:
            lowest = min(incumbent, self._incumbent)
            highest = max(self._bound, min(bound, lowest))
            if lowest == self._incumbent and highest == self._bound:
                return
            self._incumbent, self._bound = lowest, highest
            if self._callback is not None:
                self._callback(
                    Progress(
                        incumbent=lowest,
                        bound=highest,
                        elapsed_s=time.perf_counter() - self._began,
                        priority=self._priority,
                    )
                )

    def follow(self, progress: Progress) -> None:
        """Take over a report about the same value."""
        self.update(incumbent=progress.incumbent, bound=progress.bound)
