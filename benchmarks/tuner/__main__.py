"""How fast and how exactly the tuners learn: every figure of the docs in one table.

python -m benchmarks.tuner [--seeds N] [--worlds NAME,...] [--csv FILE]

A world is a replica of known timing under a queue model, which the tuner is given; `simulator` is
the engine, which the queue model only approximates. Errors are those of TTFT and ITL predicted for
60 loads that were not observed, means over the seeds, with the worst seed in brackets.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.tuner.engine import simulated_errors
from benchmarks.tuner.worlds import WORLDS, World
from optimizer.performance.tuner import Tuner, get
from optimizer.performance.tuner.serving_prediction import ServingPredictor

OBSERVATIONS, AFTER_CHANGE, CONSTANT = 150, 30, 1000
FEW = 5
CHANGE = 1.6
RECOVERED = 0.1
RUNS, PER_RUN = 150, 10

Row = tuple[str, str, str, float, float]


def main(argv: list[str]) -> None:
    options = _options(argv)
    rows = []
    for row in _rows(options.worlds.split(","), options.seeds):
        print(f"{row[0]:18}{row[1]:34}{row[2]:22}{row[3]:10.4g}  [{row[4]:.4g}]", flush=True)
        rows.append(row)
    if options.csv:
        with Path(options.csv).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("world", "case", "figure", "mean", "worst"))
            writer.writerows((*row[:3], f"{row[3]:.4g}", f"{row[4]:.4g}") for row in rows)


def _options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tuner")
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--worlds", default=",".join((*WORLDS, "steps", "simulator")))
    parser.add_argument("--csv", default="")
    return parser.parse_args(argv)


def _rows(names: list[str], seeds: int) -> Iterator[Row]:
    for name in names:
        if name == "steps":
            yield from _of_steps(WORLDS["state-dependent"], seeds)
        elif name == "simulator":
            for figure, errors in simulated_errors(min(seeds, 4)).items():
                yield "simulator", "mismatched model", figure, *_mean_worst(errors)
        else:
            yield from _of_serving(name, WORLDS[name], seeds)


def _of_serving(name: str, world: World, seeds: int) -> Iterator[Row]:
    for case, outliers in (("5 % noise", 0.0), ("5 % noise, 10 % outliers", 0.1)):
        early, steady, recovery = [], [], []
        for seed in range(seeds):
            tuner = get("extended-kalman")(world.replica, world.off(seed))
            for i, seen in enumerate(world.observations(OBSERVATIONS, seed, outliers=outliers)):
                tuner.update(seen)
                if i + 1 == FEW:
                    early.append(world.errors(tuner))
            steady.append(world.errors(tuner))
            after = world.observations(
                AFTER_CHANGE, 100 + seed, CHANGE, outliers=outliers, start_s=1e4
            )
            recovery.append(
                _recovery(tuner, after, lambda t: float(np.max(world.errors(t, CHANGE))))
            )
        for label, errors in ((f"error after {FEW}", early), ("steady error", steady)):
            for i, time_name in enumerate(("TTFT", "ITL")):
                yield name, case, f"{label}, {time_name}", *_mean_worst([e[i] for e in errors])
        yield name, case, f"x{CHANGE}: recovered in", *_mean_worst(recovery)
    yield (
        name,
        "constant load",
        "parameters moved",
        *_mean_worst([_wandered(world, seed) for seed in range(min(seeds, 4))]),
    )
    yield name, "overhead", "microseconds", *_mean_worst([_overhead_us(world)])


def _of_steps(world: World, seeds: int) -> Iterator[Row]:
    for case, outliers in (("5 % noise", 0.0), ("5 % noise, 10 % outliers", 0.1)):
        early, steady, recovery = [], [], []
        for seed in range(seeds):
            tuner = get("least-squares")(world.replica, world.off(seed))
            for i, seen in enumerate(world.steps(OBSERVATIONS, seed, outliers=outliers)):
                tuner.update(seen)
                if i + 1 == FEW:
                    early.append(world.step_error(tuner))
            steady.append(world.step_error(tuner))
            after = world.steps(AFTER_CHANGE, 100 + seed, CHANGE, outliers=outliers)
            recovery.append(_recovery(tuner, after, lambda t: world.step_error(t, CHANGE)))
        yield "steps", case, f"error after {FEW}", *_mean_worst(early)
        yield "steps", case, "steady error", *_mean_worst(steady)
        yield "steps", case, f"x{CHANGE}: recovered in", *_mean_worst(recovery)


def _recovery(tuner: Tuner, after: Iterator[object], error: Callable[[Tuner], float]) -> float:
    """Observations until the error is small for good."""
    late = 0
    for i, seen in enumerate(after):
        tuner.update(seen)  # type: ignore[arg-type]
        if error(tuner) > RECOVERED:
            late = i + 1
    return float(late + 1)


def _wandered(world: World, seed: int) -> float:
    """Furthest that a parameter's logarithm moves after 50 of 1000 alike observations."""
    tuner = get("extended-kalman")(world.replica, world.off(seed))
    logs = []
    for seen in world.observations(CONSTANT, seed, constant=True):
        tuner.update(seen)
        assert tuner.learnt is not None
        logs.append(np.log(tuner.learnt.values))
    settled = np.array(logs[50:])
    return float(np.max(np.abs(settled - settled[0])))


def _overhead_us(world: World) -> float:
    """CPU time of an update beside the queue model's evaluations.

    These answer with what they answered once; the least of many short runs counts, which a busy
    machine disturbs least.
    """
    evaluate = ServingPredictor._evaluated
    answers: dict[tuple[int, ...], object] = {}

    def answered(self: ServingPredictor, states: object, loads: object, rates: object) -> object:
        shape = rates.shape  # type: ignore[attr-defined]
        if shape not in answers:
            answers[shape] = evaluate(self, states, loads, rates)  # type: ignore[arg-type]
        return answers[shape]

    tuner = get("extended-kalman")(world.replica, world.off(0))
    seen = list(world.observations(200, 0))
    for one in seen:
        tuner.update(one)
    ServingPredictor._evaluated = answered  # type: ignore[assignment, method-assign]
    least = float("inf")
    for run in range(RUNS):
        again = [replace(seen[-1], time_s=1e3 + PER_RUN * run + i) for i in range(PER_RUN)]
        begin = time.process_time()
        for one in again:
            tuner.update(one)
        least = min(least, (time.process_time() - begin) / PER_RUN)
    ServingPredictor._evaluated = evaluate  # type: ignore[method-assign]
    return 1e6 * least


def _mean_worst(values: list[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.max(values))


if __name__ == "__main__":
    main(sys.argv[1:])
