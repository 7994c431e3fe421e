"""What the guide on KV caches tells people to type works, and answers what it says."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

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
    (samples,) = re.findall(r"```csv\n(.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "samples.csv").write_text(samples, encoding="utf-8")
    done = run(*command.split(), cwd=tmp_path)
    assert done.returncode == ExitCode.OK, done.stderr
    if any(quoted in command for quoted in ("Llama-2-7b", "Llama-3.1-8B", "--mode sequential")):
        assert done.stdout.splitlines()[0].rstrip() in GUIDE


def test_the_python_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The controller follows the disk that has become slow."""
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    exec(compile(code, "guide", "exec"), {})
    name, ratio = capsys.readouterr().out.split()
    assert name == "disk"
    assert 20 <= int(ratio.rstrip("%")) <= 30


def test_a_published_table_is_compared_as_the_guide_does() -> None:
    """Times made by Tc Tl / (Tc + Tl) with a linear law are met exactly; 3 % off is 3 % off."""
    (code,) = re.findall(r"^(    import numpy as np\n.*?\n)(?=\S)", GUIDE, re.DOTALL | re.MULTILINE)
    namespace: dict[str, Any] = {}
    exec(compile(textwrap.dedent(code), "guide", "exec"), namespace)
    tokens, gb_s = [4000, 8000, 8000], [1.0, 1.0, 4.0]
    compute_s = [0.8, 1.6, 1.6]
    load_s = [t * 819_200 / 1e9 / b for t, b in zip(tokens, gb_s, strict=True)]
    both_s = [c * io / (c + io) for c, io in zip(compute_s, load_s, strict=True)]
    met = namespace["split_against"](tokens, gb_s, compute_s, both_s)
    assert met["worst"] == pytest.approx(0.0, abs=1e-9)
    off = namespace["split_against"](tokens, gb_s, compute_s, [s / 1.03 for s in both_s])
    assert off["mean"] == pytest.approx(0.03)
