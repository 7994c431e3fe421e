"""Cost against latency, power, carbon, cards or moves: plans of which none is better in both.

The epsilon-constraint method (Haimes, Lasdon and Wismer, 1971): least cost with the measure at most
epsilon, then the least measure at that cost, which makes each point one that no plan dominates.
Both are exact solves, so the points are too; no weighting of the two can miss one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optimizer.errors import ModelError
from optimizer.fleet.assembly import assemble
from optimizer.fleet.cost_stage import cost_stage_of
from optimizer.fleet.pareto_measure import ParetoMeasure, measure_of_candidates
from optimizer.fleet.plan import FleetPlan
from optimizer.fleet.problem import FleetProblem, build_problem
from optimizer.spec.fleet_spec import FleetSpec
from solvers import AllocationProblem, Reason, SolveResult, SparseColumns, solve

__all__ = ["ParetoFront", "ParetoPoint", "pareto_front"]

FloatArray = NDArray[np.float64]

# Figures that differ by less, relative to the larger, are one point.
_SAME = 1e-7


@dataclass(frozen=True)
class ParetoPoint:
    """A plan that no other beats in cost and measure at once.

    Parameters
    ----------
    cost_per_hour
        The fleet's objective.
    value
        The measure.
    proven
        Whether both solves were; else the point may be dominated.
    plan
        The plan itself.
    """

    cost_per_hour: float
    value: float
    proven: bool
    plan: FleetPlan


@dataclass(frozen=True)
class ParetoFront:
    """Points by rising cost.

    Parameters
    ----------
    measure
        What cost is weighed against.
    points
        At least one.
    complete
        Whether there is no point between them.
    """

    measure: ParetoMeasure
    points: tuple[ParetoPoint, ...]
    complete: bool


def pareto_front(spec: FleetSpec, measure: ParetoMeasure, points: int = 10) -> ParetoFront:
    """Find plans from the cheapest to the one with the least of a measure.

    Parameters
    ----------
    spec
        A validated fleet. Plans leave no more unserved of any priority than the best does.
    measure
        What cost is weighed against.
    points
        Most points, at least 2: bounds on the measure are evenly spaced. When the whole front has
        fewer, all are found, and the front is complete.

    Raises
    ------
    InfeasibleError
        If there is no plan.
    ModelError
        If the measure is not known for every candidate, or services split, or instances are
        bought in tiers.
    ValueError
        If fewer than 2 points are asked for.
    """
    if points < 2:
        raise ValueError(f"points = {points}: must be at least 2")
    problem = build_problem(spec)
    _require_costs_of_candidates(problem.arrays, measure)
    search = _Search(problem, cost_stage_of(problem), measure)
    cheapest = search.point(math.inf)
    assert cheapest is not None  # the cost stage has a solution
    least = search.least_value()
    bounds = _Bounds(cheapest.value, least, points)
    found = list(search.points_from(cheapest, bounds.next_below))
    if len(found) <= points:
        return ParetoFront(measure, tuple(found), complete=True)
    return ParetoFront(
        measure, tuple(search.points_from(cheapest, bounds.next_of_grid)), complete=False
    )


def _require_costs_of_candidates(arrays: AllocationProblem | None, measure: ParetoMeasure) -> None:
    """Refuse fleets whose cost is not the sum over the services' candidates."""
    if arrays is None:
        return
    if arrays.split is not None:
        raise ModelError(f"{measure}: a front of a fleet whose services split is not offered")
    if arrays.links is not None and arrays.links.cost.any():
        raise ModelError(
            f"{measure}: a front of a fleet with purchase tiers is not offered, whose instances "
            f"are bought for all services at once"
        )


@dataclass(frozen=True)
class _Bounds:
    """The next bound on the measure after some points; None: there is none."""

    first: float
    least: float
    most_points: int

    def next_below(self, found: Sequence[ParetoPoint]) -> float | None:
        """Return anything below the last point, while there are no more points than wanted."""
        resolution = _SAME * max(abs(self.first), 1.0)
        if len(found) > self.most_points or found[-1].value <= self.least + resolution:
            return None
        return max(found[-1].value - resolution, self.least)

    def next_of_grid(self, found: Sequence[ParetoPoint]) -> float | None:
        """Return the largest bound of an even grid that is below the last point."""
        below = self.next_below((found[-1],))
        if below is None:
            return None
        step = (self.first - self.least) / (self.most_points - 1)
        place = math.ceil((self.first - below) / step - _SAME)
        return max(self.first - step * place, self.least)


class _Search:
    """One fleet's problem with a row for the measure."""

    def __init__(
        self, problem: FleetProblem, arrays: AllocationProblem, measure: ParetoMeasure
    ) -> None:
        self.problem = problem
        self.arrays = arrays
        each = measure_of_candidates(problem.table, measure)
        served = problem.column_candidate >= 0
        self.values = np.where(served, each[problem.column_candidate], 0.0)
        self.options = problem.table.spec.optimizer

    def least_value(self) -> float:
        """Return the least of the measure at any cost."""
        result = self._solve(self.values)
        return float(self.values @ self._x(result))

    def points_from(
        self,
        cheapest: ParetoPoint,
        next_bound: Callable[[Sequence[ParetoPoint]], float | None],
    ) -> Iterator[ParetoPoint]:
        """Yield the points under one bound after the other."""
        found = [cheapest]
        yield cheapest
        while (bound := next_bound(found)) is not None:
            point = self.point(bound)
            if point is None:
                return
            found.append(point)
            yield point

    def point(self, bound: float) -> ParetoPoint | None:
        """Return the cheapest plan with the measure within a bound, and of those the least."""
        cheapest = self._solve(self.arrays.cost, (self.values, bound))
        if cheapest.x is None:
            return None
        cost = float(self.arrays.cost @ cheapest.x)
        ceiling = cost + _SAME * max(abs(cost), 1.0)
        best = self._solve_below(ceiling)
        x = self._x(best) if best.x is not None else cheapest.x
        proven = all(r.termination.reason is Reason.OPTIMAL for r in (cheapest, best))
        result = dataclasses.replace(
            cheapest, x=x, primal_bound=float(self.arrays.cost @ x), stages=()
        )
        return ParetoPoint(
            cost_per_hour=float(self.arrays.cost @ x),
            value=float(self.values @ x),
            proven=proven,
            plan=assemble(self.problem, result),
        )

    def _solve_below(self, ceiling: float) -> SolveResult:
        # A row of costs must not be negative; those of the inferno objective may be.
        offset = min(float(self.arrays.cost.min()), 0.0)
        return self._solve(
            self.values, (self.arrays.cost - offset, ceiling - offset * self.arrays.groups)
        )

    def _solve(self, cost: FloatArray, row: tuple[FloatArray, float] | None = None) -> SolveResult:
        arrays = self.arrays
        usage, capacity = arrays.usage, arrays.capacity
        if row is not None and math.isfinite(row[1]):
            entries = np.flatnonzero(row[0])
            more = SparseColumns.from_triplets(
                (1, arrays.columns), rows=np.zeros(len(entries)), columns=entries,
                values=row[0][entries],
            )  # fmt: skip
            usage = SparseColumns.stack([usage, more])
            capacity = np.append(capacity, max(row[1], 0.0))
        problem = dataclasses.replace(arrays, cost=cost, usage=usage, capacity=capacity)
        return solve(
            problem,
            time_limit_s=self.options.time_limit_s,
            relative_gap=min(self.options.relative_gap, _SAME),
            seed=self.options.seed,
            threads=self.options.threads,
        )

    def _x(self, result: SolveResult) -> NDArray[np.int64]:
        assert result.x is not None  # the cost stage has a solution
        return result.x
