"""Decisions, written down before they are carried out, so that a restart goes on with them."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any, Protocol

from optimizer.control.errors import JournalError

__all__ = ["FileJournal", "Journal", "MemoryJournal"]

_VERSION = 2


class Journal(Protocol):
    """Holds the last state written."""

    def write(self, state: dict[str, Any]) -> None:
        """Replace the state; all of it is written or nothing.

        Raises
        ------
        JournalError
            If it could not be written.
        """

    def read(self) -> dict[str, Any] | None:
        """Return the state; None where there is none yet.

        Raises
        ------
        JournalError
            If there is one that cannot be read.
        """


class MemoryJournal:
    """Forgets with the process; for tests and the laboratory."""

    def __init__(self) -> None:
        self._text: str | None = None

    def write(self, state: dict[str, Any]) -> None:
        """Replace the state."""
        self._text = json.dumps({"schema_version": _VERSION, **state})

    def read(self) -> dict[str, Any] | None:
        """Return the state."""
        return None if self._text is None else json.loads(self._text)


class FileJournal:
    """A JSON file that is replaced as a whole.

    A process that is killed while it writes leaves the file as it was.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def write(self, state: dict[str, Any]) -> None:
        """Write beside the file, bring it to the disk, then put it in its place."""
        text = json.dumps({"schema_version": _VERSION, **state})
        try:
            with tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", dir=self.path.parent, prefix=self.path.name, delete=False
            ) as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(file.name, self.path)
        except OSError as error:
            raise JournalError(
                f"{self.path}: cannot be written: {error.strerror}; nothing is changed without it"
            ) from error

    def read(self) -> dict[str, Any] | None:
        """Return the state."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise JournalError(f"{self.path}: cannot be read: {error}") from error
        try:
            state = json.loads(text)
            if state["schema_version"] != _VERSION:
                raise ValueError(f"schema_version {state['schema_version']}, not {_VERSION}")
        except (ValueError, KeyError, TypeError) as error:
            raise JournalError(
                f"{self.path}: is no state of a controller: {error}; move it away to begin anew"
            ) from error
        return dict(state)
