"""Heuristics by prices and regret as a solver: instant, with the capacity-free bound beside."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from solvers.base import Feature, SolveParams, Solver, Start
from solvers.bounds import (
    capacity_free_bound,
    conditional_cost_bound,
    fits_alone,
    partial_bound,
    unservable_weight,
)
from solvers.construction import Construction, construct
from solvers.distribution_version import distribution_version
from solvers.errors import SolverOptionError
from solvers.exact import start_vector, tightened_bound
from solvers.lexicographic import priority_levels, unserved_weight
from solvers.problem import AllocationProblem, IntArray
from solvers.progress import ProgressSeries
from solvers.result import (
    GAP_TOLERANCE,
    Limit,
    Reason,
    SolveResult,
    SolveStatistics,
    StageResult,
    Termination,
    relative_gap,
)
from solvers.saturation import SaturationPolicy

__all__ = ["GreedyOptions", "GreedySolver"]


@dataclass(frozen=True, slots=True)
class GreedyOptions:
    """Options of `greedy`.

    Parameters
    ----------
    saturation_policy
        Who gets parts of what is left: "none", "priority-exhaustive", "priority-round-robin" or
        "round-robin". Others than "none" need the problem's `parts`.
    delayed_best_effort
        Share leftovers once at the end instead of after each priority.
    """

    saturation_policy: SaturationPolicy = SaturationPolicy.NONE
    delayed_best_effort: bool = False

    def __post_init__(self) -> None:
        try:
            policy = SaturationPolicy(self.saturation_policy)
        except ValueError:
            raise ValueError(
                f"saturation_policy = {self.saturation_policy!r}: must be one of "
                f"{', '.join(SaturationPolicy)}"
            ) from None
        object.__setattr__(self, "saturation_policy", policy)
        if not isinstance(self.delayed_best_effort, bool):
            raise TypeError(f"delayed_best_effort = {self.delayed_best_effort!r}: must be a bool")


class GreedySolver(Solver):
    """Choices by capacity prices and by regret, improved by exchanges; the best one is kept.

    Notes
    -----
    Prices on the capacities, from a smoothed dual, say what each column is worth to the others;
    best-effort policies go by regret alone. Deterministic unless stopped: it takes tenths of a
    second up to some thousand groups and some seconds per hundred thousand, up to fifteen where
    their sizes differ widely. Once half of the time is gone it begins nothing new, and at the end
    of it leaves the groups whose turn has not come. It says OPTIMAL only when its value meets its
    bound, which needs room for every group's cheapest column. Safe in threads.
    """

    name: ClassVar[str] = "greedy"
    summary: ClassVar[str] = (
        "heuristics by prices and regret, best-effort policies: instant at any size, a weak bound"
    )
    features: ClassVar[frozenset[Feature]] = frozenset(
        {
            Feature.STRICT_PRIORITIES,
            Feature.PARTIAL,
            Feature.TIME_LIMIT,
            Feature.WARM_START,
            Feature.PROGRESS,
            Feature.CANCEL,
        }
    )
    Options: ClassVar[type[GreedyOptions]] = GreedyOptions

    def solve(
        self, problem: AllocationProblem, params: SolveParams, start: Start | None = None
    ) -> SolveResult:
        """Build and improve solutions; see `Solver.solve`."""
        self.require(problem, params)
        options: GreedyOptions = self.parse_options(params)
        policy = options.saturation_policy
        if policy is not SaturationPolicy.NONE and problem.parts is None:
            raise SolverOptionError(
                f"solver 'greedy': saturation_policy = {policy.value!r} needs the problem's "
                f"`parts`: into how many equal parts each column divides"
            )
        began = time.perf_counter()
        given = start_vector(problem, start)
        notes = []
        if (
            start is not None
            and start.x is not None
            and (given is None or policy is not SaturationPolicy.NONE)
        ):
            why = "it is not feasible" if given is None else "best effort builds from nothing"
            notes.append(f"the start was not used: {why}")
        proof = _proof_of_infeasibility(problem, policy)
        built = Construction(None)
        stop = _Stop(params, began)
        if proof is None:
            built = construct(
                problem,
                policy,
                delayed=options.delayed_best_effort,
                seed=params.seed,
                start=given,
                stop=stop,
                deadline=params.deadline(began),
            )
            notes.append(_how(built))
        statistics = SolveStatistics(
            solver=self.name,
            version=distribution_version("fleetopt"),
            total_s=time.perf_counter() - began,
            notes=tuple(notes),
        )
        if built.x is None:
            return _nothing(problem, params, proof, statistics, stop.limit())
        result = _judged(problem, params, built.x, built.parts, statistics, stop.limit())
        _report(result, params, began)
        return result


def _how(built: Construction) -> str:
    """Say among what the best was looked for."""
    ways = []
    if built.priced:
        ways.append(f"{built.priced} by prices of the capacities")
    if built.orders:
        ways.append(f"{built.orders} orders, improved by exchanges")
    if not ways:
        return "every group takes its cheapest column of those that fit at all"
    return f"best of {' and '.join(ways)}"


class _Stop:
    """Whether to begin nothing new; remembers why."""

    def __init__(self, params: SolveParams, began: float) -> None:
        self._params = params
        self._began = began
        # What follows takes about as long as what went before.
        self._half = (began + params.deadline(began)) / 2
        self._stopped = False

    def __call__(self) -> bool:
        self._stopped = self._params.cancelled or time.perf_counter() >= self._half
        return self._stopped

    def limit(self) -> Limit:
        """Return what ended the construction."""
        if time.perf_counter() >= self._params.deadline(self._began):
            return Limit.TIME
        if not self._stopped:
            return Limit.COMPLETED
        return Limit.INTERRUPTED if self._params.cancelled else Limit.TIME


def _report(result: SolveResult, params: SolveParams, began: float) -> None:
    """Report what was reached: stage by stage, then the cost."""
    for stage in result.stages:
        ProgressSeries(params.progress, priority=stage.priority, began=began).update(
            incumbent=stage.value, bound=stage.dual_bound
        )
    ProgressSeries(params.progress, began=began).update(
        incumbent=result.primal_bound, bound=result.dual_bound
    )


def _proof_of_infeasibility(problem: AllocationProblem, policy: SaturationPolicy) -> str | None:
    """Return why no solution can exist, or None."""
    fits = fits_alone(problem, part=policy is not SaturationPolicy.NONE)
    without = np.ones(problem.groups, dtype=bool)
    without[problem.group[fits]] = False
    if not without.any():
        return None
    return f"group {int(np.argmax(without))}: every column exceeds a row by itself"


def _nothing(
    problem: AllocationProblem,
    params: SolveParams,
    proof: str | None,
    statistics: SolveStatistics,
    limit: Limit,
) -> SolveResult:
    """Return infeasible with its proof, or that nothing was found."""
    if proof is not None:
        return SolveResult(
            termination=Termination(Reason.INFEASIBLE, detail=proof),
            dual_bound=math.inf,
            statistics=statistics,
        )
    return SolveResult(
        termination=Termination(
            Reason.NO_SOLUTION_FOUND,
            limit,
            "the heuristic found no room for some group; an exact solver may"
            if limit is Limit.COMPLETED
            else "",
        ),
        dual_bound=capacity_free_bound(problem),
        tolerance=params.relative_gap,
        statistics=statistics,
    )


def _judged(
    problem: AllocationProblem,
    params: SolveParams,
    x: IntArray,
    parts: IntArray | None,
    statistics: SolveStatistics,
    limit: Limit,
) -> SolveResult:
    """Compare what was built with the bounds."""
    share = np.ones(problem.columns)
    if parts is not None and problem.parts is not None:
        share = parts / problem.parts
    chosen = x > 0
    costs = problem.cost[chosen] * share[chosen]
    value, scale = math.fsum(costs), math.fsum(np.abs(costs))
    least = unservable_weight(problem, part=parts is not None)
    stages = tuple(
        StageResult(
            priority=level,
            value=unserved_weight(problem, x, level),
            dual_bound=least[level],
        )
        for level in priority_levels(problem)
    )
    if parts is None:
        bound = conditional_cost_bound(problem, {s.priority: s.value for s in stages})
        bound = tightened_bound(problem, bound, value, scale)
    else:
        bound = min(partial_bound(problem), value)
    gap = relative_gap(value, bound)
    proven = (
        parts is None
        and gap <= max(params.relative_gap, GAP_TOLERANCE)
        and all(stage.optimal for stage in stages)
    )
    return SolveResult(
        termination=(
            Termination(Reason.OPTIMAL, detail="the value meets the capacity-free bound")
            if proven
            else Termination(Reason.FEASIBLE, limit)
        ),
        primal_bound=value,
        dual_bound=bound,
        x=x,
        parts=parts,
        stages=stages,
        tolerance=params.relative_gap,
        statistics=statistics,
    )
