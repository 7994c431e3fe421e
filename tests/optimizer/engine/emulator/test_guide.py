"""The guide on the emulator does what it says."""

from __future__ import annotations

import re

import pytest

from tests.optimizer.cli.commands import REPOSITORY
from tests.optimizer.engine.emulator.calls import call
from tests.optimizer.engine.emulator.served import Served

GUIDE = (REPOSITORY / "docs/guides/emulator.md").read_text(encoding="utf-8")
CLIENT, LABORATORY = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


def test_the_client_of_the_guide_runs(tiny: Served, capsys: pytest.CaptureFixture[str]) -> None:
    """Against an emulator at another address it prints a text and how many tokens there were."""
    pytest.importorskip("openai", reason="the official client is not installed")
    code = CLIENT.replace("http://127.0.0.1:8000", tiny.url)
    code = code.replace("meta-llama/Llama-3.1-8B", "tiny")
    exec(f"{code}\nstream.close()\nclient.close()\n", {})
    assert re.search(r"\w+.*\n\d+ tokens in, \d+ out\n$", capsys.readouterr().out)


def test_the_laboratory_of_the_guide_prints_what_it_shows(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Ten minutes under a rule of thumb, with a slow replica in the middle."""
    exec(compile(LABORATORY, "guide", "exec"), {})
    shown = GUIDE.split("It prints the minute")[1].split("```")[1].strip()
    assert capsys.readouterr().out.strip() == shown


def test_the_table_of_metrics_names_what_is_there(tiny: Served) -> None:
    """Every metric that `/metrics` shows is in the guide's table, and none else."""
    _, _, text = call(tiny.url, "GET", "/metrics")
    kinds = dict(re.findall(r"^# TYPE vllm:(\w+) (\w+)$", text.decode(), re.MULTILINE))
    table = GUIDE.split("| metric (`vllm:` before each)")[1].split("\n\n")[0]
    rows = [line.split("|")[1:3] for line in table.splitlines()[2:]]
    named = {
        name: kind.strip()
        for names, kind in rows
        for name in re.findall(r"`(\w+?)(?:\{[^}]*\})?`", names)
    }
    assert named == kinds
