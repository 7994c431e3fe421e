"""The series that forecasters are measured on: recorded traces, and seasonal ones that are made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from optimizer.engine import read_trace

TRACES = (
    "azure2023_code_0-40min.csv",
    "azure2023_conv_0-40min.csv",
    "mooncake_conversation_0-40min.jsonl",
    "mooncake_synthetic_0-11min.jsonl",
)
STEPS_S = (10.0, 30.0)
CYCLES = 10


@dataclass(frozen=True, eq=False)
class Series:
    """Values of one series; NaN where a step has none.

    Parameters
    ----------
    group, name
        What is averaged together, and which series it is.
    values
        (steps,).
    season
        Steps of the season; 1 where there is none.
    first, every
        First step that is forecast from, and how many steps lie between two such steps.
    """

    group: str
    name: str
    values: np.ndarray
    season: int
    first: int
    every: int


def recorded(folder: Path) -> Iterator[Series]:
    """Rate, mean prompt and mean output of each step of the shared traces."""
    for name in TRACES:
        trace = read_trace(folder / name)
        for step_s in STEPS_S:
            at = (trace.arrival_ms // (1e3 * step_s)).astype(int)
            steps = int(at.max())  # the last step is cut off
            count = np.bincount(at, minlength=steps + 1)[:steps]
            label = f"{name.partition('_0-')[0]} {step_s:g} s"
            with np.errstate(invalid="ignore"):
                columns = {
                    "rate": count / step_s,
                    "input": np.bincount(at, trace.prompt, steps + 1)[:steps] / count,
                    "output": np.bincount(at, trace.output, steps + 1)[:steps] / count,
                }
            for what, values in columns.items():
                yield Series(f"traces: {what}", f"{label} {what}", values, 1, 12, 3)


def seasonal(seeds: int = 3) -> Iterator[Series]:
    """Loads with a season of 12 or 24 steps: smooth, peaked, drifting, growing, with jumps."""
    shapes = {
        "smooth": lambda phase: np.sin(2 * np.pi * phase),
        "peaked": lambda phase: 3.0 * np.exp(-(((phase - 0.5) / 0.08) ** 2)),
        "working day": lambda phase: 1.5 * ((phase > 0.35) & (phase < 0.75)),
        "two peaks": lambda phase: np.sin(2 * np.pi * phase) + 0.7 * np.sin(4 * np.pi * phase),
    }
    for season in (12, 24):
        for number, (shape, of_phase) in enumerate(shapes.items()):
            for seed in range(seeds):
                rng = np.random.default_rng([season, number, seed])
                steps = np.arange(season * CYCLES)
                level = 50 + np.cumsum(rng.normal(0, 0.5 * (seed == 1), steps.size))
                level = level + 25.0 * (seed == 2) * (steps > 0.6 * steps.size)
                mean = np.maximum(level * (1 + 0.4 * of_phase(steps % season / season)), 1)
                name = f"{shape}, {('steady', 'drifting', 'with a jump')[seed % 3]}"
                values = rng.poisson(mean).astype(float)
                yield Series(
                    f"seasonal {season}", f"{name} {season}", values, season, 2 * season, 5
                )
