"""Every command: a document with a schema, two examples that run, exit codes that are written."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from optimizer.cli.command import app
from optimizer.cli.documents import DOCUMENTS, documents_json_schema
from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli.commands import REPOSITORY
from tests.optimizer.cli.json_documents import SCHEMA, check_document


def commands(group: Any, *path: str) -> Iterator[tuple[str, Any]]:
    """Every command below a group, with the words that name it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *path, name)
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands(get_command(app)))
# These print no data of their own: they write files, answer HTTP, or print another format.
WITHOUT_DOCUMENT = {
    "capacity measure", "control approve", "control serve", "export", "init", "kv profiles export",
    "kv profiles import", "kv profiles update", "operator run", "report", "schema", "serve",
}  # fmt: skip


def test_every_command_that_prints_data_has_a_document_with_a_schema() -> None:
    """`--json` and a type in `optimizer.cli.documents` go together, and few have neither."""
    with_option = {
        name
        for name, command in COMMANDS.items()
        if any("--json" in parameter.opts for parameter in command.params)
    }
    assert with_option == DOCUMENTS.keys()
    assert COMMANDS.keys() - with_option == WITHOUT_DOCUMENT


def test_the_committed_schema_is_that_of_the_types() -> None:
    """docs/reference/documents.schema.json is what `fleetopt schema --documents` prints."""
    assert json.loads(SCHEMA.read_text(encoding="utf-8")) == documents_json_schema()


def test_the_schema_itself_is_valid_and_refuses_what_is_not_declared() -> None:
    """A member that no type has fails the check that every call of the tests passes."""
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    document: dict[str, Any] = {"schema_version": 1, "fleets": []}
    check_document(["validate", "--json"], 0, json.dumps(document))
    with pytest.raises(AssertionError, match="surprise"):
        check_document(["validate", "--json"], 0, json.dumps(document | {"surprise": 1}))


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_help_shows_two_examples(name: str) -> None:
    """Each begins with the command itself."""
    text = COMMANDS[name].help
    assert len(re.findall(rf"^ +fleetopt {name}( .*|)$", text, re.MULTILINE)) >= 2


def test_every_exit_code_is_written_in_the_reference() -> None:
    """And no other."""
    page = (REPOSITORY / "docs/reference/command-line.md").read_text(encoding="utf-8")
    table = page.partition("## Exit codes")[2].partition("\n## ")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == {
        int(code) for code in ExitCode
    }
