"""One call makes the options of one verb; nobody can tell."""

from __future__ import annotations

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from optimizer.cli.asked_part import asked_part
from optimizer.cli.command import app
from optimizer.cli.exit_codes import ExitCode


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["solve", "--help"],
        ["kv", "ratio", "--help"],
        ["capacity"],
        ["slove"],
        ["kv", "x"],
    ],
)
def test_what_is_told_is_what_the_whole_tells(words: list[str]) -> None:
    """Help of all, of a verb, of a group's verb; a verb that does not exist."""
    answers = [
        CliRunner().invoke(one, words, prog_name="fleetopt", terminal_width=100)
        for one in (app, asked_part(app, words))
    ]
    assert answers[0].output == answers[1].output
    assert answers[0].exit_code == answers[1].exit_code in (ExitCode.OK, ExitCode.USAGE)


def test_other_verbs_have_no_options() -> None:
    """That is what is saved."""
    part = get_command(asked_part(app, ["solvers", "--json"]))
    assert any("--json" in parameter.opts for parameter in part.commands["solvers"].params)
    assert not any("--json" in parameter.opts for parameter in part.commands["solve"].params)
    assert not part.commands["kv"].commands
