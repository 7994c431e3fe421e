"""One run in a process of its own: what was asked comes as arguments, a line of JSON goes out.

python -m benchmarks.peers.one_run PEER INSTANCE LIMIT_S
"""

from __future__ import annotations

import json
import resource
import sys
import time
from importlib import import_module
from pathlib import Path

from benchmarks.peers import estimates
from benchmarks.peers.found import Found

# Asked of everyone who can be asked.
GAP = 1e-4
MIP = ("ours", "highs", "cbc", "cp_sat", "scip")


def cpu_s() -> float:
    """CPU seconds of this process and of the children that ended."""
    return sum(
        use.ru_utime + use.ru_stime
        for use in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def answer(peer: str, instance: str, limit_s: float) -> tuple[Found, float, float]:
    """Solve once to load everything, on something tiny, then for the figures."""
    if instance == "M/M/8":
        from benchmarks.peers import queues

        run = queues.simulated if peer == "ciw" else queues.closed_form
        if peer == "ours":
            run()
        began, wall = cpu_s(), time.perf_counter()
        return run(), cpu_s() - began, time.perf_counter() - wall
    if instance in estimates.CASES:
        began, wall = cpu_s(), time.perf_counter()
        found = estimates.ours(instance) if peer == "ours" else estimates.aiconfigurator(instance)
        return found, cpu_s() - began, time.perf_counter() - wall
    if instance.endswith(".json"):
        from benchmarks.peers import slices

        path = Path(instance)
        of_slices = slices.published if peer == "melange" else slices.ours
        of_slices(path.with_name("release_example.json"), limit_s)
        began, wall = cpu_s(), time.perf_counter()
        return of_slices(path, limit_s), cpu_s() - began, time.perf_counter() - wall
    from solvers.instances import generate

    find = import_module(f"benchmarks.peers.{peer}").find
    family, groups, seed = instance.split(":")
    find(generate(family, 10, seed=1), limit_s, GAP)
    problem = generate(family, int(groups), seed=int(seed))
    began, wall = cpu_s(), time.perf_counter()
    return find(problem, limit_s, GAP), cpu_s() - began, time.perf_counter() - wall


def main() -> None:
    peer, instance, limit_s = sys.argv[1:]
    found, cpu, wall = answer(peer, instance, float(limit_s))
    print(
        json.dumps(
            {
                "value": found.value,
                "bound": found.bound,
                "version": found.version,
                "detail": found.detail,
                "cpu_s": round(cpu, 6),
                "wall_s": round(wall, 6),
            }
        )
    )


if __name__ == "__main__":
    main()
