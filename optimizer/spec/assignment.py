"""Changes of a fleet written as text: `services[chat].load.arrival_rate_rps = 5`.

A path is keys joined by points. Entries of a list are named in brackets: by position from 0
(`targets[0]`), by name (`services[chat]`), by members (`performance[model=m,accelerator=H100]`) or
all of them (`services[*]`). A text in quotes is taken as it is: `services["a]b"]`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NoReturn

from optimizer.errors import Fault, SpecError
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.loading import from_data
from optimizer.spec.wording import kind_of, show_value, suggestion
from optimizer.spec.yaml_document import read_yaml

__all__ = ["Assignment", "Operation", "assigned", "named_entry", "parse_assignment"]

# Members by which an entry is known where its bracket holds one word, in the order they are asked.
_IDENTITIES = ("name", "type", "metric", "model")
_KEY = re.compile(r"[^.\[\]=*+\s]+")
_BRACKET = re.compile(r"""\[\s*("(?:[^"\\]|\\.)*"|'[^']*'|[^\]]*?)\s*\]""")
_MEMBER = re.compile(r"\s*([^\s=,]+)\s*=\s*(\"[^\"]*\"|'[^']*'|[^,]*?)\s*(?:,|$)")
_OPERATORS = re.compile(r"\s*(\*=|\+=|=)\s*")


class Operation(StrEnum):
    """What is done to the value that is there."""

    SET = "="
    MULTIPLY = "*="
    ADD = "+="


@dataclass(frozen=True, slots=True)
class Assignment:
    """One change of a fleet's document.

    Parameters
    ----------
    path
        As it was written, such as `services[*].load.arrival_rate_rps`.
    operation
        Whether the value replaces what is there, multiplies it or is added to it.
    value
        Plain data; a number for `*=` and `+=`.
    """

    path: str
    operation: Operation
    value: Any

    def __str__(self) -> str:
        """As it would be written."""
        value = self.value if isinstance(self.value, str) else json.dumps(self.value)
        return f"{self.path}{self.operation}{value}"


@dataclass(frozen=True, slots=True)
class _Key:
    name: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """Entries of a list: the position, the members they must have, or, with neither, all."""

    words: str
    position: int | None = None
    name: str | None = None
    members: tuple[tuple[str, str], ...] = ()


def parse_assignment(text: str, source: str = "--set") -> Assignment:
    """Read `PATH=VALUE`, `PATH*=FACTOR` or `PATH+=NUMBER`; values are written as in YAML.

    Parameters
    ----------
    text
        The change.
    source
        What messages call it.

    Raises
    ------
    SpecError
        If it is not such a text.
    """
    path, end = _path_end(text, source)
    operator = _OPERATORS.match(text, end)
    if operator is None:
        _refuse(source, text, "must be PATH=VALUE, PATH*=FACTOR or PATH+=NUMBER")
    value = _plain_value(text[operator.end() :], text, source)
    return Assignment(path, Operation(operator.group(1)), value)


def named_entry(section: str, name: str) -> str:
    """Return the path of a list's entry by its name, in quotes where it needs them."""
    if name.isdecimal() or name != name.strip() or any(mark in name for mark in "\"'[]=*,\\"):
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'{section}["{escaped}"]'
    return f"{section}[{name}]"


def _plain_value(written: str, text: str, source: str) -> Any:
    if not written.strip():
        _refuse(source, text, "there is no value", "write null to remove what is there")
    value, findings, _ = read_yaml(written, source)
    if findings:
        _refuse(source, text, f"the value {findings[0].message}", findings[0].hint)
    return value


def assigned(fleet: FleetSpec, assignments: Iterable[Assignment]) -> FleetSpec:
    """Return the fleet with changes made one after the other, checked as if it were read anew.

    Parameters
    ----------
    fleet
        A fleet; it stays as it is.
    assignments
        The changes.

    Raises
    ------
    SpecError
        If a path leads nowhere, or what results is not a valid fleet.
    """
    data = fleet.model_dump(mode="json", by_alias=True)
    made = list(assignments)
    for assignment in made:
        _change(data, assignment)
    return from_data(data, "with " + ", ".join(map(str, made)) if made else "<data>")


def _change(data: dict[str, Any], assignment: Assignment) -> None:
    source = str(assignment)
    *way, last = _steps(assignment.path, source)
    for place in _places(data, way, source):
        for key in _keys_at(place, last, source):
            place[key] = _value(place, key, assignment, source)


def _value(place: Any, key: Any, assignment: Assignment, source: str) -> Any:
    if assignment.operation is Operation.SET:
        return deepcopy(assignment.value)
    present = place.get(key) if isinstance(place, Mapping) else place[key]
    before, by = _as_number(present), _as_number(assignment.value)
    if by is None:
        came = kind_of(assignment.value)
        _refuse(source, "", f"{assignment.operation} wants a finite number, not {came}")
    if before is None:
        _refuse(source, "", f"{assignment.operation} wants a number there, not {kind_of(present)}")
    after = before * by if assignment.operation is Operation.MULTIPLY else before + by
    # A count stays one, rounded as a person would: half a card is none.
    return round(after) if isinstance(present, int) and math.isfinite(after) else after


def _as_number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) else None


def _places(root: Any, way: Sequence[_Key | _Entry], source: str) -> list[Any]:
    """Return every mapping or list that a way leads to."""
    places = [root]
    for step in way:
        places = [
            _step_into(place, key) for place in places for key in _keys_at(place, step, source)
        ]
    return places


def _step_into(place: Any, key: Any) -> Any:
    if isinstance(place, dict) and place.get(key) is None:
        place[key] = {}  # an optional part that is not there yet
    return place[key]


def _keys_at(place: Any, step: _Key | _Entry, source: str) -> list[Any]:
    """Return the keys or positions that a step means; at least one."""
    if isinstance(step, _Key):
        if not isinstance(place, dict):
            hint = "name an entry in brackets, as services[chat]" if _is_list(place) else ""
            _refuse(source, "", f"there is no {step.name!r} in {kind_of(place)}", hint)
        if step.name not in place and place:
            _refuse(source, "", f"there is no key {step.name!r}", suggestion(step.name, place))
        return [step.name]
    if not _is_list(place):
        _refuse(source, "", f"[{step.words}] wants a list, there is {kind_of(place)}")
    found = list(_matching(place, step))
    if not found:
        hint = suggestion(step.name or "", _identities(place)) if step.name else ""
        _refuse(source, "", f"no entry is [{step.words}] among {len(place)}", hint)
    return found


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _matching(entries: list[Any], step: _Entry) -> Iterator[int]:
    for position, entry in enumerate(entries):
        if step.position is not None:
            matches = position == step.position
        elif step.name is not None:
            matches = step.name == _identity(entry)
        else:
            matches = isinstance(entry, Mapping) and all(
                _same(entry.get(key), value) for key, value in step.members
            )
        if matches:
            yield position


def _same(present: object, written: str) -> bool:
    """Whether a member has the value that was written, such as 4 or H100."""
    return show_value(present) == written or str(present) == written


def _identity(entry: object) -> str | None:
    """Name an entry goes by."""
    if not isinstance(entry, Mapping):
        return None
    return next((str(entry[key]) for key in _IDENTITIES if entry.get(key) is not None), None)


def _identities(entries: list[Any]) -> list[str]:
    return [name for name in map(_identity, entries) if name is not None]


def _steps(path: str, source: str) -> list[_Key | _Entry]:
    """Take a path apart; it has been read by `_path_end` before."""
    steps: list[_Key | _Entry] = []
    at = 0
    while at < len(path):
        bracket = _BRACKET.match(path, at)
        if bracket is not None:
            steps.append(_entry(bracket.group(1), source))
            at = bracket.end()
            continue
        key = _KEY.match(path, at + (path[at] == "."))
        if key is None:
            _refuse(source, path, "is no path", "write it as services[chat].load.arrival_rate_rps")
        steps.append(_Key(key.group()))
        at = key.end()
    return steps


def _entry(words: str, source: str) -> _Entry:
    if words == "*":
        return _Entry(words)
    if words[:1] in ("'", '"'):
        return _Entry(words, name=_unquoted(words))
    if words.isdecimal():
        return _Entry(words, position=int(words))
    members = tuple((m.group(1), _unquoted(m.group(2))) for m in _MEMBER.finditer(words))
    if members:
        return _Entry(words, members=members)
    if not words:
        _refuse(source, "[]", "names no entry", "write a name, a position, or * for all")
    return _Entry(words, name=words)


def _unquoted(words: str) -> str:
    if len(words) >= 2 and words[0] == words[-1] and words[0] in "'\"":
        return re.sub(r"\\(.)", r"\1", words[1:-1]) if words[0] == '"' else words[1:-1]
    return words


def _path_end(text: str, source: str) -> tuple[str, int]:
    """Return the path that a text begins with, and where it ends."""
    key = _KEY.match(text.strip())
    if key is None:
        _refuse(source, text, "must begin with a key of the fleet, such as services")
    at = len(text) - len(text.lstrip()) + key.end()
    while at < len(text):
        bracket = _BRACKET.match(text, at)
        if bracket is not None:
            at = bracket.end()
        elif text[at] == "." and (more := _KEY.match(text, at + 1)) is not None:
            at = more.end()
        else:
            break
    return text[:at].strip(), at


def _refuse(source: str, came: str, message: str, hint: str = "") -> NoReturn:
    raise SpecError([Fault(message=message, value=came or None, hint=hint, source=source)])
