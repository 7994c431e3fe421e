"""Choosing a solver: greedy where it proves itself optimal, else an exact one by size."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar

from solvers import registry
from solvers.base import LINKED_FEATURES, Feature, SolveParams, Solver, Start, required_features
from solvers.bounds import relaxed_solution
from solvers.dense_search import is_dense
from solvers.problem import AllocationProblem
from solvers.result import SolveResult
from solvers.verification import is_feasible

__all__ = ["AutoSolver"]

# Branch and cut had its first solution after 1e-5 s per column and usage entry (HiGHS 1.14, family
# `fleet`, 1 000 to 20 000 groups); with less than five times that it may end without one.
_SHORT_S_PER_ENTRY = 5e-5
# From so many groups prices leave little for branch and cut; below, it is as fast alone.
_PRICED_FROM_GROUPS = 150
# The same where groups split or columns are linked: branch and cut alone leaves 5 % at 100 groups.
_PLANNED_FROM_GROUPS = 25


class AutoSolver(Solver):
    """Chooses a solver by what is measured and installed, and says which and why.

    Notes
    -----
    `greedy` where every group's cheapest column has room: that proves itself without search. Else
    `lagrangian` for dense rows and from 150 groups, `highs` otherwise, where they are installed;
    else what is.
    `statistics.solver` names the choice and `statistics.notes` the reason.

    Measured with one thread on a two-core machine, November 2026, HiGHS 1.14, OR-Tools 9.15, proven
    to 1e-6, CPU seconds without imports, least and most of two or three seeds:

    | family, groups | `lagrangian` | `highs` | `milp` | `cp-sat` |
    | --- | --- | --- | --- | --- |
    | `fleet` 100 | as `highs` | 0.02-0.10 | 0.05-0.13 | 0.04-0.05 |
    | `fleet` 150-300 | 0.01-0.13 | 0.01-0.31 | | |
    | `fleet` 1 000 | 0.07-0.14 | 0.6-0.9 | 0.7-1.2 | 0.5 |
    | `fleet` 10 000 | | 4.6-8.7 | 14-15 | 27-33 |
    | `lumpy` 200-500 | 0.02-0.24 | 0.03-0.35 | | |
    | `lumpy` 1 000 | 0.3-2.0 | 0.5-1.3 | 0.7-1.4 | 0.4-0.8 |
    | strict `fleet` 200, 1 000 | 0.3, 1.1 | 0.5, 1.6 | | 0.7, 4.9 |

    Dense rows: docs/how-to-choose.md has the values of the public instances after 60 s. `highs` is
    `milp` without building a model in Python. Within 5 s at 10 000 groups `cp-sat` and CBC find no
    solution.
    """

    name: ClassVar[str] = "auto"
    summary: ClassVar[str] = "chooses among the installed solvers, and says which and why"
    features: ClassVar[frozenset[Feature]] = LINKED_FEATURES | {Feature.CHANCE}

    def solve(
        self, problem: AllocationProblem, params: SolveParams, start: Start | None = None
    ) -> SolveResult:
        """Choose and solve; see `Solver.solve`."""
        self.require(problem, params)
        self.parse_options(params)
        began = time.perf_counter()
        plain = problem.split is None and problem.links is None and problem.chance is None
        relaxed = relaxed_solution(problem) if plain else None
        if relaxed is not None and is_feasible(problem, relaxed):
            choice = _Choice("greedy", "it proves itself here without a search")
        else:
            choice = _exact_choice(problem, params)
        if start is None and plain and choice.searches and _is_short(problem, params):
            # Something to return, and to improve on, when the time runs out.
            first_params = dataclasses.replace(params, options={}, progress=None)
            first = registry.get("greedy").solve(problem, first_params)
            start = None if first.x is None else Start(first.x)
        left = None
        if params.time_limit_s is not None:
            left = max(params.deadline(began) - time.perf_counter(), 1e-9)
        chosen_params = dataclasses.replace(params, options=choice.options, time_limit_s=left)
        result = registry.get(choice.name).solve(problem, chosen_params, start)
        statistics = dataclasses.replace(
            result.statistics,
            solver=f"auto -> {choice.name}",
            notes=(f"auto chose {choice.name}: {choice.reason}", *result.statistics.notes),
        )
        return dataclasses.replace(result, statistics=statistics)


@dataclass(frozen=True, slots=True)
class _Choice:
    """A solver, why, and its options."""

    name: str
    reason: str
    options: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def searches(self) -> bool:
        """Whether its first solution comes out of a search that may be long."""
        return self.name not in ("greedy", "lagrangian")


def _is_short(problem: AllocationProblem, params: SolveParams) -> bool:
    """Whether the time limit may end branch and cut before its first solution."""
    entries = problem.columns + len(problem.usage.values)
    return params.time_limit_s is not None and params.time_limit_s < _SHORT_S_PER_ENTRY * entries


def _exact_choice(problem: AllocationProblem, params: SolveParams) -> _Choice:
    """Return the exact solver for the size among those that are installed."""
    names = registry.names()
    if problem.chance is not None:
        return _Choice("convex", "it takes rows that are kept with a probability")
    if problem.split is not None or problem.links is not None:
        return _mixed_choice(problem, params)
    highs, ortools, pulp = (find_spec(name) is not None for name in ("highspy", "ortools", "pulp"))
    dense = is_dense(problem.usage)
    if highs and dense and _suits("lagrangian", problem, params):
        return _Choice("lagrangian", "exact, and the best on dense rows")
    if highs and problem.groups >= _PRICED_FROM_GROUPS and _suits("lagrangian", problem, params):
        return _Choice("lagrangian", f"exact, and the fastest from {_PRICED_FROM_GROUPS} groups")
    if highs and "highs" in names:
        return _Choice("highs", "exact, and HiGHS is installed")
    if highs and pulp:
        return _Choice("milp", "exact, and HiGHS is installed")
    if ortools:
        return _Choice("cp-sat", "exact; HiGHS is not installed, OR-Tools is")
    if pulp:
        return _Choice("milp", "exact; neither HiGHS nor OR-Tools is installed", {"backend": "CBC"})
    return _Choice("greedy", "no exact solver is installed; try: pip install 'highspy<1.15'")


def _mixed_choice(problem: AllocationProblem, params: SolveParams) -> _Choice:
    """Return a solver for problems with split or linked parts, which need HiGHS."""
    if problem.groups >= _PLANNED_FROM_GROUPS and _suits("lagrangian", problem, params):
        return _Choice(
            "lagrangian", f"exact, and the fastest from {_PLANNED_FROM_GROUPS} groups that split"
        )
    able = "exact, and takes counts, rate shares and linked columns"
    return _Choice("highs" if "highs" in registry.names() else "milp", able)


def _suits(name: str, problem: AllocationProblem, params: SolveParams) -> bool:
    """Whether a solver is registered and can do what is asked, cancelling included."""
    if name not in registry.names():
        return False
    needed = set(required_features(problem, params))
    if params.cancel is not None:
        needed.add(Feature.CANCEL)
    return needed <= registry.get(name).features
