"""The gallery of examples names them all, and each of its commands runs."""

from __future__ import annotations

import re
import shlex

import pytest

from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli.commands import REPOSITORY
from tests.optimizer.cli.in_process import called

PAGE = (REPOSITORY / "docs/examples.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `(\S+\.yaml)` \|.*\| `(.*)` \|$", PAGE, re.MULTILINE))
OURS = {name: line for name, line in ROWS.items() if line.startswith("fleetopt ")}
# What solves more than one small fleet.
SLOW = {"control/lab.yaml", "horizon.yaml", "sweep.yaml", "uncertain.yaml"}


def test_every_file_of_the_examples_is_in_the_gallery() -> None:
    """And nothing is that is not there; a command names its file."""
    folder = REPOSITORY / "examples"
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.yaml")} == ROWS.keys()
    assert all(f"examples/{name}" in command for name, command in ROWS.items())


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in OURS]
)
def test_an_example_runs(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the root of the checkout, as the page says it."""
    monkeypatch.chdir(REPOSITORY)
    status = called(tuple(shlex.split(OURS[name])[1:]))
    shown = capsys.readouterr()
    assert status == ExitCode.OK, shown.err
    assert shown.out
