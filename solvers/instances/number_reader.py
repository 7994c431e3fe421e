"""The numbers of a text file one after another, with the place of the one that is wrong."""

from __future__ import annotations

import math

import numpy as np

from solvers.errors import ProblemError
from solvers.problem import FloatArray

__all__ = ["NumberReader"]


class NumberReader:
    """Numbers between white space, in order; line breaks carry no meaning.

    Parameters
    ----------
    text
        What to read.
    where
        Named in errors, such as the file's name.
    """

    def __init__(self, text: str, where: str) -> None:
        self._lines = text
        self._words = text.split()
        self._next = 0
        self._where = where

    @property
    def at_end(self) -> bool:
        """Whether nothing is left."""
        return self._next >= len(self._words)

    def numbers(self, count: int, what: str) -> FloatArray:
        """Return the next numbers, (count,).

        Raises
        ------
        ProblemError
            If the text ends before, or a word is no finite number; says where, and what is
            wanted there.
        """
        words = self._words[self._next : self._next + count]
        if len(words) < count:
            raise ProblemError(
                f"{self._where}: ends after {len(words)} of {count} number(s): {what} are wanted"
            )
        try:
            values = np.array(words, dtype=np.float64)
            readable = bool(np.isfinite(values).all())
        except ValueError:
            readable = False
        if not readable:
            bad = next(k for k, word in enumerate(words) if not _is_number(word))
            raise self._error(self._next + bad, f"a finite number is wanted ({what})")
        self._next += count
        return values

    def whole(self, what: str, *, least: int = 0) -> int:
        """Return the next number, a whole one of at least `least`.

        Raises
        ------
        ProblemError
            If it is something else.
        """
        value = float(self.numbers(1, what)[0])
        if not value.is_integer() or value < least:
            raise self._error(
                self._next - 1, f"a whole number of at least {least} is wanted ({what})"
            )
        return int(value)

    def expect(self, number: int, what: str) -> None:
        """Read a number that is already known, such as the number of a group.

        Raises
        ------
        ProblemError
            If it is another one.
        """
        if self.numbers(1, what)[0] != number:
            raise self._error(self._next - 1, f"{number} is wanted ({what})")

    def _error(self, position: int, wanted: str) -> ProblemError:
        seen = 0
        line = 0
        for line, content in enumerate(self._lines.splitlines(), start=1):  # noqa: B007
            seen += len(content.split())
            if seen > position:
                break
        return ProblemError(f"{self._where}:{line}: '{self._words[position]}': {wanted}")


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False
