"""A fleet as a document again: what differs from the defaults, in the order of the reference."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

from optimizer.spec.document import DocumentFormat
from optimizer.spec.fleet_spec import FleetSpec
from optimizer.spec.yaml_scalars import resolve

__all__ = ["dump", "write_yaml"]

_WIDTH = 100
# Mappings and lists of scalars up to this long stand on one line.
_WIDTH_OF_ONE_LINE = 84
# Whole numbers below it are exact as floats.
_FIRST_INEXACT = 2**53


def dump(spec: FleetSpec, format: DocumentFormat = "yaml") -> str:  # noqa: A002
    """Write a fleet as a document that `loads` reads back to an equal fleet.

    Parameters
    ----------
    spec
        The fleet.
    format
        `yaml` or `json`.

    Returns
    -------
    str
        The document, with `schema_version` and without other values that are defaults.
    """
    data = {
        "schema_version": spec.schema_version,
        **spec.model_dump(mode="json", by_alias=True, exclude_defaults=True),
    }
    if format == "json":
        return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return write_yaml(data)


def write_yaml(data: dict[str, Any]) -> str:
    """Write a part of a fleet's document, in the style of fleet files."""
    from ruamel.yaml import YAML, events

    writer = YAML(typ="safe", pure=True)
    writer.width = _WIDTH
    writer.allow_unicode = True
    text = StringIO()
    writer.emit(
        [
            events.StreamStartEvent(),
            events.DocumentStartEvent(explicit=False),
            *_events_of(data, in_line=False),
            events.DocumentEndEvent(explicit=False),
            events.StreamEndEvent(),
        ],
        text,
    )
    return text.getvalue()


def _events_of(value: Any, *, in_line: bool) -> Iterator[Any]:
    """Write a value as events of a YAML parser; `in_line` inside a part kept on one line."""
    from ruamel.yaml import events
    from ruamel.yaml.tag import Tag

    if isinstance(value, dict):
        in_line = in_line or _fits_one_line(value)
        yield events.MappingStartEvent(None, None, True, flow_style=in_line)
        for key, member in value.items():
            yield from _events_of(key, in_line=in_line)
            yield from _events_of(member, in_line=in_line)
        yield events.MappingEndEvent()
    elif isinstance(value, list):
        in_line = in_line or _fits_one_line(value)
        yield events.SequenceStartEvent(None, None, True, flow_style=in_line)
        for entry in value:
            yield from _events_of(entry, in_line=in_line)
        yield events.SequenceEndEvent()
    elif isinstance(value, str):
        # Double quotes keep every text as it is, whatever it looks like.
        is_plain = value.isprintable() and value.isascii() and resolve(value) == value
        style = None if is_plain else '"'
        # The tag is never written; the emitter asks for it where a text is empty.
        tag = Tag(suffix="tag:yaml.org,2002:str")
        yield events.ScalarEvent(None, tag, (is_plain, True), value, style=style)
    else:
        yield events.ScalarEvent(None, None, (True, True), json.dumps(_shortened(value)))


def _fits_one_line(value: dict[str, Any] | list[Any]) -> bool:
    members = value.values() if isinstance(value, dict) else value
    has_parts = any(isinstance(member, dict | list) and member for member in members)
    return not has_parts and len(json.dumps(value)) <= _WIDTH_OF_ONE_LINE


def _shortened(value: float | bool | None) -> float | bool | None:
    """Drop the `.0` of floats that are whole, as people write them."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _FIRST_INEXACT:
        return int(value)
    return value
