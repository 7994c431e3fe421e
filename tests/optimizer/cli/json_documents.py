"""Holding what `--json` prints against the committed schema; every call of a test passes here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from optimizer.cli.documents import DOCUMENTS
from optimizer.cli.exit_codes import ExitCode

SCHEMA = Path(__file__).resolve().parents[3] / "docs/reference/documents.schema.json"
# With these the options ask for something else than the command's document.
_OTHERS = {"--help", "-h"}


def command_of(arguments: Sequence[object]) -> str | None:
    """Name the command that prints a document; None where none is asked for, or it has none."""
    words = [str(word) for word in arguments]
    if "--json" not in words or _OTHERS & set(words):
        return None
    named = (" ".join(words[:count]) for count in (3, 2, 1))
    return next((name for name in named if name in DOCUMENTS), None)


def check_document(arguments: Sequence[object], status: int, out: str) -> None:
    """Fail unless what a successful call printed is what the schema says."""
    command = command_of(arguments)
    if command is None or status != ExitCode.OK or not out.lstrip().startswith("{"):
        return
    if find_spec("jsonschema") is None:  # it comes with the extra `dev`
        return
    for text in out.splitlines() if command == "control run" else [out]:
        error = next(_validator(command).iter_errors(json.loads(text)), None)
        assert error is None, f"fleetopt {command} --json: {_deepest(error)}"


@cache
def _validator(command: str) -> Any:
    from jsonschema import Draft202012Validator

    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return Draft202012Validator(
        {"$ref": f"#/commands/{command.replace(' ', '%20')}", **schema},
    )


def _deepest(error: Any) -> str:
    """Say of the alternatives where they fail farthest inside."""
    while error.context:
        error = max(error.context, key=lambda e: len(e.absolute_path))
    place = "/".join(map(str, error.absolute_path))
    return f"{place}: {error.message[:300]}"
