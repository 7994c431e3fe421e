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

from optimizer.errors import InfeasibleError, PlanError
from optimizer.fleet.assembly import assemble
from optimizer.fleet.check import check_plan
from optimizer.fleet.cost_stage import cost_stage_of
from optimizer.fleet.pareto_measure import ParetoMeasure, with_measure
from optimizer.fleet.plan import FleetPlan
from optimizer.fleet.problem import FleetProblem, build_problem
from optimizer.fleet.split_tightening import MOST_TIGHTENINGS, tightened
from optimizer.spec.fleet_spec import FleetSpec
from solvers import (
    AllocationProblem,
    LinearSum,
    Reason,
    SolveResult,
    check,
    cost_sum,
    minimising,
    relative_gap,
    solve,
    with_limit,
)

__all__ = ["ParetoFront", "ParetoPoint", "pareto_front"]

# Figures that differ by less, relative to the larger, are one point: choices, and whatever has
# continuous columns, whose rows solvers keep within 1e-7.
_SAME, _SAME_LINKED = 1e-7, 1e-6


@dataclass(frozen=True)
class ParetoPoint:
    """A plan that no other beats in cost and measure at once.

    Parameters
    ----------
    cost_per_hour
        The fleet's objective.
    value
        The measure; power and carbon of services that split by the line that bounds their replicas'
        curves from above, which the plan's own figure may stay below.
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


def pareto_front(
    spec: FleetSpec,
    measure: ParetoMeasure,
    points: int = 10,
    *,
    told: Callable[[ParetoPoint], None] | None = None,
) -> ParetoFront:
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
    told
        Called with every plan on the way; not all stay in the front.

    Raises
    ------
    InfeasibleError
        If there is no plan.
    ModelError
        If the measure is not known for every candidate, or latency is asked for of services that
        split.
    PlanError
        If a plan fails the independent check.
    ValueError
        If fewer than 2 points are asked for.
    """
    if points < 2:
        raise ValueError(f"points = {points}: must be at least 2")
    problem = build_problem(spec)
    for _ in range(MOST_TIGHTENINGS):
        front, results, solved = _front(problem, measure, points, told)
        lowered = next(
            (less for r in results if (less := tightened(solved, r)) is not None), None
        )  # fmt: skip
        if lowered is None:
            break
        problem = lowered
    for point in front.points:
        check_plan(spec, point.plan).require()
    return front


def _front(
    problem: FleetProblem,
    measure: ParetoMeasure,
    points: int,
    told: Callable[[ParetoPoint], None] | None,
) -> tuple[ParetoFront, list[SolveResult], FleetProblem]:
    """Return the front, and the answers it is made of with their problem."""
    problem, total = with_measure(problem, measure)
    search = _Search(problem, cost_stage_of(problem), total, told)
    cheapest = search.point(math.inf)
    if cheapest is None:
        raise InfeasibleError("no plan was found within the time limit; give more time")
    bounds = _Bounds(cheapest.value, search.least_value(), points, search.same)
    found = list(search.points_from(cheapest, bounds.next_below))
    complete = len(found) <= points
    if not complete:
        found = list(search.points_from(cheapest, bounds.next_of_grid))
    return ParetoFront(measure, tuple(found), complete), search.answers, problem


@dataclass(frozen=True)
class _Bounds:
    """The next bound on the measure after some points; None: there is none."""

    first: float
    least: float
    most_points: int
    same: float

    def next_below(self, found: Sequence[ParetoPoint]) -> float | None:
        """Return anything below the last point, while there are no more points than wanted."""
        resolution = self.same * max(abs(self.first), 1.0)
        if len(found) > self.most_points or found[-1].value <= self.least + resolution:
            return None
        return max(found[-1].value - resolution, self.least)

    def next_of_grid(self, found: Sequence[ParetoPoint]) -> float | None:
        """Return the largest bound of an even grid that is below the last point."""
        below = self.next_below((found[-1],))
        if below is None:
            return None
        step = (self.first - self.least) / (self.most_points - 1)
        place = math.ceil((self.first - below) / step - self.same)
        return max(self.first - step * place, self.least)


class _Search:
    """One fleet's problem of the cost, with the measure."""

    def __init__(
        self,
        problem: FleetProblem,
        arrays: AllocationProblem,
        measure: LinearSum,
        told: Callable[[ParetoPoint], None] | None,
    ) -> None:
        self.told = told
        self.problem, self.arrays, self.measure = problem, arrays, measure
        self.cost = cost_sum(arrays)
        self.options = problem.table.spec.optimizer
        self.answers: list[SolveResult] = []
        plain = arrays.split is None and arrays.links is None
        self.same = _SAME if plain else _SAME_LINKED

    def least_value(self) -> float:
        """Return the least of the measure at any cost; none is negative."""
        result = self._solve(minimising(self.arrays, self.measure))
        return math.inf if result.x is None else self._value(result)

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
            if point is None or point.value >= found[-1].value:
                return
            found.append(point)
            yield point

    def point(self, bound: float) -> ParetoPoint | None:
        """Return the cheapest plan with the measure within a bound, and of those the least."""
        cheapest = self._solve(with_limit(self.arrays, self.measure, bound))
        if cheapest.x is None:
            return None
        cost = cheapest.primal_bound
        limited = with_limit(self.arrays, self.cost, cost + _SAME * max(abs(cost), 1.0))
        least = self._solve(minimising(limited, self.measure))
        chosen = cheapest if least.x is None else least
        proven = all(r.termination.reason is Reason.OPTIMAL for r in (cheapest, least))
        return self._named(chosen, cheapest, proven=proven)

    def _named(self, chosen: SolveResult, cheapest: SolveResult, *, proven: bool) -> ParetoPoint:
        """Return a point in the fleet's words, of a solution and the bound on its cost."""
        x, z = chosen.x, chosen.z
        assert x is not None
        if z is not None:
            links = self.arrays.links
            z = None if links is None else z[: links.columns]
        report = check(self.arrays, x, rates=chosen.rates, z=z)
        if not report.feasible:
            raise PlanError(f"a point fails the independent check: {'; '.join(report.violations)}")
        result = dataclasses.replace(
            cheapest,
            x=x,
            rates=chosen.rates,
            z=z,
            primal_bound=report.cost,
            tolerance=max(cheapest.tolerance, relative_gap(report.cost, cheapest.dual_bound)),
            stages=(),
        )
        self.answers.append(result)
        point = ParetoPoint(
            cost_per_hour=report.cost,
            value=self.measure.at(x, z, chosen.rates),
            proven=proven,
            plan=assemble(self.problem, result),
        )
        if self.told is not None:
            self.told(point)
        return point

    def _value(self, result: SolveResult) -> float:
        """Return the measure of a solution, of which a further column at the end is none."""
        assert result.x is not None
        z = None if result.z is None else result.z[: len(self.measure.of_z)]
        return self.measure.at(result.x, z, result.rates)

    def _solve(self, problem: AllocationProblem) -> SolveResult:
        return solve(
            problem,
            time_limit_s=self.options.time_limit_s,
            relative_gap=min(self.options.relative_gap, _SAME),
            seed=self.options.seed,
            threads=self.options.threads,
        )
