"""Problems and back ends that several tests use."""

from __future__ import annotations

import numpy as np

from solvers import AllocationProblem
from solvers.base import Feature, SolveParams, Solver, Start
from solvers.problem import IntArray
from solvers.result import Limit, Reason, SolveResult, Termination


def regret_trap() -> AllocationProblem:
    """Three groups, optimum 70; capacity-free bound 40."""
    return AllocationProblem(
        [20, 50, 10, 35, 10, 35],
        [[2, 0, 1, 0, 1, 0], [0, 10, 0, 7, 0, 7]],
        [2, 100],
        [0, 0, 1, 1, 2, 2],
    )


def strict_problem(parts: bool = False) -> AllocationProblem:
    """Four groups of priorities 1, 1, 2, 3 with 1, 2, 2, 4 units at 10 each; 4 units there are."""
    units = np.array([1.0, 2.0, 2.0, 4.0])
    serving = np.array([True, False] * 4)
    cost, usage = np.zeros(8), np.zeros((1, 8))
    cost[serving], usage[0, serving] = 10 * units, units
    number = np.ones(8, dtype=np.int64)
    number[serving] = units.astype(np.int64)
    return AllocationProblem(
        cost, usage, [4], np.repeat(np.arange(4), 2), priority=[1, 1, 2, 3], unserved=~serving,
        parts=number if parts else None,
    )  # fmt: skip


def dense_problem(groups: int, options: int, rows: int, seed: int) -> AllocationProblem:
    """A classical dense MMKP, as profit: hard to prove, easy to fill."""
    random = np.random.default_rng(seed)
    n = groups * options
    usage = random.integers(1, 10, (rows, n)).astype(float)
    profit = random.integers(1, 100, n).astype(float)
    capacity = np.full(rows, np.round(groups * 4.2))
    return AllocationProblem(-profit, usage, capacity, np.repeat(np.arange(groups), options))


class ScriptedSolver(Solver):
    """A guest without warm start or threads that takes each group's first column."""

    name = "scripted"
    summary = "first columns"
    features = frozenset({Feature.TIME_LIMIT})

    def __init__(self) -> None:
        self.starts: list[Start | None] = []

    def solve(
        self, problem: AllocationProblem, params: SolveParams, start: Start | None = None
    ) -> SolveResult:
        """Take the first column of each group."""
        self.require(problem, params)
        self.parse_options(params)
        self.starts.append(start)
        x: IntArray = np.zeros(problem.columns, dtype=np.int64)
        x[np.unique(problem.group, return_index=True)[1]] = 1
        return SolveResult(
            termination=Termination(Reason.FEASIBLE, Limit.COMPLETED),
            primal_bound=float(problem.cost @ x),
            x=x,
        )
