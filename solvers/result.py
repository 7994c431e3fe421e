"""What a solver proved: termination, bounds, solution, statistics."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "GAP_TOLERANCE",
    "Limit",
    "PriceMeaning",
    "Reason",
    "RowPrices",
    "SolveResult",
    "SolveStatistics",
    "StageResult",
    "Termination",
    "relative_gap",
]

# Bounds that cross or differ by less than this, relative to the value, are taken as equal:
# floating-point sums over a hundred thousand columns, and the back ends' own tolerances.
GAP_TOLERANCE = 1e-9


class Reason(StrEnum):
    """Why the solver stopped."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    NO_SOLUTION_FOUND = "no_solution_found"
    ERROR = "error"


class Limit(StrEnum):
    """Which limit stopped a solver that proved neither optimality nor infeasibility."""

    TIME = "time"
    ITERATIONS = "iterations"
    NODES = "nodes"
    GAP = "gap"
    INTERRUPTED = "interrupted"
    MEMORY = "memory"
    COMPLETED = "completed"  # a heuristic that ran to its end


@dataclass(frozen=True, slots=True)
class Termination:
    """Reason, limit (only with FEASIBLE, NO_SOLUTION_FOUND and ERROR) and detail in words."""

    reason: Reason
    limit: Limit | None = None
    detail: str = ""

    def __post_init__(self) -> None:
        limited = self.reason in (Reason.FEASIBLE, Reason.NO_SOLUTION_FOUND)
        if limited and self.limit is None:
            raise ValueError(f"{self.reason} needs the limit that stopped the solver")
        if self.limit is not None and not limited and self.reason is not Reason.ERROR:
            raise ValueError(f"{self.reason} cannot come with the limit {self.limit}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SolveStatistics:
    """Times in seconds and counts; `None` where unknown. Never part of a plan's identity."""

    solver: str = ""
    version: str = ""
    build_s: float | None = None
    solve_s: float | None = None
    total_s: float | None = None
    iterations: int | None = None
    nodes: int | None = None
    notes: tuple[str, ...] = ()
    log_tail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """One stage of a lexicographic solve: the weight left unserved at one priority.

    The bound holds with the earlier stages frozen at their values.
    """

    priority: int
    value: float
    dual_bound: float

    @property
    def optimal(self) -> bool:
        """Whether nothing better is possible, given the earlier stages."""
        return relative_gap(self.value, self.dual_bound) <= GAP_TOLERANCE


class PriceMeaning(StrEnum):
    """What a price of a row is; none of them is a price of the problem in whole columns."""

    RELAXATION_DUAL = "relaxation_dual"  # optimal dual of the continuous relaxation
    MULTIPLIER = "multiplier"  # Lagrangian multiplier: proves the bound, near such a dual


@dataclass(frozen=True, slots=True, eq=False)
class RowPrices:
    """What one more unit of each row's capacity would save, in the relaxation.

    Parameters
    ----------
    values
        (m,), cost per unit of usage, >= 0; 0 where the row does not bind.
    meaning
        What they are.

    Raises
    ------
    ValueError
        If a value is negative or not finite.
    """

    values: NDArray[np.float64]
    meaning: PriceMeaning

    def __post_init__(self) -> None:
        if not (np.isfinite(self.values).all() and (self.values >= 0).all()):
            raise ValueError("prices of rows must be finite and at least 0")
        self.values.flags.writeable = False


def relative_gap(primal_bound: float, dual_bound: float) -> float:
    """Absolute gap over max(|primal|, 1e-9); 0 when bounds meet or cross, inf when one is missing.

    The one definition of the gap in this project.
    """
    if not (math.isfinite(primal_bound) and math.isfinite(dual_bound)):
        return math.inf
    return max(primal_bound - dual_bound, 0.0) / max(abs(primal_bound), 1e-9)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SolveResult:
    """Answer of a solver to an `AllocationProblem`.

    Parameters
    ----------
    termination
        Reason, limit, detail.
    primal_bound
        Cost of `x`, `rates` and `z`, +inf when nothing feasible was found.
    dual_bound
        Proven lower bound on the cost, -inf when nothing was proved. With strict priorities it
        is conditional on the unserved weights of the stages; where groups fall into components
        that share nothing, in each of them.
    x
        (n,), 1 where the column is chosen, and in groups that split how often it is taken; None
        without a feasible solution.
    parts
        (n,), parts taken of each chosen column, where some column is taken in part (see
        `AllocationProblem.parts`); None when every chosen column is whole.
    rates
        (edges,), rate along each edge of the problem's split part; None without one.
    z
        (k,), the further columns of the problem's linked part; None without one.
    prices
        Prices of the rows, from a solver that has them; of the last stage with strict priorities.
    stages
        One entry per priority, most important first; empty without strict priorities.
    tolerance
        Relative gap within which the result may be called OPTIMAL: what the caller asked for.
    statistics
        Times, counts and versions.

    Raises
    ------
    ValueError
        If the parts contradict one another: OPTIMAL with an open gap or stage, a dual bound above
        the primal, a solution with INFEASIBLE.
    """

    termination: Termination
    primal_bound: float = math.inf
    dual_bound: float = -math.inf
    x: NDArray[np.int64] | None = None
    parts: NDArray[np.int64] | None = None
    rates: NDArray[np.float64] | None = None
    z: NDArray[np.float64] | None = None
    prices: RowPrices | None = None
    stages: tuple[StageResult, ...] = ()
    tolerance: float = GAP_TOLERANCE
    statistics: SolveStatistics = field(default_factory=SolveStatistics)

    def __post_init__(self) -> None:
        reason = self.termination.reason
        solved = reason in (Reason.OPTIMAL, Reason.FEASIBLE)
        if solved != (self.x is not None):
            raise ValueError(f"{reason} {'needs' if solved else 'cannot come with'} a solution x")
        if solved != math.isfinite(self.primal_bound):
            raise ValueError(f"{reason} contradicts the primal bound {self.primal_bound}")
        if math.isnan(self.dual_bound):
            raise ValueError("the dual bound is NaN; -inf says that nothing was proved")
        excess = self.dual_bound - self.primal_bound
        if solved and excess > GAP_TOLERANCE * max(1.0, abs(self.primal_bound)):
            raise ValueError(f"dual bound {self.dual_bound} above the primal {self.primal_bound}")
        if reason is Reason.OPTIMAL:
            allowed = max(self.tolerance, GAP_TOLERANCE)
            if self.relative_gap > allowed:
                raise ValueError(f"OPTIMAL with a relative gap of {self.relative_gap}")
            if not all(stage.optimal for stage in self.stages):
                raise ValueError("OPTIMAL with a priority stage that is not proven")
        for array in (self.x, self.parts, self.rates, self.z):
            if array is not None:
                array.flags.writeable = False

    @property
    def relative_gap(self) -> float:
        """Proven relative gap; inf when a bound is missing."""
        return relative_gap(self.primal_bound, self.dual_bound)

    def __repr__(self) -> str:
        """One line."""
        limit = f" ({self.termination.limit})" if self.termination.limit else ""
        return (
            f"SolveResult({self.termination.reason}{limit}, primal={self.primal_bound:.10g}, "
            f"dual={self.dual_bound:.10g}, gap={self.relative_gap:.3g}, "
            f"solver={self.statistics.solver!r})"
        )

    def summary(self) -> str:
        """Return the result on one screen."""
        lines = [
            f"termination  {self.termination.reason}"
            + (f", limit: {self.termination.limit}" if self.termination.limit else ""),
            f"cost         {self.primal_bound:.10g}",
            f"bound        {self.dual_bound:.10g}",
            f"gap          {self.relative_gap:.6%}",
            f"solver       {self.statistics.solver} {self.statistics.version}".rstrip(),
        ]
        lines += [
            f"priority {s.priority:<4} {s.value:g} unserved, at least {s.dual_bound:g} proven"
            for s in self.stages
        ]
        if self.termination.detail:
            lines.append(f"detail       {self.termination.detail}")
        return "\n".join(lines)
