"""The rows, the table and the profiles of a comparison as CSV."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from optimizer.csv_text import csv_text
from optimizer.experiments.best_known import best_values, gap_to_best
from optimizer.experiments.performance_profile import Profile
from optimizer.experiments.run import RunRow
from optimizer.experiments.summary import Cell, Summary

__all__ = ["profiles_csv", "rows_csv", "summary_csv"]

# One line per run says what came out; how it came about is in the raw results.
_LEFT_OUT = ("progress",)


def rows_csv(rows: Sequence[RunRow], known: Mapping[str, float]) -> str:
    """Return a line per run: all fields of `RunRow`, best value, gap to it. Empty: unknown."""
    best = best_values(rows, known)
    names = [f.name for f in dataclasses.fields(RunRow) if f.name not in _LEFT_OUT]
    lines = []
    for row in rows:
        values = {name: getattr(row, name) for name in names}
        values["notes"] = "; ".join(row.notes)
        lines.append([*values.values(), best.get(row.instance), gap_to_best(row, best)])
    return csv_text([*names, "best_value", "gap_to_best"], lines)


def summary_csv(summary: Summary) -> str:
    """Return a line per cell of the table."""
    names = [f.name for f in dataclasses.fields(Cell)]
    cells = (summary.cells[line, solver] for line in summary.lines for solver in summary.solvers)
    return csv_text(names, ([getattr(cell, name) for name in names] for cell in cells))


def profiles_csv(profiles: Sequence[Profile]) -> str:
    """Return a line per step of each curve."""
    return csv_text(
        ["solver", "ratio", "fraction_solved"],
        (
            [profile.solver, ratio, fraction]
            for profile in profiles
            for ratio, fraction in zip(profile.ratios, profile.fractions, strict=True)
        ),
    )
