"""Fleets with split loads, storage, transitions, pools and strict priorities, and horizons.

Run by `python -m benchmarks.linked_fleets [SEEDS]`. The horizons here split among ten types in
every period; `benchmarks.horizon` has those of `fleetopt horizon`.
"""

from __future__ import annotations

import os
import sys

from benchmarks.cpu_time import cpu_seconds
from solvers import AllocationProblem, check, solve
from solvers.instances.horizon import horizon
from solvers.instances.split_fleet import split_fleet

# Services, zones, pools, scarce; the gap asked for, the wall-clock limit.
FLEETS = (
    (100, 1, "no", "no", 1e-4, 20.0),
    (100, 1, "yes", "no", 1e-4, 20.0),
    (100, 1, "yes", "yes", 1e-4, 20.0),
    (1_000, 3, "no", "no", 1e-4, 30.0),
    (1_000, 3, "yes", "no", 1e-4, 30.0),
    (1_000, 3, "no", "yes", 1e-3, 30.0),
    (1_000, 3, "yes", "yes", 5e-3, 30.0),
    (1_000, 1, "no", "yes", 1e-3, 30.0),
    (1_000, 1, "yes", "yes", 5e-3, 30.0),
)
HORIZON = (50, 24, 1e-2, 60.0)
_SMALL_HORIZON = (8, 6, 1e-1, 20.0)
_MOST_SEEDS = 3


def run(repeats: int) -> None:
    """Print a row per fleet and seed, at most three of them: stages, gap of the cost, CPU s.

    A single run is of the smallest fleet and a short horizon.
    """
    repeats = min(repeats, _MOST_SEEDS)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print(f"{'instance':<46}{'seed':>5}{'unserved':>18}{'proven':>18}{'gap':>10}{'CPU s':>8}")
    for services, zones, pools, scarce, gap, limit_s in FLEETS if repeats > 1 else FLEETS[:1]:
        for seed in range(repeats):
            name = f"{services} services, {zones} zones, pools {pools}, scarce {scarce}"
            problem = split_fleet(services, seed=seed, zones=zones, pools=pools, scarce=scarce)
            _show(name, seed, problem, gap, limit_s)
    services, periods, gap, limit_s = HORIZON if repeats > 1 else _SMALL_HORIZON
    for seed in range(repeats):
        problem = horizon(services, seed=seed, periods=periods)
        _show(f"{services} services, {periods} periods", seed, problem, gap, limit_s)


def _show(name: str, seed: int, problem: AllocationProblem, gap: float, limit_s: float) -> None:
    before = cpu_seconds()
    result = solve(problem, time_limit_s=limit_s, relative_gap=gap)
    cpu_s = cpu_seconds() - before
    values = " ".join(f"{stage.value:g}" for stage in result.stages)
    proven = " ".join(f"{stage.dual_bound:g}" for stage in result.stages)
    report = None if result.x is None else check(problem, result.x, None, result.rates, result.z)
    verdict = "" if report is not None and report.feasible else "  not verified"
    print(
        f"{name:<46}{seed:>5}{values:>18}{proven:>18}{result.relative_gap:>10.1e}{cpu_s:>8.1f}"
        f"{verdict}",
        flush=True,
    )


if __name__ == "__main__":
    run(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
