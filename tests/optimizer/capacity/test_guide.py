"""What the guide on capacity tells people to type works."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from optimizer.cli import main
from tests.conftest import REPOSITORY

GUIDE = (REPOSITORY / "docs/guides/capacity.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^fleetopt ([^#\n]*)", GUIDE, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_works(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each exits with 0."""
    monkeypatch.setattr(sys, "argv", ["fleetopt", *command.split()])
    with pytest.raises(SystemExit) as exited:
        main()
    assert not exited.value.code


def test_the_python_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The example for Python, offline and anywhere."""
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(code, "guide", "exec"), names)
    assert "found" in names
