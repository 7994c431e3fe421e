"""Run every benchmark and print its table; `--once` runs small cases of each a single time."""

from __future__ import annotations

import argparse
import platform
import sys
from importlib.metadata import version

from benchmarks import (
    candidate_building,
    capacity_grid,
    horizon,
    kv_loading,
    large_fleet,
    linked_fleets,
    load_spread,
    resolve,
    solver_scaling,
    sweep_speed,
    whole_process,
)
from benchmarks.engine_speed import __main__ as engine_speed


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--once", action="store_true", help="one run each: shows that none rots")
    parser.add_argument("--repeats", type=int, default=7, help="timed runs of each case")
    arguments = parser.parse_args()
    repeats = 1 if arguments.once else arguments.repeats
    packages = ("fleetopt", "numpy", "scipy", "highspy", "pulp", "ortools")
    print(f"Python {platform.python_version()}, {platform.machine()}, one thread;", end=" ")
    print(", ".join(f"{name} {version(name)}" for name in packages))
    print(f"CPU seconds, median (least) of {repeats} run(s) after one warm-up\n")
    for benchmark in (
        candidate_building,
        capacity_grid,
        kv_loading,
        whole_process,
        solver_scaling,
        resolve,
        sweep_speed,
        large_fleet,
        linked_fleets,
        load_spread,
        horizon,
        engine_speed,
    ):
        benchmark.run(repeats)
        print()
    sys.stdout.flush()


if __name__ == "__main__":
    main()
