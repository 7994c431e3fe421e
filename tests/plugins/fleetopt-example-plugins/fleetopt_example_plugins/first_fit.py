"""First fit: groups in order, each takes its cheapest column that still fits."""

from __future__ import annotations

import numpy as np

from solvers import (
    AllocationProblem,
    Feature,
    Limit,
    Reason,
    SolveParams,
    Solver,
    SolveResult,
    SolveStatistics,
    StageResult,
    Start,
    Termination,
    check,
)


class FirstFitSolver(Solver):
    """A heuristic without a bound of its own: the weakest thing that is still a solver."""

    name = "first-fit"
    summary = "First fit by group; a guest from another distribution."
    features = frozenset({Feature.TIME_LIMIT, Feature.STRICT_PRIORITIES})

    def solve(
        self, problem: AllocationProblem, params: SolveParams, start: Start | None = None
    ) -> SolveResult:
        """Place the groups by priority, then in order."""
        self.require(problem, params)
        self.parse_options(params)
        usage = problem.usage.to_dense()
        left = problem.capacity * (1 + 1e-12)
        x = np.zeros(problem.columns, dtype=np.int64)
        groups = np.arange(problem.groups)
        if problem.priority is not None:
            groups = groups[np.argsort(problem.priority, kind="stable")]
        for group in groups:
            columns = np.flatnonzero(problem.group == group)
            costs = problem.cost[columns].copy()
            if problem.unserved is not None and problem.priority is not None:
                costs[problem.unserved[columns]] = np.inf
            for column in columns[np.argsort(costs, kind="stable")]:
                if np.all(usage[:, column] <= left):
                    left = left - usage[:, column]
                    x[column] = 1
                    break
            else:
                return SolveResult(
                    termination=Termination(Reason.NO_SOLUTION_FOUND, Limit.COMPLETED),
                    statistics=SolveStatistics(solver=self.name, version="1.2.3"),
                )
        unserved = {} if problem.priority is None else check(problem, x).unserved
        return SolveResult(
            termination=Termination(Reason.FEASIBLE, Limit.COMPLETED, "first fit"),
            primal_bound=float(problem.cost @ x),
            x=x,
            # Nothing is proven: no stage can leave less than nothing unserved.
            stages=tuple(
                StageResult(priority=priority, value=weight, dual_bound=0.0)
                for priority, weight in unserved.items()
            ),
            statistics=SolveStatistics(solver=self.name, version="1.2.3"),
        )
