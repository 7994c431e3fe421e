"""Reading JSON objects as inferno does: keys without case, what is missing is zero.

Go's decoder matches keys without regard to case, lets the last of several win, and leaves zero,
"" or false where a key is missing or null. Unlike it, this reader reports what it cannot use.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from optimizer.errors import Fault
from optimizer.spec.document import Document
from optimizer.spec.finding import NO_VALUE, UNREADABLE, Finding, Path
from optimizer.spec.wording import kind_of, listed, show_path

__all__ = ["Entry", "Ledger", "Named", "Page", "Record"]

# Subjects that a note names; more are counted.
_MOST_NAMED = 6
_MOST_CHARACTERS = 120
_POSITION = re.compile(r"\[[0-9]+\]")


@dataclass(slots=True)
class Page:
    """One document of an import, and what the importer found wrong with it."""

    document: Document
    findings: list[Finding] = field(default_factory=list)

    def faults(self) -> list[Fault]:
        """Turn everything wrong with the document into faults, in its order."""
        return self.document.faults([*self.document.findings, *self.findings])


@dataclass(slots=True)
class Ledger:
    """What an import could not carry over, kind by kind."""

    _named: dict[str, list[str]] = field(default_factory=dict)
    _counted: dict[str, int] = field(default_factory=dict)

    def note(self, text: str, subject: str) -> None:
        """Remark `text` about one more subject."""
        if len(subject) > _MOST_CHARACTERS:
            subject = subject[: _MOST_CHARACTERS - 3] + "..."
        self._named.setdefault(text, []).append(subject)

    def count(self, text: str) -> None:
        """Remark `text` once more, without saying about what."""
        self._counted[text] = self._counted.get(text, 0) + 1

    def notes(self) -> tuple[str, ...]:
        """Word every remark in one line, in the order in which their kinds came up."""
        named = [
            f"{text} ({len(subjects)}): {listed(subjects, _MOST_NAMED)}"
            for text, subjects in self._named.items()
        ]
        counted = [
            text if times == 1 else f"{text} ({times} times)"
            for text, times in self._counted.items()
        ]
        return tuple(named + counted)


class Record:
    """One JSON object of an inferno document.

    Every method that reads a key marks it as known; `close` remarks on the others. A value of the
    wrong kind is reported and read as missing, so that the rest is checked too.

    Parameters
    ----------
    page
        Document it stands in.
    ledger
        Where remarks go.
    path
        Where in the document.
    members
        Its keys and values.
    parent
        Record that it is a member of; None for a whole document.
    """

    def __init__(
        self,
        page: Page,
        ledger: Ledger,
        path: Path,
        members: Mapping[str, object],
        parent: Record | None = None,
    ) -> None:
        self.page = page
        self.ledger = ledger
        self.path = path
        self.is_sound = True
        self._parent = parent
        self._children: list[Record] = []
        self._unread: dict[str, str] = {}
        self._members: dict[str, tuple[str, object]] = {}
        for key, value in members.items():
            folded = str(key).casefold()
            if folded in self._members:
                text = "given twice in different case, the last counts"
                ledger.count(f"{self.kind(key)}: {text}")
            # Go leaves a field as it is when a null comes.
            if value is not None or folded not in self._members:
                self._members[folded] = (key, value)
            self._unread[folded] = key

    def kind(self, key: str | int) -> str:
        """Word the path of a member without positions: alike in all records of a list."""
        return _POSITION.sub("[]", show_path((*self.path, key)))

    def has(self, key: str) -> bool:
        """Whether a value other than null is there."""
        return self._members.get(key.casefold(), ("", None))[1] is not None

    def locate(self, dotted: str) -> Path:
        """Path of a member, `load.arrivalRate`, spelt as the document spells it."""
        path, here = self.path, self._members
        for key in dotted.split("."):
            spelt, value = here.get(key.casefold(), (key, None))
            path = (*path, spelt)
            members = value if isinstance(value, Mapping) else {}
            here = {str(name).casefold(): (name, below) for name, below in members.items()}
        return path

    def value(self, dotted: str) -> object:
        """Value of a member as it came; `NO_VALUE` where there is none."""
        here: object = self.page.document.data
        for step in self.locate(dotted):
            if isinstance(here, list) and isinstance(step, int):
                here = here[step]
            else:
                here = here.get(step, NO_VALUE) if isinstance(here, Mapping) else NO_VALUE
        return here

    def fault(self, dotted: str, message: str, *, hint: str = "") -> None:
        """Report that something is wrong with a member, or with the whole for ""."""
        path = self.locate(dotted) if dotted else self.path
        value = self.value(dotted) if dotted else NO_VALUE
        self._report(Finding(path, message, value, hint))

    def text(self, key: str, *, required: str = "") -> str:
        """Read a text; "" where it is missing, a fault if `required` says what for."""
        value = self._take(key)
        if value is None or value == "":
            if required:
                what = "is empty" if value == "" else "is missing"
                present = listed(spelt for spelt, _ in self._members.values())
                self.fault(key, f"{what}: must be {required}", hint=f"keys here: {present}")
            return ""
        if isinstance(value, str):
            return value
        self._fault_of_kind(key, "a text in quotes")
        return ""

    def number(self, key: str) -> float:
        """Read a finite number >= 0; 0 where it is missing."""
        value = self._take(key)
        if value is None:
            return 0.0
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._fault_of_kind(key, "a number without quotes")
            return 0.0
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            self.fault(key, "must be a finite number")
            return 0.0
        if number < 0:
            self.fault(key, "must be at least 0")
            return 0.0
        return number

    def whole(self, key: str, *, signed: bool = False) -> int:
        """Read a whole number, >= 0 unless signed; 0 where it is missing. 3.0 is whole."""
        value = self._take(key)
        if value is None:
            return 0
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._fault_of_kind(key, "a whole number without quotes")
            return 0
        if isinstance(value, float) and not value.is_integer():
            self.fault(key, "must be a whole number")
            return 0
        if value < 0 and not signed:
            self.fault(key, "must be at least 0")
            return 0
        return int(value)

    def flag(self, key: str) -> bool:
        """Read true or false; false where it is missing."""
        value = self._take(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        self._fault_of_kind(key, "true or false")
        return False

    def record(self, key: str) -> Record:
        """Read an object; an empty one where it is missing."""
        value = self._take(key)
        if value is not None and not isinstance(value, Mapping):
            self._fault_of_kind(key, "an object {...}")
            value = None
        child = self._child(self.locate(key), value or {})
        # A child of the wrong kind is not reported again for what it lacks.
        child.is_sound = value is not None or not self.has(key)
        return child

    def records(self, key: str, *, required: str = "") -> list[Record]:
        """Read a list of objects, without those that are none.

        Empty where it is missing; that is a fault if `required` says what must be there.
        """
        value = self._take(key)
        if value is not None and not isinstance(value, list):
            self._fault_of_kind(key, "a list [...] of objects")
            return []
        if not value:
            if required and self.is_sound:
                what = "is missing" if value is None else "is empty"
                self.fault(key, f"{what}: must be a list of at least one {required}")
            return []
        path = self.locate(key)
        records = []
        for position, member in enumerate(value):
            if isinstance(member, Mapping):
                records.append(self._child((*path, position), member))
            else:
                message = f"is {kind_of(member)}: must be an object {{...}}"
                self._report(Finding((*path, position), message, member))
        return records

    def pass_over(self, *keys: str) -> None:
        """Remark on known keys that nothing in a fleet corresponds to."""
        for key in keys:
            if self.has(key):
                self.ledger.count(f"{self.kind(self.locate(key)[-1])}: not carried over")
            self._unread.pop(key.casefold(), None)

    def close(self) -> None:
        """Remark on every key that was not asked for, here and below."""
        for spelt in self._unread.values():
            self.ledger.count(f"{self.kind(spelt)}: unknown, not carried over")
        for child in self._children:
            child.close()

    def entry(self, values: dict[str, object], members: Mapping[str, str]) -> Entry | None:
        """Make an entry of the fleet of what was read; None if that has a fault."""
        return Entry(self, values, members) if self.is_sound else None

    def _take(self, key: str) -> Any:
        folded = key.casefold()
        self._unread.pop(folded, None)
        value = self._members.get(folded, ("", None))[1]
        if value is UNREADABLE:
            self._spoil()
            return None
        return value

    def _fault_of_kind(self, key: str, wanted: str) -> None:
        self.fault(key, f"is {kind_of(self.value(key))}: must be {wanted}")

    def _child(self, path: Path, members: Mapping[str, object]) -> Record:
        child = Record(self.page, self.ledger, path, members, self)
        self._children.append(child)
        return child

    def _report(self, finding: Finding) -> None:
        if finding.value is not UNREADABLE:  # what is not readable has been reported
            self.page.findings.append(finding)
        self._spoil()

    def _spoil(self) -> None:
        """Mark it, and all that it is part of, as having a fault."""
        record: Record | None = self
        while record is not None:
            record.is_sound = False
            record = record._parent


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the fleet, and the record that it was read from.

    Parameters
    ----------
    record
        The record.
    values
        Keys of the fleet's own format, and their values.
    members
        For each key, dotted where it is nested, the member that its value was read from.
    """

    record: Record
    values: dict[str, object]
    members: Mapping[str, str]

    def report(self, steps: Path, finding: Finding) -> None:
        """Report a fault of the entry at the member that it comes from.

        Parameters
        ----------
        steps
            Where in the entry.
        finding
            What is wrong there; its path and value are replaced by the record's own.
        """
        dotted = (".".join(map(str, steps[:length])) for length in range(len(steps), 0, -1))
        member = next((self.members[key] for key in dotted if key in self.members), "")
        self.record.fault(member, finding.message, hint=finding.hint)


@dataclass(frozen=True, slots=True)
class Named:
    """The entries of one group.

    Parameters
    ----------
    entries
        By name; None for one with a fault.
    is_complete
        Whether the group has no fault. Otherwise an unknown name proves nothing.
    """

    entries: Mapping[str, Entry | None]
    is_complete: bool

    def lacks(self, name: str) -> bool:
        """Whether it is sure that there is nothing of that name."""
        return self.is_complete and name not in self.entries

    def sound(self) -> list[Entry]:
        """Collect the entries without a fault."""
        return [entry for entry in self.entries.values() if entry is not None]
