"""The raw results of a comparison on disk: a line per run, written as it ends."""

from __future__ import annotations

import json
import os
from pathlib import Path

from optimizer.experiments.errors import ExperimentError
from optimizer.experiments.protocol import Protocol
from optimizer.experiments.run import RunRow

__all__ = [
    "PROTOCOL_FILE",
    "ROWS_FILE",
    "append_row",
    "read_protocol",
    "read_rows",
    "write_protocol",
]

ROWS_FILE = "runs.jsonl"
PROTOCOL_FILE = "protocol.json"


def read_rows(directory: Path) -> tuple[RunRow, ...]:
    """Return the rows, in the order in which the runs ended; none where there is no file.

    A last line that was cut off, as when the power failed, is not a row: its run counts as not
    made.

    Raises
    ------
    ExperimentError
        If a line is no row.
    """
    path = directory / ROWS_FILE
    if not path.exists():
        return ()
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return tuple(
        RunRow.from_json(line, f"{path}:{number}")
        for number, line in enumerate(lines, start=1)
        if line.strip()
    )


def append_row(directory: Path, row: RunRow) -> None:
    """Add a row; it is on the disk when this returns."""
    path = directory / ROWS_FILE
    with path.open("a+b") as stream:
        _cut_unfinished_line(stream.fileno())
        stream.write(row.to_json().encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def read_protocol(directory: Path) -> Protocol | None:
    """Return the protocol; None where there is none.

    Raises
    ------
    ExperimentError
        If the file is something else.
    """
    path = directory / PROTOCOL_FILE
    if not path.exists():
        return None
    return Protocol.from_json(path.read_text(encoding="utf-8"), str(path))


def write_protocol(directory: Path, protocol: Protocol) -> None:
    """Write the protocol, making the directory where needed.

    Raises
    ------
    ExperimentError
        If it cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        text = json.dumps(protocol.to_document(), indent=2, ensure_ascii=False)
        (directory / PROTOCOL_FILE).write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise ExperimentError(
            f"{directory}: cannot be written: {error.strerror}; give another folder to -o"
        ) from error


def _cut_unfinished_line(descriptor: int) -> None:
    """Drop what follows the last line end."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        os.ftruncate(descriptor, os.pread(descriptor, size, 0).rfind(b"\n") + 1)
