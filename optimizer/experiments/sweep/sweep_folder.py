"""A sweep on disk: a journal of what ended, and tables in the order of the scenarios."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optimizer.csv_text import csv_text
from optimizer.experiments.environment import describe_environment
from optimizer.experiments.errors import ExperimentError
from optimizer.experiments.journal import append_line, read_lines
from optimizer.experiments.sweep.sweep_row import SweepRow
from optimizer.experiments.sweep.sweep_spec import SweepSpec

__all__ = ["SweepFolder", "is_sweep_folder", "read_sweep_folder"]

_KIND = "fleetopt.sweep"
_SCHEMA_VERSION = 1
_SWEEP_FILE = "sweep.json"
_JOURNAL_FILE = "finished.jsonl"
_LOCK_FILE = "in-use.lock"
_NOT_IN_TABLES = ("plan",)


@dataclass(frozen=True, slots=True)
class SweepFolder:
    """A folder that is this process's alone while it is open."""

    path: Path

    @classmethod
    @contextmanager
    def opened(cls, path: Path, spec: SweepSpec) -> Iterator[SweepFolder]:
        """Open a folder for a sweep, making it where needed.

        Raises
        ------
        ExperimentError
            If it cannot be written, or another process works on it.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            lock = (path / _LOCK_FILE).open("w")
        except OSError as error:
            raise ExperimentError(
                f"{path}: cannot be written: {error.strerror}; give another folder to -o"
            ) from error
        with lock:
            _lock(lock.fileno(), path)
            folder = cls(path)
            folder._describe(spec)
            yield folder

    def rows(self) -> tuple[SweepRow, ...]:
        """Return what has ended; of a scenario that was tried again, the last.

        Raises
        ------
        ExperimentError
            If a line is no row.
        """
        path = self.path / _JOURNAL_FILE
        rows = (SweepRow.from_json(text, f"{path}:{n}") for n, text in read_lines(path))
        return tuple({row.key: row for row in rows}.values())

    def append(self, row: SweepRow) -> None:
        """Keep a row; it is on the disk when this returns."""
        append_line(self.path / _JOURNAL_FILE, row.to_json())

    def write_tables(self, rows: Sequence[SweepRow]) -> None:
        """Write results.jsonl, results.csv and times.csv, and results.parquet where it can be."""
        lines = [json.dumps(row.result, ensure_ascii=False, allow_nan=False) for row in rows]
        self._write("results.jsonl", "".join(f"{line}\n" for line in lines))
        cells = [_cells(row) for row in rows]
        self._write("results.csv", _table(cells))
        self._write("times.csv", _table([_times(row) for row in rows]))
        _write_parquet(cells, self.path / "results.parquet")

    def _describe(self, spec: SweepSpec) -> None:
        document = {
            "kind": _KIND,
            "schema_version": _SCHEMA_VERSION,
            "sweep": spec.model_dump(mode="json"),
            "environment": describe_environment(),
        }
        self._write(_SWEEP_FILE, json.dumps(document, indent=2, ensure_ascii=False) + "\n")

    def _write(self, name: str, text: str) -> None:
        """Put a whole file in place of an older one: a reader sees one or the other."""
        new = self.path / f"{name}.new"
        new.write_text(text, encoding="utf-8", newline="")
        os.replace(new, self.path / name)


def is_sweep_folder(path: Path) -> bool:
    """Whether a folder is that of a sweep."""
    return (path / _SWEEP_FILE).exists()


def read_sweep_folder(path: Path) -> tuple[SweepSpec, tuple[SweepRow, ...]]:
    """Read a sweep's folder.

    Raises
    ------
    ExperimentError
        If it is not one.
    """
    described = path / _SWEEP_FILE
    try:
        document = json.loads(described.read_text(encoding="utf-8"))
        if document["kind"] != _KIND or document["schema_version"] != _SCHEMA_VERSION:
            raise ValueError(f"kind {_KIND}, schema_version {_SCHEMA_VERSION} are wanted")
        spec = SweepSpec.model_validate_json(json.dumps(document["sweep"]))
    except FileNotFoundError:
        raise ExperimentError(f"{path}: no sweep there: it has no {_SWEEP_FILE}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExperimentError(f"{described}: not a sweep: {error}") from error
    return spec, SweepFolder(path).rows()


def _lock(descriptor: int, path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # where there are no such locks, two sweeps in one folder are not seen
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ExperimentError(
            f"{path}: another sweep is writing there; wait for it, or give another folder to -o"
        ) from None


def _cells(row: SweepRow) -> dict[str, Any]:
    """Flatten a result: a column per axis and accelerator, the unserved as a count."""
    figures = {name: v for name, v in row.figures.items() if name not in _NOT_IN_TABLES}
    cards = figures.pop("cards", {})
    figures["unserved"] = len(figures["unserved"]) if "unserved" in figures else None
    return {
        "key": row.key,
        "fleet": row.fleet,
        **row.labels,
        "status": row.status,
        "error": row.error,
        **figures,
        **{f"cards of {name}": count for name, count in cards.items()},
    }


def _times(row: SweepRow) -> dict[str, Any]:
    return {"key": row.key, "wall_s": row.wall_s, "worker": row.worker}


def _columns(cells: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(column for row in cells for column in row))


def _table(cells: Sequence[dict[str, Any]]) -> str:
    columns = _columns(cells)
    return csv_text(columns, ([row.get(column) for column in columns] for row in cells))


def _write_parquet(cells: Sequence[dict[str, Any]], path: Path) -> None:
    """Write the table for programs that read columns; pyarrow comes with the extra `cluster`."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        return
    columns = {name: [row.get(name) for row in cells] for name in _columns(cells)}
    parquet.write_table(pa.table(columns), path)
