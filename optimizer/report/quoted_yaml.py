"""YAML whose every text is quoted.

What reads as a number or a truth value in one version of YAML or the other stays a text.
"""

from __future__ import annotations

from io import StringIO
from typing import Any

__all__ = ["quoted_yaml"]


def quoted_yaml(document: dict[str, Any]) -> str:
    """Write mappings, lists and scalars; long texts stay on their line."""
    from ruamel.yaml import YAML

    writer = YAML()
    writer.width = 4096
    writer.indent(mapping=2, sequence=4, offset=2)
    text = StringIO()
    writer.dump(_quoted(document), text)
    return text.getvalue()


def _quoted(value: Any) -> Any:
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    if isinstance(value, dict):
        return {key: _quoted(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_quoted(member) for member in value]
    return DoubleQuotedScalarString(value) if isinstance(value, str) else value
