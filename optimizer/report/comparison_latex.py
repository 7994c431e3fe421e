"""The table of a comparison for a paper: LaTeX with the package booktabs."""

from __future__ import annotations

import re

from optimizer.experiments import Cell, Summary
from optimizer.report.figures import number

__all__ = ["comparison_latex", "latex_text"]

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}
_SPECIAL = re.compile(r"[\\~^&%$#_{}]")


def latex_text(text: str) -> str:
    """Return a text that LaTeX sets as it is: names are data, not commands."""
    return _SPECIAL.sub(lambda mark: _ESCAPES[mark.group()], text)


def comparison_latex(summary: Summary) -> str:
    """Return the table: a line per family or instance and solver."""
    clock = "CPU" if summary.rules.time == "cpu_s" else "wall-clock"
    lines = [
        "% \\usepackage{booktabs}",
        "\\begin{tabular}{llrrrrr}",
        "\\toprule",
        f"{summary.rules.by} & solver & gap to best & proven gap & {clock} time [s] & ratio & "
        "solved \\\\",
    ]
    for line in summary.lines:
        lines.append("\\midrule")
        for place, solver in enumerate(summary.solvers):
            lines.append(_line(summary.cells[line, solver], first=place == 0))
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


def _line(cell: Cell, *, first: bool) -> str:
    cells = [
        latex_text(cell.line) if first else "",
        latex_text(cell.solver),
        _percent(cell.gap_mean),
        _percent(cell.proven_mean),
        number(cell.time_s),
        number(cell.time_ratio),
        f"{cell.solved}/{cell.runs}",
    ]
    return " & ".join(cells) + " \\\\"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.4f}\\,\\%"
