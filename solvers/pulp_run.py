"""One call of a back end behind PuLP: what it is asked, and how its variables are read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from solvers.problem import FloatArray, IntArray
from solvers.pulp_model import PulpModel
from solvers.search_monitor import Monitor

__all__ = ["PulpRun"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PulpRun:
    """One call of a back end, in the model's units.

    Parameters
    ----------
    time_limit_s
        Seconds left, > 0; None: no limit.
    relative_gap, absolute_gap
        Of the model's objective.
    start
        (variables,), or None.
    folder
        Where temporary files go; removed afterwards.
    """

    model: PulpModel
    threads: int
    seed: int
    time_limit_s: float | None
    relative_gap: float
    absolute_gap: float
    start: IntArray | FloatArray | None
    monitor: Monitor
    folder: Path

    def set_start(self) -> None:
        """Give the variables their starting values."""
        if self.start is not None:
            for variable, value in zip(self.model.variables, self.start.tolist(), strict=True):
                variable.setInitialValue(value)

    def rounded(self) -> IntArray | None:
        """Read the variables; None when one has no value."""
        values = [variable.varValue for variable in self.model.variables]
        if any(value is None for value in values):
            return None
        return np.rint(np.array(values, dtype=np.float64)).astype(np.int64)

    def implied_bound(self) -> float:
        """Return what a claim of optimality within the allowed gaps implies; -inf without one."""
        import pulp

        lp = self.model.problem
        if lp.sol_status != pulp.LpSolutionOptimal:
            return -math.inf
        value = float(pulp.value(lp.objective))
        return value - max(self.absolute_gap, self.relative_gap * abs(value))
