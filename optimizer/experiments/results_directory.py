"""The raw results of a comparison on disk: a line per run, written as it ends."""

from __future__ import annotations

import json
from pathlib import Path

from optimizer.experiments.errors import ExperimentError
from optimizer.experiments.journal import append_line, read_lines
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
    return tuple(RunRow.from_json(line, f"{path}:{number}") for number, line in read_lines(path))


def append_row(directory: Path, row: RunRow) -> None:
    """Add a row; it is on the disk when this returns."""
    append_line(directory / ROWS_FILE, row.to_json())


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
