"""A file of lines that only grows: each is on the disk when it has been written."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["append_line", "read_lines"]


def append_line(path: Path, line: str) -> None:
    """Add a line; it is on the disk when this returns.

    A last line that was cut off, as when the power failed, is dropped before.
    """
    with path.open("a+b") as stream:
        _cut_unfinished_line(stream.fileno())
        stream.write(line.encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def read_lines(path: Path) -> tuple[tuple[int, str], ...]:
    """Return the whole lines that hold something, with their numbers; none where there is no file.

    A last line that was cut off is left out.
    """
    if not path.exists():
        return ()
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    return tuple((number, line) for number, line in enumerate(lines, start=1) if line.strip())


def _cut_unfinished_line(descriptor: int) -> None:
    """Drop what follows the last line end."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        os.ftruncate(descriptor, os.pread(descriptor, size, 0).rfind(b"\n") + 1)
