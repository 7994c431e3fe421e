"""The page: every requirement with its verdict, its figures and the tests that show it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.requirements.figures import Figure
from benchmarks.requirements.statement import REQUIREMENTS, Requirement

__all__ = ["FIGURES", "PAGE", "page_of"]

_ROOT = Path(__file__).resolve().parents[2]
FIGURES = Path(__file__).with_name("figures.csv")
PAGE = _ROOT / "docs" / "background" / "requirements.md"

_HEAD = """\
# The requirements of an inference engine, one by one

Ten functions and thirteen figures that an inference engine is asked for, and what this simulator
and its models say of each: the tests that show it, the figures, and for which model, accelerator
and fleet it can or cannot hold. What depends on a device is computed by the
[performance model](iteration-times.md) and the [capacity model](capacity.md), whose errors their
pages tell, and simulated by the [engine](engine.md); nothing here was measured on an accelerator.

`python -m benchmarks.requirements` computes, simulates and measures every figure and writes this
page; `benchmarks/requirements/figures.csv` has them all. CPU times are those of one thread of a
shared, busy machine.

"""


def page_of(figures: Sequence[Figure]) -> str:
    """Return the page as Markdown."""
    lines = ["| | asked for | |", "| --- | --- | --- |"]
    lines += [f"| [{r.name}](#{r.name.lower()}) | {r.target} | {r.verdict} |" for r in REQUIREMENTS]
    parts = [_section(r, [f for f in figures if f.requirement == r.name]) for r in REQUIREMENTS]
    return _HEAD + "\n".join(lines) + "\n\n" + "\n\n".join(parts) + "\n"


def _section(requirement: Requirement, figures: Sequence[Figure]) -> str:
    lines = [f"## {requirement.name}", "", f"*{requirement.target}*: {requirement.verdict}."]
    lines += [requirement.words, ""]
    if figures:
        lines += _table(figures)
        lines.append("")
    lines.append("Shown by " + ", ".join(map(_link, requirement.shown_by)) + ".")
    return "\n".join(lines)


def _table(figures: Sequence[Figure]) -> list[str]:
    """One row per setting, one column per kind of figure."""
    columns = list(dict.fromkeys((f.figure, f.unit) for f in figures))
    lines = [
        "| | " + " | ".join(f"{name} [{unit}]" for name, unit in columns) + " |",
        "| --- |" + " ---: |" * len(columns),
    ]
    for setting in dict.fromkeys(f.setting for f in figures):
        here = {(f.figure, f.unit): f for f in figures if f.setting == setting}
        cells = [_cell(here.get(column)) for column in columns]
        lines.append(f"| {setting} | " + " | ".join(cells) + " |")
    return lines


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    value = figure.value
    text = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    if 99.0 < value < 100.0:
        text = f"{value:.2f}"
    return text if figure.holds is not False else f"{text} (no)"


def _link(test: str) -> str:
    file, _, name = test.partition("::")
    words = name.removeprefix("test_").replace("_", " ")
    return f"[{words}](../../{file})"
