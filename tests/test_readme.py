"""The README's first commands answer what it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli.commands import REPOSITORY
from tests.optimizer.cli.in_process import called

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
INSTALLED, SHOWN = re.findall(r"^```\n(.*?)^```", README, re.DOTALL | re.MULTILINE)[:2]
COMMANDS = re.findall(r"^fleetopt (.*?) +#", INSTALLED, re.MULTILINE)


def test_three_commands_lead_to_a_plan_and_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every line that they print is in the README, and no other; the page's size may differ."""
    for package in ("jinja2", "matplotlib"):
        pytest.importorskip(package, reason="the extra report is not installed")
    monkeypatch.chdir(tmp_path)
    assert len(COMMANDS) == 3
    printed: list[str] = []
    for command in COMMANDS:
        status = called(tuple(command.split()))
        said = capsys.readouterr()
        assert status == ExitCode.OK, said.err
        printed += [line.rstrip() for line in (said.out + said.err).splitlines()]
    printed = [_without_size(line) for line in printed if "compiling" not in line]
    assert printed == [_without_size(line) for line in SHOWN.splitlines()]
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def _without_size(line: str) -> str:
    """It goes with the version of what draws."""
    return re.sub(r", [\d.]+ MB$", "", line)
