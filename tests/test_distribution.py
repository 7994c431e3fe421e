"""What a distribution promises around its code: citation, metadata, completion in the shell."""

from __future__ import annotations

import tomllib

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from optimizer.cli.command import app
from tests.optimizer.cli.commands import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_citation_names_this_version_and_licence() -> None:
    """CITATION.cff has what its format (1.2.0) requires, and does not lag behind the metadata."""
    cited = YAML(typ="safe").load(REPOSITORY / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()
    assert cited["cff-version"] == "1.2.0"
    assert (cited["version"], cited["license"]) == (PROJECT["version"], PROJECT["license"])


def test_every_python_from_the_oldest_allowed_is_a_classifier() -> None:
    """3.11 is the oldest, and the three that are tested are listed."""
    assert PROJECT["requires-python"] == ">=3.11"
    listed = [
        line.rsplit(" ", 1)[1] for line in PROJECT["classifiers"] if ":: Python :: 3." in line
    ]
    assert listed == ["3.11", "3.12", "3.13"]


def test_the_changelog_has_a_place_for_what_is_new() -> None:
    """It follows its format, whose newest section comes first."""
    text = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    first = next(line for line in text.splitlines() if line.startswith("## "))
    assert first == "## Unreleased"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("fleetopt so", {"solve", "solvers"}),
        ("fleetopt capacity rec", {"recommend"}),
        ("fleetopt solve --queue-m", {"--queue-model"}),
        ("fleetopt solve --solver lag", {"lagrangian"}),
        ("fleetopt size --queue-model inferno-", {"inferno-3p", "inferno-4p"}),
    ],
)
def test_the_shell_completes_verbs_options_and_plug_ins(typed: str, offered: set[str]) -> None:
    """As bash asks: all words typed, and the number of the last."""
    asked = {
        "_FLEETOPT_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }
    answer = CliRunner().invoke(app, [], prog_name="fleetopt", env=asked)
    assert set(answer.output.split()) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_can_be_shown(shell: str) -> None:
    """It registers a function for the command."""
    answer = CliRunner().invoke(app, ["--show-completion", shell], prog_name="fleetopt")
    assert answer.exit_code == 0
    assert "_FLEETOPT_COMPLETE" in answer.output
