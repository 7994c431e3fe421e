"""A document as it was read: plain data, what was wrong with the text, and where things stand."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, Protocol, TypeAlias

from optimizer.errors import Fault
from optimizer.spec.finding import MOST_FINDINGS, Finding, Path
from optimizer.spec.json_document import JsonLines, read_json
from optimizer.spec.source_text import SourceText, refuse
from optimizer.spec.wording import show_path, show_value
from optimizer.spec.yaml_document import read_yaml

__all__ = ["Document", "DocumentFormat", "Lines", "parse"]

DocumentFormat: TypeAlias = Literal["yaml", "json"]

_JSON_START = re.compile(r"\s*(?:\{\s*[\"}]|\[\s*[\[\]{\"])")


class Lines(Protocol):
    """Knows on which lines the parts of a document stand."""

    def find(self, paths: Collection[Path]) -> Mapping[Path, int]:
        """Find lines, from 1; paths that lead nowhere are left out."""
        ...


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data and where it came from.

    Parameters
    ----------
    data
        Mappings, lists and scalars.
    source
        Name of the document in messages.
    findings
        What was wrong with the text, short of making it unreadable.
    lines
        Where things stand; None for data that came from no text.
    """

    data: object
    source: str
    findings: tuple[Finding, ...] = ()
    lines: Lines | None = None

    def faults(self, findings: Iterable[Finding]) -> list[Fault]:
        """Turn findings into faults, in document order, each with its line where it has one.

        Of very many, only the first `MOST_FINDINGS` are taken, and a last fault says so.
        """
        order = _Order(self.data)
        rest = iter(findings)
        first = sorted(islice(rest, MOST_FINDINGS), key=lambda found: order.of(found.path))
        prefixes = {found.path[:n] for found in first for n in range(len(found.path) + 1)}
        lines = {} if self.lines is None else self.lines.find(prefixes)
        faults = [self._fault(found, lines) for found in first]
        if next(rest, None) is not None:
            more = f"has more than {MOST_FINDINGS} faults"
            faults.append(Fault(more, source=self.source, hint="repair the others first"))
        return list(dict.fromkeys(faults))

    def _fault(self, found: Finding, lines: Mapping[Path, int]) -> Fault:
        line = found.line
        if line is None:
            # What is missing is reported where its mapping begins.
            prefixes = (found.path[:n] for n in range(len(found.path), -1, -1))
            line = next((lines[prefix] for prefix in prefixes if prefix in lines), None)
        return Fault(
            message=found.message,
            path=show_path(found.path),
            value=show_value(found.value),
            hint=found.hint,
            source=self.source,
            line=line,
        )


class _Order:
    """Tells the order in which the parts of a document stand in it."""

    def __init__(self, data: object) -> None:
        self._data = data
        self._positions: dict[int, dict[object, int]] = {}

    def of(self, path: Path) -> tuple[int, ...]:
        """Sort key of a path; what is missing comes after what is there."""
        here: Any = self._data
        key: list[int] = []
        for step in path:
            if isinstance(here, Mapping):
                positions = self._positions.setdefault(id(here), {})
                if not positions:
                    positions.update({member: n for n, member in enumerate(here)})
                key.append(positions.get(step, len(positions)))
                here = here.get(step)
            elif isinstance(here, list | tuple) and isinstance(step, int):
                key.append(step)
                here = here[step] if step < len(here) else None
            else:
                break
        return tuple(key)


def parse(
    source_text: SourceText,
    document_format: DocumentFormat | None = None,
    wanted: str = "must describe a fleet",
    hint: str = "`fleetopt init` writes an example",
) -> Document:
    """Parse the text of a document.

    Parameters
    ----------
    source_text
        The text and its name.
    document_format
        `yaml` or `json`; by default by the suffix of the name, then by how the text begins.
    wanted, hint
        What to say of an empty one.

    Raises
    ------
    SpecError
        If the text is empty or cannot be parsed.
    """
    text, source = source_text.text, source_text.name
    if not text.strip():
        refuse(source, f"is empty: {wanted}", hint=hint)
    lines: Lines
    if (document_format or _format_of(source_text)) == "json":
        data, findings = read_json(text, source)
        lines = JsonLines(text)
    else:
        data, findings, lines = read_yaml(text, source)
    if data is None and not findings:
        refuse(source, f"is empty: {wanted}", hint=hint)
    return Document(data, source, tuple(findings), lines)


def _format_of(source_text: SourceText) -> DocumentFormat:
    name = source_text.name.lower()
    if name.endswith(".json"):
        return "json"
    if name.endswith((".yaml", ".yml")):
        return "yaml"
    return "json" if _JSON_START.match(source_text.text) else "yaml"
