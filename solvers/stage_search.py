"""What every search of one stage keeps: incumbent, bounds, clock, and how it ends.

Of a stage of priorities most solutions are equally good, and prices of it alone are mostly 0. So
what later stages want is added, weighed less, while prices and choices are looked for; bounds are
of the stage alone.
"""

from __future__ import annotations

import math
import time

import numpy as np

from solvers.exact import BackendAnswer, BackendRequest
from solvers.integer_scaling import exact_scaling
from solvers.problem import FloatArray, IntArray
from solvers.result import GAP_TOLERANCE, Limit
from solvers.search_monitor import Monitor

__all__ = ["QuietMonitor", "StageSearch"]

# Share of a step of a stage that may stay open in what is weighed.
_STAGE_GAP = 0.25
# One step of a stage outweighs so many units of what later stages want.
_OUTWEIGHS = 10.0


class StageSearch:
    """One stage of a problem with a split or a linked part.

    Parameters
    ----------
    request
        With its programme and its stage; a point is the first incumbent.
    first_s
        Seconds that the first solution may take when the time is up.

    Attributes
    ----------
    weighed
        (variables,), the objective with those of later stages; one more unserved outweighs a few.
    bound, value
        Of what is weighed; `own_bound` and `own_value` of the stage alone.
    x
        The incumbent's first entries, as many as `request.point` would have; None: none yet.
    """

    def __init__(self, request: BackendRequest, first_s: float) -> None:
        assert request.stage is not None
        self.began = time.perf_counter()
        self.request, self.stage, self._first_s = request, request.stage, first_s
        self.weight = 1.0
        self.weighed: FloatArray = self._weighed()
        self.bound = self.own_bound = -math.inf
        self.value = self.own_value = math.inf
        self.x: IntArray | None = None
        self.nodes = 0
        scaling = exact_scaling(self.stage.objective)
        whole = request.stage.builder.integer
        only_whole = bool(np.all(whole | (self.stage.objective == 0)))
        self.step = scaling.step if scaling is not None and only_whole else None

    @property
    def alone(self) -> bool:
        """Whether nothing of later stages is weighed."""
        return not self.stage.later

    def _weighed(self) -> FloatArray:
        if not self.stage.later:
            return self.stage.objective
        objectives = [self.stage.objective, *self.stage.later]
        total = objectives[-1].copy()
        weight = 1.0
        for objective in objectives[-2::-1]:
            if not objective.any():
                continue
            largest = np.abs(total[self.stage.builder.integer]).max(initial=0.0)
            weight = _OUTWEIGHS * max(largest, 1e-9) / objective[objective > 0].min()
            total += weight * objective
        self.weight = weight if self.stage.objective.any() else 1.0
        return total

    def adopt(self, x: IntArray, value: float, own_value: float) -> bool:
        """Keep a solution that is better; return whether it is."""
        if (own_value, value) >= (self.own_value, self.value):
            return False
        self.x, self.value, self.own_value = x, value, own_value
        self.request.monitor.incumbent(x)
        return True

    def prove(self, bound: float) -> None:
        """Keep a bound of what is weighed where it is higher, and tell it if it is the stage's."""
        self.bound = max(self.bound, bound)
        if self.alone:
            self.own_bound = self.bound
            self.request.monitor.bound(self.rounded())

    def rounded(self) -> float:
        """Return the bound of the stage, rounded up to the next value that exists."""
        bound = self.own_bound
        if self.step is not None and math.isfinite(bound):
            bound = math.ceil(bound / self.step - 1e-6) * self.step
        return min(bound, self.own_value)

    def allowed(self) -> float:
        """Return the gap that is small enough, in the measure of what is weighed."""
        if not self.alone:
            return _STAGE_GAP * self.weight * (self.step or 0.0)
        gap = max(self.request.relative_gap, GAP_TOLERANCE)
        known = self.value if math.isfinite(self.value) else self.bound
        return gap * abs(known)

    def closed(self) -> bool:
        """Whether the stage is proven to the gap that is asked for."""
        if not math.isfinite(self.own_value):
            return False
        gap = max(self.request.relative_gap, GAP_TOLERANCE) * abs(self.own_value)
        return self.own_value - self.rounded() <= gap

    def elapsed(self) -> float:
        """Return the seconds since the search began."""
        return time.perf_counter() - self.began

    def limit(self) -> float | None:
        """Return the seconds that there are in all; None: no limit."""
        first, solved = self.request.time_limit_s, self.request.solved_limit_s
        if first is None or solved is None or self.x is None:
            return first
        return max(first, solved)

    def left(self) -> float | None:
        """Return the seconds left, a little even after the end; None: no limit."""
        limit = self.limit()
        least = 0.01 if self.x is not None else self._first_s
        return None if limit is None else max(limit - self.elapsed(), least)

    def stopped(self) -> Limit | None:
        """Return what ends the search now, if anything does."""
        if self.request.monitor.cancelled():
            return Limit.INTERRUPTED
        limit = self.limit()
        if limit is not None and self.elapsed() >= limit:
            return Limit.TIME
        return None

    def answer(self, detail: str) -> BackendAnswer:
        """Return what is known."""
        return BackendAnswer(
            x=self.x,
            dual_bound=self.rounded(),
            limit=None if self.closed() else self.stopped() or Limit.GAP,
            detail=detail,
            solve_s=self.elapsed(),
            nodes=self.nodes,
        )


class QuietMonitor:
    """Passes on the wish to stop alone: what is found over plans has to be read first."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    @property
    def can_cancel(self) -> bool:
        """Whether there is a flag that can be set."""
        return self._monitor.can_cancel

    def cancelled(self) -> bool:
        """Whether the flag is set."""
        return self._monitor.cancelled()

    def incumbent(self, x: IntArray) -> None:
        """Say nothing."""

    def bound(self, bound: float) -> None:
        """Say nothing."""
