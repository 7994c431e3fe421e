"""YAML 1.2 text to plain data and the lines it stands on, in one pass over the parser's events.

Values follow the core schema (see `yaml_scalars`). Anchors, aliases and merge keys (`<<`) work;
tags beyond the core schema, several documents, and keys that are no texts are refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from optimizer.spec.finding import Finding
from optimizer.spec.source_text import refuse
from optimizer.spec.yaml_builder import YamlBuilder, YamlLines

__all__ = ["MOST_YAML_CHARACTERS", "read_yaml"]

MOST_YAML_CHARACTERS = 16 * 2**20
"""Longest YAML text that is read: ruamel.yaml takes about a second per 0.4 MB."""


def read_yaml(text: str, source: str) -> tuple[object, list[Finding], YamlLines]:
    """Parse YAML.

    Returns
    -------
    tuple
        The data, in which the last of two equal keys counts and refused parts are `UNREADABLE`;
        what was found wrong; the lines.

    Raises
    ------
    SpecError
        If the text is no YAML, is too long or nested too deeply, or holds several documents.
    """
    if len(text) > MOST_YAML_CHARACTERS:
        refuse(
            source,
            f"is {len(text) / 2**20:.1f} MiB long: must be at most "
            f"{MOST_YAML_CHARACTERS // 2**20} MiB, because reading YAML is slow",
            hint="give it as JSON, which is read a hundred times faster",
        )
    builder = YamlBuilder(source)
    for event in _events(text, source):
        builder.take(event)
    return builder.root, builder.findings, builder.lines


def _events(text: str, source: str) -> Iterator[Any]:
    """Parse, turning the parser's complaints into ours."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.reader import ReaderError

    try:
        yield from YAML(typ="safe", pure=True).parse(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + 1
        column = "" if mark is None else f" at column {mark.column + 1}"
        what = ", ".join(part for part in (error.context, error.problem) if part)
        refuse(source, f"is no YAML{column}: {what}", hint=_hint_of_syntax(error, text), line=line)
    except ReaderError as error:
        code = ord(text[error.position])
        refuse(
            source,
            f"holds the character U+{code:04X}, which YAML does not allow",
            hint=f'remove it, or write it as an escape in double quotes: "\\u{code:04x}"',
            line=text.count("\n", 0, error.position) + 1,
        )
    except (YAMLError, ValueError, OverflowError) as error:
        refuse(source, f"is no YAML: {error}")


def _hint_of_syntax(error: Any, text: str) -> str:
    """Say what to try for the usual mistakes."""
    problem = error.problem or ""
    mark = error.problem_mark
    if mark is not None:
        here = text.splitlines()[mark.line : mark.line + 1]
        if here and "\t" in here[0][: len(here[0]) - len(here[0].lstrip())]:
            return "indent with spaces instead of tabs"
    if "mapping values are not allowed" in problem:
        return "check the indentation; a text with ': ' in it needs quotes"
    if "could not find expected ':'" in problem:
        return "each line of a mapping reads 'key: value'"
    if "cannot start any token" in problem:
        return "a text that begins with this character needs quotes"
    if "expected <block end>" in problem:
        return "check the indentation: entries of one list or mapping begin in the same column"
    if "end of stream" in problem or "<stream end>" in problem:
        return "is a closing quote or bracket missing?"
    return "check the indentation, quotes and brackets before this place"
