"""The page on the reference sheet has the figures that the code gives today."""

from __future__ import annotations

import re

import pytest

from benchmarks.reference_sheet import COMMAND, PAGE, page

TEXT = page()


def test_the_page_is_what_the_code_says() -> None:
    """Word for word; on failure run the command that it names."""
    assert PAGE.read_text(encoding="utf-8") == TEXT, f"run: {COMMAND}"


def row(words: str) -> tuple[str, str]:
    """Return verdict and right column of the claim that begins like that."""
    (line,) = (one for one in TEXT.splitlines() if one.startswith(f"| {words}"))
    _, _, verdict, instead, _ = line.split(" | ") if line.count(" | ") == 4 else _cells(line)
    return verdict, instead


def _cells(line: str) -> tuple[str, str, str, str, str]:
    words, verdict, instead = line.strip("| ").split(" | ")
    return "", words, verdict, instead, ""


@pytest.mark.parametrize(
    ("words", "verdict", "figures"),
    [
        ("50,000 tokens/s steadily", "no", ["381"]),
        ("batch 64", "no", ["25.2 GB", "holds 15"]),
        ("prefill of 1,000 tokens", "no", ["138 TFLOP", "70 ms"]),
        ("278K / 50K: 6 H100", "no", ["19.6 cards"]),
        ("1,000 / 60 = 17", "no", ["Little's law", "16.7/s"]),
        ("ITL p50 below 20 ms", "no", ["20.9 ms"]),
        ("contexts of 128K", "no", ["42.9 GB"]),
        ("more than 100 concurrent", "no", ["144 tokens"]),
        ("GPT-4o at 2.50", "no", ["price of input tokens"]),
        ("2,520 USD a month", "no", ["221,760"]),
        ("36/18/9/4/2 requests", "in part", ["35/17/8/4/2", "38/19/9/4/2"]),
        ("6 GB / 320 kB", "no", ["18,310", "19,660"]),
        ("327,680 bytes", "holds", ["320 KiB"]),
        ("20.9 ms per token", "bound", ["70 GB / 3.35 TB/s"]),
        ("21/21/21/22/24/28", "bound", ["1,200 tokens"]),
    ],
)
def test_every_suspect_is_judged(words: str, verdict: str, figures: list[str]) -> None:
    """With the arithmetic that decides."""
    found, instead = row(words)
    assert found == verdict
    for figure in figures:
        assert figure in instead


def test_every_command_exists() -> None:
    """The page names sheets of the command line."""
    from optimizer.cli.capacity_sheet import app

    names = {command.name for command in app.registered_commands}
    assert set(re.findall(r"capacity sheet ([a-z-]+)", TEXT)) <= names
