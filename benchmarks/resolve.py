"""What a start saves: `lagrangian` again after the demand of 5 % of the services has changed."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from dataclasses import dataclass

# Services, seeds.
CASES = ((1_000, 30), (10_000, 30), (100_000, 3))
GAP = 1e-5
# Each solve is timed so often, and the least counts.
TIMES = 3


@dataclass(frozen=True)
class Pair:
    """CPU seconds of one re-solve: without a start, and with the result of the solve before."""

    build_s: float
    cold_s: float
    warm_s: float

    @property
    def ratio(self) -> float:
        """How many times less CPU the start makes it."""
        return self.cold_s / self.warm_s


def run(repeats: int) -> None:
    """Print a row per seed, and geometric mean and worst per size; at most 4 x `repeats` seeds.

    A single run is of the smallest size.
    """
    print(f"Re-solve after 5 % of the demands changed, proven gap {GAP:g}, CPU s of `solve`")
    print(f"{'services':>9}{'seed':>5}{'build':>9}{'cold':>9}{'warm':>9}{'ratio':>7}")
    for services, seeds in CASES if repeats > 1 else CASES[:1]:
        pairs = _in_child(services, min(4 * repeats, seeds))
        for seed, pair in enumerate(pairs):
            print(
                f"{services:>9}{seed:>5}{pair.build_s:>9.4f}{pair.cold_s:>9.4f}"
                f"{pair.warm_s:>9.4f}{pair.ratio:>7.2f}"
            )
        cold, warm, ratio = (
            math.exp(sum(map(math.log, values)) / len(pairs))
            for values in (
                [pair.cold_s for pair in pairs],
                [pair.warm_s for pair in pairs],
                [pair.ratio for pair in pairs],
            )
        )
        worst = [max(pair.cold_s for pair in pairs), max(pair.warm_s for pair in pairs)]
        print(f"{'geometric mean':>23}{cold:>9.4f}{warm:>9.4f}{ratio:>7.2f}")
        print(
            f"{'worst':>23}{worst[0]:>9.4f}{worst[1]:>9.4f}{min(p.ratio for p in pairs):>7.2f}",
            flush=True,
        )


def pairs(services: int, seeds: int) -> list[tuple[float, float, float]]:
    """Solve, change and solve again, in this process."""
    import highspy  # noqa: F401 - imports are not timed

    from solvers import AllocationProblem, solve
    from solvers.instances.fleet import fleet, fleet_and_next

    solve(fleet(500), "lagrangian")  # loads what is loaded on first use
    found = []
    for seed in range(seeds):
        before, after = fleet_and_next(services, seed=seed)
        first = solve(before, "lagrangian", relative_gap=GAP)
        begun = time.process_time()
        AllocationProblem(after.cost, after.usage, after.capacity, after.group)
        times = [time.process_time() - begun]
        for start in (None, first):
            runs = []
            for _ in range(TIMES):
                begun = time.process_time()
                result = solve(after, "lagrangian", relative_gap=GAP, start=start)
                runs.append(time.process_time() - begun)
                assert result.relative_gap <= GAP
            times.append(min(runs))
        found.append((times[0], times[1], times[2]))
    return found


def _in_child(services: int, seeds: int) -> list[Pair]:
    code = (
        "import json, sys; from benchmarks import resolve; "
        "print(json.dumps(resolve.pairs(*json.loads(sys.argv[1]))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps([services, seeds])],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    return [Pair(*times) for times in json.loads(done.stdout)]


if __name__ == "__main__":
    run(8)
