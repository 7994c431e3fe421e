"""Best-known values of instances, from a file or from the comparison itself."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from optimizer.experiments.errors import ExperimentError
from optimizer.experiments.run import RunRow

__all__ = ["best_values", "gap_to_best", "read_best_known"]

_VALUE_COLUMNS = ("value", "reference_value")

# As in `solvers.relative_gap`: a best value of 0 makes no gap infinite.
_SMALLEST_REFERENCE = 1e-9


def read_best_known(path: str | Path) -> dict[str, float]:
    """Return the best-known value by instance, in the instance's own sense.

    Parameters
    ----------
    path
        CSV with a header; columns `instance`, and `value` or `reference_value`. Other columns, and
        rows without a value, are not read.

    Raises
    ------
    ExperimentError
        If the file cannot be read, lacks a column, or a value is no finite number.
    """
    try:
        with Path(path).open(encoding="utf-8", newline="") as stream:
            table = csv.DictReader(stream)
            names = table.fieldnames or []
            column = next((name for name in _VALUE_COLUMNS if name in names), None)
            if column is None or "instance" not in names:
                raise ExperimentError(
                    f"{path}: columns `instance` and `value` are wanted, it has: {', '.join(names)}"
                )
            return {
                row["instance"]: _value(row[column], f"{path}:{table.line_num}")
                for row in table
                if row[column]
            }
    except UnicodeDecodeError as error:
        raise ExperimentError(f"{path}: not a text file: {error}") from error
    except OSError as error:
        raise ExperimentError(f"{path}: cannot be read: {error.strerror}") from error


def best_values(rows: Iterable[RunRow], known: Mapping[str, float]) -> dict[str, float]:
    """Return what the gaps of each instance refer to: the known value, else the best one found."""
    best: dict[str, float] = {}
    for row in rows:
        if row.instance in known:
            best[row.instance] = known[row.instance]
        elif row.value is not None:
            better = max if row.maximise else min
            best[row.instance] = better(best.get(row.instance, row.value), row.value)
    return best


def gap_to_best(row: RunRow, best: Mapping[str, float]) -> float | None:
    """Return how far the value is from the best one, relative to it; negative when it is better.

    None without a value.
    """
    if row.value is None or row.instance not in best:
        return None
    reference = best[row.instance]
    worse = reference - row.value if row.maximise else row.value - reference
    return worse / max(abs(reference), _SMALLEST_REFERENCE)


def _value(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ExperimentError(f"{where}: '{text}': a finite number is wanted")
    return value
