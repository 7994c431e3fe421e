"""An estimation sheet: figures with the arithmetic they come from, line by line."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

__all__ = ["Cell", "Line", "Section", "Sheet", "SheetTable", "spelled"]

_BILLION = 1e9
# From here on in units of 1e9.
_LARGE = 1e8

Cell: TypeAlias = float | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One figure.

    Parameters
    ----------
    name
        What it is.
    arithmetic
        How it comes about, with the figures put in.
    value, unit
        The figure; None where there is none, as the arithmetic tells.
    note
        What one should know about it.
    """

    name: str
    arithmetic: str
    value: float | None
    unit: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetTable:
    """The same arithmetic for several values.

    Parameters
    ----------
    columns
        Headings, units included.
    rows
        A cell per column; None where there is no figure.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a sheet.

    Parameters
    ----------
    title
        What its figures answer.
    lines, table
        Its figures.
    notes
        Sentences after them.
    """

    title: str
    lines: tuple[Line, ...] = ()
    table: SheetTable | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A whole sheet.

    Parameters
    ----------
    name, title
        Name on the command line; what it is about, with model and accelerator.
    sections
        Its parts.
    """

    name: str
    title: str
    sections: tuple[Section, ...]

    def value(self, name: str) -> float | None:
        """Figure of the line with a name.

        Raises
        ------
        KeyError
            If no line has it.
        """
        for section in self.sections:
            for line in section.lines:
                if line.name == name:
                    return line.value
        raise KeyError(name)

    def table(self, title: str) -> SheetTable:
        """Table of the section with a title.

        Raises
        ------
        KeyError
            If no section with a table has it.
        """
        for section in self.sections:
            if section.title == title and section.table is not None:
                return section.table
        raise KeyError(title)

    def to_document(self) -> dict[str, Any]:
        """All figures, ready for JSON."""
        return {"schema_version": 1, **asdict(self)}


def spelled(value: float, digits: int = 4) -> str:
    """Return a number as people write it: whole with separators, else so many digits."""
    if abs(value) >= _LARGE:
        return f"{value / _BILLION:.{digits}g}e9"
    if value == int(value):
        return f"{int(value):,}"
    if abs(value) >= 10**digits:
        return f"{round(value):,}"
    return f"{value:.{digits}g}"
