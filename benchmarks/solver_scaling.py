"""How `lagrangian` grows with the fleet; `highs` and `convex` beside it while they finish."""

from __future__ import annotations

import json
import math
import os
import resource
import subprocess
import sys
from dataclasses import dataclass

from benchmarks.cpu_time import cpu_seconds

# Family, services, seeds, gap asked for, whether the rivals are run beside it.
CASES = (
    ("fleet", 100, 10, 0.0, True),
    ("fleet", 1_000, 10, 1e-5, True),
    ("fleet", 10_000, 5, 1e-5, True),
    ("fleet", 100_000, 3, 5e-6, False),
    ("fleet", 1_000_000, 2, 1e-6, False),
    ("lumpy", 1_000, 10, 1e-5, True),
    ("lumpy", 10_000, 5, 2e-4, True),
    ("two-resource", 1_000, 5, 1e-4, True),
    ("two-resource", 10_000, 3, 1e-4, True),
    ("many-rows", 1_000, 5, 1e-4, True),
    ("many-rows", 10_000, 3, 1e-4, True),
)
# Large enough that every family has all its rows.
_SERVICES_OF_ONE_RUN = 100
RIVALS = ("highs", "convex")
TIME_LIMIT_S = 60.0


@dataclass(frozen=True)
class Run:
    """One solve in a process of its own: CPU without imports and building, memory with both."""

    gap: float
    cpu_s: float
    memory_mb: float


def run(repeats: int) -> None:
    """Print a row per family, size and seed, and a mean per size; at most `repeats` seeds each.

    A single run is of small fleets only.
    """
    print(
        f"Proven gap, CPU s of the solve, peak MB of the process; limit {TIME_LIMIT_S:.0f} s each"
    )
    rivals = "".join(f"{f'{name} gap':>12}{'CPU':>8}{'MB':>6}" for name in RIVALS)
    print(
        f"{'family':<13}{'services':>9}{'seed':>5}{'asked':>9}{'gap':>10}{'CPU':>8}{'MB':>6}{rivals}"
    )
    for family, services, seeds, asked, with_rival in CASES if repeats > 1 else _small_cases():
        runs: list[Run] = []
        rival_runs: dict[str, list[Run]] = {name: [] for name in RIVALS if with_rival}
        for seed in range(min(repeats, seeds)):
            mine = _in_child("lagrangian", family, services, seed, asked)
            runs.append(mine)
            row = f"{family:<13}{services:>9}{seed:>5}{asked:>9.0e}{_show(mine, 10)}"
            for name, done in rival_runs.items():
                rival = _in_child(name, family, services, seed, asked)
                done.append(rival)
                row += _show(rival, 12)
            print(row, flush=True)
        means = f"{'':<13}{'geometric mean':>33}{_mean(runs):>13.3f}"
        print(means + "".join(f"{_mean(done):>26.3f}" for done in rival_runs.values()))


def _small_cases() -> list[tuple[str, int, int, float, bool]]:
    """Return a small case of every family."""
    families = dict.fromkeys(family for family, *_ in CASES)
    return [(family, _SERVICES_OF_ONE_RUN, 1, 1e-3, True) for family in families]


def solve_one(solver: str, family: str, services: int, seed: int, gap: float) -> Run:
    """Solve one instance in this process."""
    import highspy  # noqa: F401 - imports are not timed
    import scipy.sparse  # noqa: F401

    from solvers.base import SolveParams
    from solvers.convex import ConvexSolver
    from solvers.highs import HighsSolver
    from solvers.instances import generate
    from solvers.lagrangian import LagrangianSolver

    problem = generate(family, services, seed=seed)
    chosen = next(
        s for s in (LagrangianSolver(), HighsSolver(), ConvexSolver()) if s.name == solver
    )
    if solver == "convex":
        import cvxpy  # noqa: F401
    # Its relaxation ends by itself; under a limit it would import cvxpy again, elsewhere.
    limit = None if solver == "convex" else TIME_LIMIT_S
    params = SolveParams(relative_gap=gap, time_limit_s=limit)
    before = cpu_seconds()
    result = chosen.solve(problem, params)
    cpu_s = cpu_seconds() - before
    peak_kb = max(usage.ru_maxrss for usage in _usages())
    return Run(result.relative_gap, cpu_s, peak_kb / 1e3)


def _in_child(solver: str, family: str, services: int, seed: int, gap: float) -> Run:
    code = (
        "import json, sys; from dataclasses import asdict; from benchmarks import solver_scaling; "
        "print(json.dumps(asdict(solver_scaling.solve_one(*json.loads(sys.argv[1])))))"
    )
    arguments = json.dumps([solver, family, services, seed, gap])
    done = subprocess.run(
        [sys.executable, "-c", code, arguments],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    return Run(**json.loads(done.stdout))


def _usages() -> list[resource.struct_rusage]:
    """What this process used, and those it started and waited for."""
    return [resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]


def _show(run: Run, width: int) -> str:
    return f"{run.gap:>{width}.1e}{run.cpu_s:>8.2f}{run.memory_mb:>6.0f}"


def _mean(runs: list[Run]) -> float:
    return math.exp(sum(math.log(max(run.cpu_s, 1e-3)) for run in runs) / len(runs))
