"""Results as CSV."""

from __future__ import annotations

import csv
import io

from optimizer.experiments import (
    performance_profile,
    profiles_csv,
    rows_csv,
    summarise,
    summary_csv,
)
from tests.optimizer.experiments.rows import row

ROWS = [
    row("a", "x", 110.0, cpu_s=2.0, notes=("slow, but", "sure")),
    row("a", "y", 100.0, cpu_s=1.0),
]


def read(text: str) -> list[dict[str, str]]:
    """Lines of a CSV by column."""
    return list(csv.DictReader(io.StringIO(text)))


def test_runs_have_a_line_each_with_their_gap_to_the_best() -> None:
    """All fields; unknown ones are empty."""
    first, second = read(rows_csv(ROWS, {}))
    assert (first["instance"], first["solver"], first["value"]) == ("a", "x", "110.0")
    assert (first["best_value"], first["gap_to_best"]) == ("100.0", "0.1")
    assert first["notes"] == "slow, but; sure"
    assert first["bound"] == ""
    assert second["gap_to_best"] == "0.0"
    assert read(rows_csv(ROWS, {"a": 50.0}))[1]["gap_to_best"] == "1.0"


def test_cells_and_steps_have_a_line_each() -> None:
    """The table and the curves as numbers."""
    x, y = read(summary_csv(summarise(ROWS, time_limit_s=9.0)))
    assert (x["line"], x["solver"], x["runs"], x["time_ratio"]) == ("family", "x", "1", "1.0")
    assert float(y["time_ratio"]) < 1
    steps = read(profiles_csv(performance_profile(ROWS)))
    assert [(step["solver"], step["ratio"]) for step in steps] == [("x", "2.0"), ("y", "1.0")]
