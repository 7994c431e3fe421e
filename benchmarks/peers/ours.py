"""Ours, as `auto` chooses."""

from __future__ import annotations

from importlib.metadata import version

from benchmarks.peers.found import Found
from solvers import AllocationProblem, solve


def find(problem: AllocationProblem, limit_s: float, gap: float) -> Found:
    """Solve with one thread."""
    result = solve(problem, "auto", time_limit_s=limit_s, relative_gap=gap, threads=1)
    made_by = f"fleetopt {version('fleetopt')}, {result.statistics.solver}"
    return Found(result.primal_bound, result.dual_bound, made_by)
