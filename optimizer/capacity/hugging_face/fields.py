"""Reading fields of a configuration: aliases, types, ranges; every fault is kept with its path."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from optimizer.errors import Fault, SpecError

__all__ = ["Fields"]

# A size beyond this is a mistake, and would only overflow later.
_LARGEST_COUNT = 2**50


class Fields:
    """Fields of a configuration document.

    A field that is wrong is noted and read as its default (or 1), so that all faults are found in
    one reading; `raise_faults` then reports them together.

    Parameters
    ----------
    document
        The document, or a section of it.
    source
        Name of the file or model, for messages.
    path
        Where the section is, as in `text_config.`; "" for the whole.
    faults
        Where faults are noted; shared between sections.
    """

    def __init__(
        self,
        document: Mapping[str, Any],
        source: str,
        path: str = "",
        faults: list[Fault] | None = None,
    ) -> None:
        self._document = document
        self._source = source
        self._path = path
        self._faults = [] if faults is None else faults

    def section(self, *names: str) -> Fields | None:
        """Return the first of these sections that there is."""
        for name in names:
            value = self._document.get(name)
            if isinstance(value, Mapping):
                return Fields(value, self._source, f"{self._path}{name}.", self._faults)
        return None

    def completed(self, omitted: Mapping[str, Any]) -> Fields:
        """Return the same fields, and these where they are missing or null."""
        given = {name: value for name, value in self._document.items() if value is not None}
        return Fields({**omitted, **given}, self._source, self._path, self._faults)

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._document.get(name) is not None

    def raw(self, name: str) -> Any:
        """Value of a field as it is; None where missing."""
        return self._document.get(name)

    def items(self) -> list[tuple[str, Any]]:
        """All fields."""
        return list(self._document.items())

    def required(self, *names: str, least: int = 1, most: int = _LARGEST_COUNT) -> int:
        """Whole number under the first of these names that is there; noted when there is none."""
        value = self.optional(*names, least=least, most=most)
        if value is not None:
            return value
        if not any(self.has(name) for name in names):
            self._note_missing(names)
        return max(least, 1)

    def optional(self, *names: str, least: int = 1, most: int = _LARGEST_COUNT) -> int | None:
        """Whole number under the first of these names that is there, or None."""
        for name in names:
            value = self._document.get(name)
            if value is None:
                continue
            if not _whole(value) or value < least:
                self.note(name, f"must be a whole number of at least {least}")
                return None
            if value > most:
                self.note(name, f"must be at most {most}")
                return None
            return int(value)
        return None

    def count(self, *names: str, default: int, least: int = 0) -> int:
        """Whole number under the first of these names that is there, or the default."""
        value = self.optional(*names, least=least)
        return default if value is None else value

    def number(self, *names: str, default: float) -> float:
        """Finite number above 0 under the first of these names that is there, or the default."""
        for name in names:
            value = self._document.get(name)
            if value is None:
                continue
            if not _number(value) or value <= 0:
                self.note(name, "must be a finite number above 0")
                return default
            return float(value)
        return default

    def flag(self, *names: str, default: bool) -> bool:
        """Truth value under the first of these names that is there, or the default."""
        for name in names:
            value = self._document.get(name)
            if value is None:
                continue
            if not isinstance(value, bool):
                self.note(name, "must be true or false")
                return default
            return value
        return default

    def text(self, *names: str, default: str = "") -> str:
        """Text under the first of these names that is there, or the default."""
        for name in names:
            value = self._document.get(name)
            if value is None:
                continue
            if not isinstance(value, str):
                self.note(name, "must be text")
                return default
            return value
        return default

    def sequence(self, name: str, length: int | None = None) -> Sequence[Any] | None:
        """List of `length` entries under a name; None when it is missing."""
        value = self._document.get(name)
        if value is None:
            return None
        if not isinstance(value, list | tuple):
            self.note(name, "must be a list")
            return None
        if length is not None and len(value) != length:
            self.note(name, f"must have one entry per layer: {length}, not {len(value)}")
            return None
        return value

    def counts(self, name: str) -> set[int] | None:
        """Set of whole numbers under a name; None when it is missing."""
        values = self.sequence(name)
        if values is None:
            return None
        if not all(_whole(value) for value in values):
            self.note(name, "must be a list of whole numbers")
            return None
        return {int(value) for value in values}

    def note(self, name: str, message: str, hint: str = "") -> None:
        """Note a fault of a field."""
        self._faults.append(
            Fault(
                message=message,
                path=f"{self._path}{name}",
                value=repr(self._document[name]) if name in self._document else None,
                hint=hint,
                source=self._source,
            )
        )

    @property
    def faulty(self) -> bool:
        """Whether any fault was noted."""
        return bool(self._faults)

    def raise_faults(self) -> None:
        """Report all faults noted so far.

        Raises
        ------
        SpecError
            If there are any.
        """
        if self._faults:
            raise SpecError(list(dict.fromkeys(self._faults)))

    def _note_missing(self, names: tuple[str, ...]) -> None:
        near = difflib.get_close_matches(names[0], list(self._document), n=1)
        hint = f"did you mean it by {near[0]!r}?" if near else ""
        others = f" (or {', '.join(names[1:])})" if len(names) > 1 else ""
        self.note(names[0], f"is missing{others}", hint)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and value == int(value)
    )
