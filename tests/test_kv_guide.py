"""What the guide on KV caches tells people to type works, and answers what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli.commands import REPOSITORY, run

GUIDE = (REPOSITORY / "docs/guides/kv-caches.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^fleetopt (.*)$", GUIDE, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_works_and_prints_what_is_quoted(command: str, tmp_path: Path) -> None:
    """Each exits with 0; the answers that the guide quotes are the first lines."""
    (devices,) = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "store.yaml").write_text(devices, encoding="utf-8")
    done = run(*command.split(), cwd=tmp_path)
    assert done.returncode == ExitCode.OK, done.stderr
    if "Llama-2-7b" in command or "Llama-3.1-8B" in command:
        assert done.stdout.splitlines()[0].rstrip() in GUIDE


def test_the_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The controller follows the disk that has become slow."""
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    exec(compile(code, "guide", "exec"), {})
    name, ratio = capsys.readouterr().out.split()
    assert name == "disk"
    assert 20 <= int(ratio.rstrip("%")) <= 30
