"""Something wrong with a document, before it is known on which line it stands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

__all__ = ["MOST_FINDINGS", "NO_VALUE", "UNREADABLE", "Absent", "Finding", "Path", "repeated_key"]

Path: TypeAlias = tuple[str | int, ...]
"""Keys and list positions that lead from the whole document to one of its parts."""


MOST_FINDINGS = 1000
"""Findings of one document that are described; the rest are counted."""


class Absent(Enum):
    """Stands where there is no value."""

    NO_VALUE = "no value"
    UNREADABLE = "unreadable"


NO_VALUE: Final = Absent.NO_VALUE
"""Nothing came, or nothing is worth showing."""

UNREADABLE: Final = Absent.UNREADABLE
"""Something came that the reader refused and has reported; later checks pass over it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a document.

    Parameters
    ----------
    path
        Where.
    message
        What is wrong, and what is wanted.
    value
        What came.
    hint
        What to try.
    line
        Line, from 1, where it differs from the line of `path` or the path alone cannot tell it.
    """

    path: Path
    message: str
    value: object = NO_VALUE
    hint: str = ""
    line: int | None = None


def repeated_key(path: Path, first: int, line: int) -> Finding:
    """Word the finding for a key that stands twice in one mapping, on the lines given."""
    return Finding(
        path,
        f"the key stands twice, on lines {first} and {line}"
        if first != line
        else f"the key stands twice on line {line}",
        hint="keep one of them",
        line=line,
    )
