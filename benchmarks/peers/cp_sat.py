"""The plain model in CP-SAT; its coefficients are whole numbers, as those of these families are."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np

from benchmarks.peers.found import Found, matrix
from solvers import AllocationProblem


def find(problem: AllocationProblem, limit_s: float, gap: float) -> Found:
    """Refuses problems whose figures are not whole."""
    from ortools.sat.python import cp_model

    usage = matrix(problem).tocsr()
    for figures in (problem.cost, usage.data):
        if np.any(figures != np.rint(figures)):
            raise ValueError("the model has figures that are not whole")
    model = cp_model.CpModel()
    x = [model.new_bool_var("") for _ in range(problem.columns)]
    members: dict[int, list[cp_model.IntVar]] = {}
    for v, g in zip(x, problem.group, strict=True):
        members.setdefault(int(g), []).append(v)
    for group in members.values():
        model.add_exactly_one(group)
    for i in range(problem.rows):
        row = usage[[i]].tocoo()
        use = cp_model.LinearExpr.weighted_sum(
            [x[j] for j in row.coords[-1]], [int(a) for a in row.data]
        )
        model.add(use <= int(problem.capacity[i]))
    model.minimize(cp_model.LinearExpr.weighted_sum(x, [int(c) for c in problem.cost]))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.max_time_in_seconds = limit_s
    solver.parameters.relative_gap_limit = gap
    status = solver.solve(model)
    found = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    return Found(
        solver.objective_value if found else None,
        solver.best_objective_bound,
        f"CP-SAT {version('ortools')}",
    )
