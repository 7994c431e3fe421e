"""Plain data and its lines out of a YAML parser's events."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from optimizer.spec.finding import UNREADABLE, Finding, Path, repeated_key
from optimizer.spec.source_text import MOST_VALUES, refuse
from optimizer.spec.wording import show_value
from optimizer.spec.yaml_scalars import CORE_TAGS, resolve

__all__ = ["YamlBuilder", "YamlLines"]

_MOST_LEVELS = 64
_STANDARD_TAGS = "tag:yaml.org,2002:"
_COLLECTION_TAGS = {dict: f"{_STANDARD_TAGS}map", list: f"{_STANDARD_TAGS}seq"}


class YamlLines:
    """Lines of a document's parts, held per container, so that aliases share them."""

    def __init__(self) -> None:
        self._root: object = None
        self._start = 1
        self._of_members: dict[int, Mapping[str | int, int]] = {}

    def add(self, container: object, lines: Mapping[str | int, int]) -> None:
        """Tell the lines of a container's members; it must live as long as the document."""
        self._of_members[id(container)] = lines

    def of(self, container: object) -> Mapping[str | int, int]:
        """Lines of a container's members, by key or position."""
        return self._of_members[id(container)]

    def begin(self, root: object, line: int) -> None:
        """Tell the whole document and the line it begins on."""
        self._root, self._start = root, line

    def find(self, paths: Collection[Path]) -> dict[Path, int]:
        """Find the lines, from 1, on which parts begin; a member of a mapping with its key.

        Paths that lead nowhere are left out.
        """
        return {path: line for path in paths if (line := self._line(path)) is not None}

    def _line(self, path: Path) -> int | None:
        container: Any = self._root
        line = self._start
        for step in path:
            lines = self._of_members.get(id(container), {})
            if step not in lines:
                return None
            line, container = lines[step], container[step]
        return line


class _Key(Enum):
    """What a mapping waits for, other than the value of a key."""

    NEXT = auto()  # a key
    MERGED = auto()  # the value of a merge key
    REFUSED = auto()  # the value of a key that is no text


@dataclass(slots=True)
class _Open:
    """A container whose end has not come yet."""

    container: dict[str, object] | list[object]
    line: int
    anchor: str | None
    key: str | _Key = _Key.NEXT
    key_line: int = 0
    lines: dict[str | int, int] = field(default_factory=dict)
    merged: list[object] = field(default_factory=list)
    values: int = 1  # in it, aliases written out

    @property
    def expects_key(self) -> bool:
        return isinstance(self.container, dict) and self.key is _Key.NEXT

    @property
    def step(self) -> str | int:
        """Step of a path that leads to the member being read."""
        if isinstance(self.container, list):
            return len(self.container)
        return self.key if isinstance(self.key, str) else "<<"


class YamlBuilder:
    """Builds plain data from the events of one document.

    Parameters
    ----------
    source
        Name of the document in messages.
    """

    def __init__(self, source: str) -> None:
        self.root: object = None
        self.findings: list[Finding] = []
        self.lines = YamlLines()
        self._source = source
        self._documents = 0
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[object, int]] = {}

    def take(self, event: Any) -> None:
        """Take the parser's next event.

        Raises
        ------
        SpecError
            If the document cannot be read on from here.
        """
        kind = type(event).__name__
        if kind == "ScalarEvent":
            self._scalar(event)
        elif kind == "MappingStartEvent":
            self._start(event, {})
        elif kind == "SequenceStartEvent":
            self._start(event, [])
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            self._end()
        elif kind == "AliasEvent":
            self._alias(event)
        elif kind == "DocumentStartEvent":
            self._document(event)

    def _document(self, event: Any) -> None:
        self._documents += 1
        line = event.start_mark.line + 1
        if self._documents > 1:
            refuse(
                self._source,
                "a second document begins here: must be one document per file",
                hint="remove the line '---', or split the file",
                line=line,
            )
        if event.version is not None and tuple(event.version) != (1, 2):
            refuse(
                self._source,
                f"declares YAML {event.version[0]}.{event.version[1]}: must be YAML 1.2",
                hint="remove the line '%YAML ...'; yes, no, on and off are texts in 1.2",
                line=line,
            )

    def _scalar(self, event: Any) -> None:
        line = event.start_mark.line + 1
        plain = event.style is None
        if plain and event.value == "<<" and self._expects_key:
            self._stack[-1].key = _Key.MERGED
            return
        value: object = event.value
        if event.tag is None:
            value = resolve(event.value) if plain else event.value
        elif event.tag != "!":
            value = self._tagged(event.tag, event.value, line)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1)
        self._put(value, line, 1)

    def _tagged(self, tag: str, text: str, line: int) -> object:
        """Value of a scalar with an explicit tag."""
        if tag not in CORE_TAGS:
            self._refuse_tag(tag, line)
            return UNREADABLE
        value = text if tag.endswith(":str") else resolve(text)
        if isinstance(value, CORE_TAGS[tag]):
            return value
        self._find(f"{show_value(text)} is not what its tag {_short(tag)} says", line)
        return UNREADABLE

    def _start(self, event: Any, container: dict[str, object] | list[object]) -> None:
        line = event.start_mark.line + 1
        if len(self._stack) == _MOST_LEVELS:
            refuse(
                self._source,
                f"is nested more than {_MOST_LEVELS} levels deep",
                hint="a fleet needs 8",
                line=line,
            )
        if self._expects_key:
            refuse(
                self._source,
                f"a key is {'a mapping' if isinstance(container, dict) else 'a list'}: "
                "must be a text",
                hint="braces of a template, as in {{ name }}, must be filled in first",
                line=line,
            )
        if event.tag not in (None, "!", _COLLECTION_TAGS[type(container)]):
            self._refuse_tag(event.tag, line)
        if not self._stack:
            self.root = container
            self.lines.begin(container, line)
        if event.anchor is not None:
            self._anchors.pop(event.anchor, None)  # it now means this, unfinished, container
        self._stack.append(_Open(container, line, event.anchor))

    def _end(self) -> None:
        ended = self._stack.pop()
        for source in ended.merged:
            self._merge(ended, source)
        self.lines.add(ended.container, ended.lines)
        if ended.anchor is not None:
            self._anchors[ended.anchor] = (ended.container, ended.values)
        if self._stack:
            self._put(ended.container, ended.line, ended.values)

    def _alias(self, event: Any) -> None:
        line = event.start_mark.line + 1
        value, values = self._anchors.get(event.anchor, (UNREADABLE, 1))
        if value is UNREADABLE:
            around = [entry for entry in self._stack if entry.anchor == event.anchor]
            if around:
                self._find(
                    f"*{event.anchor} refers to the part that contains it, begun on line "
                    f"{around[-1].line}: a cyclic reference",
                    line,
                    "write the value out",
                )
            elif event.anchor not in self._anchors:
                known = ", ".join(f"&{name}" for name in self._anchors) or "none"
                self._find(
                    f"*{event.anchor} refers to no anchor before it",
                    line,
                    f"anchors before it: {known}",
                )
        self._put(value, line, values)

    @property
    def _expects_key(self) -> bool:
        return bool(self._stack) and self._stack[-1].expects_key

    def _put(self, value: object, line: int, values: int) -> None:
        """Put a finished value where it belongs."""
        if not self._stack:
            self.root = value
            self.lines.begin(value, line)
            return
        top = self._stack[-1]
        top.values += values
        if top.values > MOST_VALUES:
            refuse(
                self._source,
                f"holds more than {MOST_VALUES} values once aliases are written out",
                hint="1 000 services hold about 25 000; use fewer aliases, or split the fleet",
                line=line,
            )
        if isinstance(top.container, list):
            top.lines[len(top.container)] = line
            top.container.append(value)
        elif top.key is _Key.NEXT:
            self._take_key(top, value, line)
        else:
            if top.key is _Key.MERGED:
                self._take_merged(top, value, line)
            elif isinstance(top.key, str):
                top.container[top.key] = value
                top.lines[top.key] = top.key_line
            top.key = _Key.NEXT

    def _take_key(self, top: _Open, key: object, line: int) -> None:
        if isinstance(key, str):
            if key in top.container:
                path = (*self._path(), key)
                self.findings.append(repeated_key(path, top.lines[key], line))
            top.key, top.key_line = key, line
            return
        if key is not UNREADABLE:
            self._find(
                f"the key {show_value(key)} is not a text",
                line,
                'put it in quotes, or write the key before ":"',
            )
        top.key = _Key.REFUSED

    def _take_merged(self, top: _Open, value: object, line: int) -> None:
        """Note what a merge key brings in."""
        sources = value if isinstance(value, list) else [value]
        for source in sources:
            if isinstance(source, dict):
                top.merged.append(source)
            elif source is not UNREADABLE:
                self._find(
                    f"<< is given {show_value(source)}: must be an alias of a mapping, or a list "
                    "of such",
                    line,
                )

    def _merge(self, ended: _Open, source: object) -> None:
        """Add the members of a merged mapping; members that are there already win."""
        assert isinstance(ended.container, dict)
        assert isinstance(source, dict)
        lines = self.lines.of(source)
        for key in source:
            if key not in ended.container:
                ended.container[key] = source[key]
                ended.lines[key] = lines[key]

    def _refuse_tag(self, tag: str, line: int) -> None:
        self._find(
            f"the tag {_short(tag)} is not allowed", line, "remove it; plain values need no tags"
        )

    def _find(self, message: str, line: int, hint: str = "") -> None:
        self.findings.append(Finding(self._path(), message, hint=hint, line=line))

    def _path(self) -> Path:
        """Path to the member being read; to its mapping while a key is read."""
        steps = [entry.step for entry in self._stack]
        return tuple(steps[:-1] if self._expects_key else steps)


def _short(tag: str) -> str:
    """Write a tag as users do."""
    if tag.startswith(_STANDARD_TAGS):
        return f"!!{tag.removeprefix(_STANDARD_TAGS)}"
    return tag if tag.startswith("!") else f"!<{tag}>"
