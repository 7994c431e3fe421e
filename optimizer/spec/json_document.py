"""JSON text to plain data; lines are looked up only when a fault is to be reported."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field

from optimizer.spec.finding import Finding, Path, repeated_key
from optimizer.spec.source_text import MOST_VALUES, refuse
from optimizer.spec.yaml_scalars import resolve

__all__ = ["JsonLines", "read_json"]

# Strings, punctuation, and the rest of a valid document: numbers and constants.
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def read_json(text: str, source: str) -> tuple[object, list[Finding]]:
    """Parse JSON.

    `NaN`, `Infinity` and numbers beyond the range of floats come as floats that are not finite,
    for the models to refuse with their place.

    Returns
    -------
    tuple
        The data, in which the last of two equal keys counts, and one finding per repeated key.

    Raises
    ------
    SpecError
        If the text is no JSON, is nested too deeply, or holds more than `MOST_VALUES` values.
    """
    if text.count(",") > MOST_VALUES:
        refuse(
            source,
            f"holds more than {MOST_VALUES} values",
            hint="1 000 services hold about 25 000; is it the right file? else split the fleet",
        )
    repeated = False

    def pairs_to_mapping(pairs: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal repeated
        mapping = dict(pairs)
        repeated = repeated or len(mapping) != len(pairs)
        return mapping

    try:
        data = json.loads(text, object_pairs_hook=pairs_to_mapping, parse_int=resolve)
    except json.JSONDecodeError as error:
        refuse(
            source,
            f"is no JSON at column {error.colno}: {error.msg[:1].lower()}{error.msg[1:]}",
            hint=_hint_of_syntax(text, error),
            line=error.lineno,
        )
    except RecursionError:
        refuse(source, "is nested too deeply to read", hint="a fleet needs 8 levels")
    return data, JsonLines(text).repeated_keys() if repeated else []


def _hint_of_syntax(text: str, error: json.JSONDecodeError) -> str:
    """Say what to try for the usual mistakes."""
    here = text[error.pos : error.pos + 2]
    before = text[: error.pos].rstrip()[-1:]
    if here in ("//", "/*") or here.startswith("#"):
        return "JSON has no comments: remove it, or name the file .yaml"
    if before == "," and here[:1] in ("}", "]"):
        return "remove the comma before the closing bracket"
    if here.startswith("'"):
        return 'texts stand in double quotes: "..."'
    if error.msg.startswith("Illegal trailing comma"):
        return "remove the comma before the closing bracket"
    if error.msg.startswith("Expecting property name"):
        return 'keys stand in double quotes: "name"; or name the file .yaml'
    if not text[error.pos :].strip():
        return "the document ends too early: is a closing bracket missing?"
    if error.msg.startswith("Extra data"):
        return "a file holds one document"
    return "check the commas, quotes and brackets before this place"


@dataclass(slots=True)
class _Open:
    """A container that the scanner is inside of."""

    is_mapping: bool
    wanted: dict[str | int, object]  # what is looked for below it, by step
    step: str | int = 0
    expects_key: bool = False
    lines: dict[str, int] = field(default_factory=dict)  # of its keys, when repeats are sought


class JsonLines:
    """Finds lines in valid JSON text by scanning it.

    A scan takes about one second per 20 MB; a valid fleet needs none.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def find(self, paths: Collection[Path]) -> dict[Path, int]:
        """Find the lines, from 1, on which parts begin; a member of a mapping with its key.

        Paths that lead nowhere are left out.
        """
        found, _ = self._scan(paths, seek_repeats=False)
        return {path: found[path] for path in paths if path in found}

    def repeated_keys(self) -> list[Finding]:
        """Find every key that stands more than once in its mapping."""
        _, repeats = self._scan((), seek_repeats=True)
        return repeats

    def _scan(
        self, paths: Collection[Path], *, seek_repeats: bool
    ) -> tuple[dict[Path, int], list[Finding]]:
        wanted = _as_tree(paths)
        found: dict[Path, int] = {}
        repeats: list[Finding] = []
        stack: list[_Open] = []
        line, counted = 1, 0
        for token in _TOKEN.finditer(self._text):
            mark = token.group()
            top = stack[-1] if stack else None
            if mark in "}]":
                stack.pop()
            elif mark == ",":
                assert top is not None  # the text is valid
                if top.is_mapping:
                    top.expects_key = True
                else:
                    top.step = int(top.step) + 1
            elif mark != ":":
                line += self._text.count("\n", counted, token.start())
                counted = token.start()
                if top is not None and top.expects_key:
                    top.step, top.expects_key = json.loads(mark), False
                    if seek_repeats:
                        repeats.extend(_repeat(stack, line))
                below = wanted if top is None else top.wanted.get(top.step)
                if isinstance(below, dict):
                    found.setdefault(tuple(entry.step for entry in stack), line)
                if mark in "{[":
                    stack.append(
                        _Open(mark == "{", below if isinstance(below, dict) else {}, 0, mark == "{")
                    )
        return found, repeats


def _repeat(stack: list[_Open], line: int) -> list[Finding]:
    """Note the current key of the innermost mapping; a finding where it stood there before."""
    top = stack[-1]
    key = str(top.step)
    if key not in top.lines:
        top.lines[key] = line
        return []
    return [repeated_key(tuple(entry.step for entry in stack), top.lines[key], line)]


def _as_tree(paths: Collection[Path]) -> dict[str | int, object]:
    """Merge paths into nested mappings, so that a scan can follow them step by step."""
    tree: dict[str | int, object] = {}
    for path in paths:
        below = tree
        for step in path:
            below = below.setdefault(step, {})  # type: ignore[assignment]
    return tree
