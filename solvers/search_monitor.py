"""The way out of a running back end: what it has found so far, and whether it is to stop."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Protocol

import numpy as np

from solvers.base import SolveParams
from solvers.problem import AllocationProblem, IntArray
from solvers.progress import ProgressSeries
from solvers.verification import exact_cost, is_feasible

__all__ = ["CallbackGuard", "Monitor", "SearchMonitor", "SilentMonitor"]


class Monitor(Protocol):
    """What a back end tells while it runs, and asks."""

    @property
    def can_cancel(self) -> bool:
        """Whether `cancelled` may ever become true."""

    def cancelled(self) -> bool:
        """Whether to stop now and return what there is."""

    def incumbent(self, x: IntArray) -> None:
        """Tell a solution (n,) of the problem that was asked, 0/1."""

    def bound(self, bound: float) -> None:
        """Tell a proven lower bound on the cost."""


class SilentMonitor:
    """Nobody listens and nobody cancels."""

    can_cancel = False

    def cancelled(self) -> bool:
        """Return false."""
        return False

    def incumbent(self, x: IntArray) -> None:
        """Ignore it."""

    def bound(self, bound: float) -> None:
        """Ignore it."""


class SearchMonitor:
    """Keeps the best verified solution and bound of a search, and reports them.

    Parameters
    ----------
    problem
        What solutions are verified against.
    params
        Whose `progress` is told and whose `cancel` is looked at.
    bound
        A bound that is known from before.
    began
        `time.perf_counter()` at which the solver began.

    Notes
    -----
    Safe in threads: back ends call from whichever of theirs found something.
    """

    def __init__(
        self, problem: AllocationProblem, params: SolveParams, *, bound: float, began: float
    ) -> None:
        self.best: IntArray | None = None
        self.best_bound = bound
        self._value = math.inf
        self._problem = problem
        self._params = params
        self._series = ProgressSeries(params.progress, began=began)
        self._lock = threading.Lock()

    @property
    def can_cancel(self) -> bool:
        """Whether there is a flag that can be set."""
        return self._params.cancel is not None

    def cancelled(self) -> bool:
        """Whether the flag is set."""
        return self._params.cancelled

    def incumbent(self, x: IntArray) -> None:
        """Keep a solution that is better than the best one and keeps every row."""
        chosen = np.asarray(x > 0, dtype=np.int64)
        value = exact_cost(self._problem, chosen)
        if value >= self._value or not is_feasible(self._problem, chosen):
            return
        with self._lock:
            if value >= self._value:
                return
            self._value, self.best = value, chosen
        self._series.update(incumbent=value, bound=self.best_bound)

    def bound(self, bound: float) -> None:
        """Keep a bound that is higher than the best one."""
        with self._lock:
            if not bound > self.best_bound:
                return
            self.best_bound = bound
        self._series.update(bound=bound)


class CallbackGuard:
    """Carries an exception, Ctrl-C included, out of a callback that foreign code makes.

    Foreign code does not survive an exception: the guard keeps the first one, and whoever made the
    call raises it again afterwards.
    """

    def __init__(self) -> None:
        self.failure: BaseException | None = None

    def call(self, action: Callable[[], None]) -> None:
        """Run `action`, keeping what it raises; do nothing after a failure."""
        if self.failure is not None:
            return
        try:
            action()
        except BaseException as failure:  # noqa: BLE001 - raised again by raise_failure
            self.failure = failure

    def raise_failure(self) -> None:
        """Raise what was kept."""
        if self.failure is not None:
            raise self.failure
