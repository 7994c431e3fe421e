"""CPU time of sizing (service, configuration) pairs, by queue model, beside the Go core's.

python -m benchmarks.sizing_cost --pairs 1000
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np

from queue_models import (
    IterationTiming,
    Lengths,
    Metric,
    PrefillDecodeTiming,
    ServiceProcess,
    Statistic,
    Target,
    Targets,
    get,
)

__all__ = ["sizings_per_second"]

GO_CORE_PER_S = 470.0
"""Sizings per CPU second of inferno's Go core, batch 256 with its queue, measured apart."""

SLOTS = 256
TARGETS = {
    "mean TTFT": (Statistic(Metric.TTFT),),
    "mean TTFT and ITL": (Statistic(Metric.TTFT), Statistic(Metric.ITL)),
    "p99 of TTFT": (Statistic(Metric.TTFT, 99),),
}
# Means are bounded by this [ms], as the models of phases and of iterations can keep them.
BOUNDS = {Metric.TTFT: 1000.0, Metric.ITL: 60.0}
MODELS = (
    "mmc",
    "lps",
    "mm1k-state-dependent",
    "inferno-4p",
    "iteration-level",
    "iteration-level-bound",
)


def _pairs(model: str, count: int, seed: int) -> ServiceProcess:
    """Draw pairs of which no two are equal."""
    rng = np.random.default_rng(seed)

    def drawn(low: float, high: float) -> np.ndarray:
        return np.exp(rng.uniform(np.log(low), np.log(high), count))

    base, decode, prompt = drawn(5, 25), drawn(0.01, 0.16), drawn(0.01, 0.1)
    inputs, outputs = np.rint(drawn(64, 1000)), np.rint(drawn(32, 600))
    if model.startswith("inferno"):
        timing = PrefillDecodeTiming(base, prompt, base, decode)
        return ServiceProcess(timing, inputs, outputs, SLOTS)
    lengths = Lengths.geometric(inputs), Lengths.geometric(outputs)
    if model.startswith("mm"):
        lengths = Lengths.fixed(inputs), Lengths.fixed(outputs)
    return ServiceProcess(IterationTiming(base, decode, prompt, 1e-5), *lengths, SLOTS)


def sizings_per_second(models: tuple[str, ...], pairs: int) -> Iterator[tuple[str, str, float]]:
    """Yield model, targets and sizings per CPU second; what is compiled, is so before."""
    for name in models:
        model, service = get(name), _pairs(name, pairs, 1)
        for words, statistics in TARGETS.items():
            if any(model.refusals(service, statistics)):
                continue
            targets = Targets(tuple(Target(s, BOUNDS[s.metric]) for s in statistics))
            model.max_rate(_pairs(name, 8, 2), targets)
            start = time.process_time()
            model.max_rate(service, targets)
            yield name, words, pairs / (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sizing_cost", description=__doc__)
    parser.add_argument("--pairs", type=int, default=1000, help="pairs sized at once")
    pairs = parser.parse_args().pairs
    if pairs < 1:
        parser.error(f"--pairs {pairs}: must be at least 1")
    print(f"sizings per CPU second, {pairs} pairs, batch {SLOTS}")
    print(f"{'inferno, Go core':24} {'as it sizes':20} {GO_CORE_PER_S:12,.0f}")
    for name, words, speed in sizings_per_second(MODELS, pairs):
        print(f"{name:24} {words:20} {speed:12,.0f} {speed / GO_CORE_PER_S:8.1f} x the Go core")


if __name__ == "__main__":
    main()
