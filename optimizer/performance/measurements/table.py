"""A CSV of measurements as named columns; every fault names its row and column."""

from __future__ import annotations

import csv
import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from optimizer.errors import Fault, SpecError
from optimizer.performance.numbers import FloatArray

__all__ = ["MeasurementError", "MeasurementTable", "read_measurements"]

# Other names under which benchmarks write these columns.
_ALIASES = {
    "time_ms": ("iteration_ms",),
    "concurrency": ("batch_size", "requests", "max_concurrency"),
    "input_tokens": ("isl", "prompt_tokens"),
    "output_tokens": ("osl",),
    "ttft_ms": ("silicon_ttft_ms", "mean_ttft_ms"),
    "tpot_ms": ("silicon_tpot_ms", "mean_tpot_ms", "itl_ms", "mean_itl_ms"),
}
# Faults that are listed at most.
_MOST_FAULTS = 20


class MeasurementError(SpecError):
    """A file of measurements cannot be read; carries every fault with its row and column."""


@dataclass(frozen=True)
class MeasurementTable:
    """Rows of measurements as text by column.

    Parameters
    ----------
    source
        Name of the file.
    columns
        Texts by column, under the names of this package; each of the number of rows.
    lines
        Line of the file of each row.
    """

    source: str
    columns: Mapping[str, Sequence[str]]
    lines: Sequence[int]

    def require(self, names: Sequence[str]) -> None:
        """Raise MeasurementError unless the table has these columns."""
        missing = [name for name in names if name not in self.columns]
        if missing:
            raise MeasurementError([self._missing(name) for name in missing])

    def numbers(self, names: Sequence[str], *, positive: Sequence[str] = ()) -> list[FloatArray]:
        """Columns as numbers >= 0, those of `positive` above 0.

        Raises
        ------
        MeasurementError
            With the line and column of every cell that is not such a number.
        """
        self.require(names)
        faults: list[Fault] = []
        values = []
        for name in names:
            cells = zip(self.lines, self.columns[name], strict=True)
            parsed = [_number(text) for text in self.columns[name]]
            wanted = "greater than 0" if name in positive else "0 or more"
            for (line, text), value in zip(cells, parsed, strict=True):
                if value is None or (name in positive and value == 0):
                    fault = f"must be a number, {wanted}"
                    faults.append(Fault(fault, name, repr(text), source=self.source, line=line))
            values.append(np.array([math.nan if v is None else v for v in parsed]))
        if faults:
            raise MeasurementError(sorted(faults, key=lambda f: f.line or 0)[:_MOST_FAULTS])
        return values

    def only_value(self, name: str) -> str | None:
        """Return the value that all rows of a column share; None where they do not."""
        values = set(self.columns.get(name, ()))
        return values.pop() if len(values) == 1 else None

    def _missing(self, name: str) -> Fault:
        near = difflib.get_close_matches(name, self.columns, n=1)
        hint = f"did you mean {near[0]!r}? rename it" if near else ""
        also = ", ".join(_ALIASES.get(name, ()))
        text = f"the column is missing{f' (also accepted: {also})' if also else ''}"
        return Fault(text, name, source=self.source, line=1, hint=hint)


def read_measurements(path: Path | str, text: str | None = None) -> MeasurementTable:
    """Read a CSV file with a header; `text` instead of the file's content.

    Raises
    ------
    MeasurementError
        If the file cannot be read, has no rows, or a row has other cells than the header.
    """
    source = str(path)
    if text is None:
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            fault = Fault(f"cannot be read: {reason}", source=source)
            raise MeasurementError([fault]) from error
    reader = csv.reader(text.splitlines())
    rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    if len(rows) < 2:
        raise MeasurementError(
            [Fault("has no rows", source=source, hint="give a header and a row per measurement")]
        )
    header = [_own_name(name, rows[0][1]) for name in rows[0][1]]
    faults = [
        Fault(f"{len(cells)} cells, the header has {len(header)}", source=source, line=line)
        for line, cells in rows[1:]
        if len(cells) != len(header)
    ]
    faults += [
        Fault("the column comes twice", name, source=source, line=1)
        for name in dict.fromkeys(header)
        if header.count(name) > 1
    ]
    if faults:
        raise MeasurementError(faults[:_MOST_FAULTS])
    columns = {
        name: tuple(cells[place] for _, cells in rows[1:]) for place, name in enumerate(header)
    }
    return MeasurementTable(source, columns, tuple(line for line, _ in rows[1:]))


def _own_name(name: str, header: Sequence[str]) -> str:
    for own, others in _ALIASES.items():
        if name in others and own not in header:
            return own
    return name


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
