"""`fleetopt capacity sheet`: text, JSON, Markdown, and what wrong input brings."""

from __future__ import annotations

import json
from functools import partial

import pytest

from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli import commands

run = partial(commands.run, "capacity", "sheet")
NAMES = ["memory", "kv", "concurrency", "roofline", "batch", "scaling", "cost", "break-even"]


@pytest.mark.parametrize("name", NAMES)
def test_every_sheet_as_text_json_and_markdown(name: str) -> None:
    """The same title and figures in all three; nothing on standard error."""
    code, text, err = run(name)
    assert (code, err) == (0, "")
    code, out, _ = run(name, "--json")
    document = json.loads(out)
    assert (code, document["schema_version"], document["name"]) == (0, 1, name)
    code, markdown, _ = run(name, "--markdown")
    assert code == 0
    assert document["title"] in text
    assert f"# {document['title']}" in markdown
    for section in document["sections"]:
        assert section["title"] in text
        for line in section["lines"]:
            assert line["arithmetic"] in markdown


@pytest.mark.parametrize("example", ["chatbot", "code-assistant", "rag"])
def test_the_planning_examples(example: str) -> None:
    """Each is one command."""
    code, out, err = run("plan", example)
    assert (code, err) == (0, "")
    assert "In flight, by Little's law" in out


def test_the_reference_figures_are_there() -> None:
    """All readings of the pool and of concurrency."""
    _, out, _ = run("concurrency")
    for words in ("= 18,310", "= 19,660", "= 18,750"):
        assert words in out
    rows = [line.split()[:4] for line in out.splitlines()]
    assert ["512", "35", "38", "36"] in rows
    assert ["8,192", "2", "2", "2"] in rows


def test_another_model_and_options() -> None:
    """Options reach the sheet."""
    code, out, _ = run(
        "plan",
        "chatbot",
        "--model",
        "Qwen/Qwen3-32B",
        "--accelerator",
        "H200-SXM",
        "--precision",
        "fp8",
        "--requests-per-s",
        "20",
        "--peak",
        "2",
        "--usd-per-hour",
        "5",
        "--json",
    )
    document = json.loads(out)
    assert code == 0
    assert "Qwen/Qwen3-32B in fp8 on H200-SXM" in document["title"]
    lines = {one["name"]: one["value"] for part in document["sections"] for one in part["lines"]}
    assert lines["peak rate"] == 40


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("memory", "--tensor-parallel", "3"), "tensor_parallel = 3: 64 heads do not divide by 3"),
        (("memory", "--accelerator", "H1000"), "did you mean"),
        (("memory", "--model", "nobody/nothing"), "nobody/nothing"),
        (("memory", "--precision", "fp7"), "precision = 'fp7'"),
        (("memory", "--pool-gb", "-1"), "pool_gb = -1"),
        (("memory", "--pool-gb", "nan"), "pool_gb = nan"),
        (("kv", "--accelerator", "L4"), "pool_gb = None"),
        (("concurrency", "--context-lengths", "a,b"), "whole numbers above 0"),
        (("cost", "--busy", "1.5"), "utilization = 1.5"),
        (("cost", "--usd-per-hour", "0"), "usd_per_hour = 0"),
        (("cost", "--json", "--markdown"), "choose one of --json and --markdown"),
        (("plan", "nothing"), "known: chatbot, code-assistant, rag"),
        (("plan", "rag", "--peak", "0.5"), "peak = 0.5"),
        (("plan", "rag", "--output-tokens", "0"), "output_tokens = 0"),
        (("break-even", "--volumes", "0"), "whole numbers above 0"),
    ],
)
def test_wrong_input_is_told_in_one_line(arguments: tuple[str, ...], words: str) -> None:
    """A message that names what is wrong, no traceback, exit 2."""
    code, out, err = run(*arguments)
    assert (code, out) == (ExitCode.USAGE, "")
    assert words in " ".join(err.replace("│", " ").split())
    assert "Traceback" not in err
