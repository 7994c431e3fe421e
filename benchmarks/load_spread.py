"""Fleets whose loads are means and deviations: the gap of second-order cones against CPU time.

    python -m benchmarks.load_spread [SEEDS]

`solvers.instances.fleet`, capacities raised by a fifth; every service's usage of every type has a
deviation of 5 to 40 % of its mean, its own, and one of 3 % that all services share. Rows are kept
with a probability of 95 %. One thread.
"""

from __future__ import annotations

import dataclasses
import os
import sys

import numpy as np

from benchmarks.cpu_time import cpu_seconds
from solvers import AllocationProblem, Chance, check, solve
from solvers.instances.fleet import fleet
from solvers.sparse_columns import SparseColumns

# Services, the wall-clock limit; the gap asked for.
_FLEETS = ((100, 15.0), (1_000, 15.0))
_SMALL = ((20, 15.0),)
_GAP = 1e-3
_MOST_SEEDS = 3
# Quantile of the normal distribution at 95 %; deviations of services, and of all together.
_QUANTILE, _OWN, _COMMON = 1.645, (0.05, 0.4), 0.03
_ROOM = 1.2


def uncertain_fleet(services: int, seed: int) -> AllocationProblem:
    """Return the fleet."""
    rng = np.random.default_rng([seed, services])
    problem = fleet(services, seed=seed)
    usage = problem.usage
    share = rng.uniform(*_OWN, services)
    own = usage.rows * services + problem.group[usage.columns]
    spread = SparseColumns.stack([
        SparseColumns.from_triplets(
            (problem.rows * services, problem.columns), rows=own, columns=usage.columns,
            values=_QUANTILE * share[problem.group[usage.columns]] * usage.values,
        ),
        usage.scaled_rows(np.arange(problem.rows), np.full(problem.rows, _QUANTILE * _COMMON)),
    ])  # fmt: skip
    moved = np.concatenate([np.repeat(np.arange(problem.rows), services), np.arange(problem.rows)])
    return dataclasses.replace(
        problem, capacity=np.floor(_ROOM * problem.capacity), chance=Chance(spread, moved)
    )


def run(repeats: int) -> None:
    """Print a row per fleet and seed, at most three of them. A single run is of a small one."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print(f"{'services':>9}{'seed':>5}{'cost':>14}{'gap':>10}{'CPU s':>8}")
    for services, limit_s in _FLEETS if repeats > 1 else _SMALL:
        for seed in range(min(repeats, _MOST_SEEDS)):
            problem = uncertain_fleet(services, seed)
            before = cpu_seconds()
            result = solve(problem, time_limit_s=limit_s, relative_gap=_GAP)
            cpu_s = cpu_seconds() - before
            kept = result.x is not None and check(problem, result.x).feasible
            print(
                f"{services:>9}{seed:>5}{result.primal_bound:>14,.0f}{result.relative_gap:>10.1e}"
                f"{cpu_s:>8.1f}{'' if kept else '  not verified'}",
                flush=True,
            )


if __name__ == "__main__":
    run(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
