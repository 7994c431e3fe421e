"""Sweeps and comparisons as pages, and their tables for papers."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.experiments import Comparison, Protocol, Settings, TableRules, summarise
from optimizer.experiments.sweep import load_sweep, sweep
from optimizer.report.comparison_latex import comparison_latex, latex_text
from optimizer.report.html import comparison_page, sweep_page
from tests.optimizer.experiments.rows import row
from tests.optimizer.experiments.sweep.fleets import written
from tests.optimizer.report.html.pages import Page

pytest.importorskip("jinja2", reason="the extra report is not installed")
pytest.importorskip("matplotlib", reason="the extra report is not installed")


def test_a_sweep_has_a_line_per_scenario_and_a_curve_per_axis_of_numbers(tmp_path: Path) -> None:
    """Load is an axis of numbers; price and solver are not."""
    result = sweep(*load_sweep(written(tmp_path)))
    page = Page(sweep_page(result.spec, result.rows))
    assert page.leads_outside == []
    assert "8 scenarios, largest proven gap 0.0000%" in page.text
    assert "Cost against load" in page.text
    assert "Cost against B" not in page.text
    assert sum(tag == "tr" for tag, _ in page.tags) == 1 + 8


def test_a_sweep_whose_rows_failed_has_a_page(tmp_path: Path) -> None:
    """What went wrong stands beside the scenario; names of axes are text."""
    axes = [{"name": "<b>$x", "cases": {"<i>": []}}]
    result = sweep(*load_sweep(written(tmp_path, axes=axes, solvers=["nonesuch"])))
    page = Page(sweep_page(result.spec, result.rows))
    assert "failed" in page.text
    assert "nonesuch" in page.text
    assert "<b>$x" in page.text


def comparison() -> Comparison:
    """Two solvers on two instances, one with a name that is markup."""
    rows = tuple(
        row(instance=instance, solver=solver, value=value, bound=95.0, gap=0.01)
        for instance in ("<b>one", "two_50%")
        for solver, value in (("a", 100.0), ("b$", 96.0))
    )
    return Comparison(
        protocol=Protocol(settings=Settings(time_limit_s=10.0), solvers=("a", "b$")), rows=rows
    )


def test_a_comparison_shows_its_table_profile_and_curves() -> None:
    """Two pictures; names are text."""
    made = comparison()
    summary = summarise(made.rows, time_limit_s=10.0, known={}, rules=TableRules(by="instance"))
    page = Page(comparison_page(made, summary, {}))
    assert page.leads_outside == []
    assert "<b>one" in page.text
    assert "b$" in page.text
    assert sum(tag == "svg" for tag, _ in page.tags) == 2


def test_latex_sets_names_as_they_are() -> None:
    """Every mark that LaTeX takes for a command is escaped, and lines end as rows do."""
    assert latex_text(r"a_b & 50% #1 $x^2$ {y} ~ \input{z}") == (
        r"a\_b \& 50\% \#1 \$x\textasciicircum{}2\$ \{y\} \textasciitilde{} "
        r"\textbackslash{}input\{z\}"
    )
    summary = summarise(
        comparison().rows, time_limit_s=10.0, known={}, rules=TableRules(by="instance")
    )
    table = comparison_latex(summary)
    assert r"two\_50\%" in table
    body = [line for line in table.splitlines() if "&" in line]
    assert len(body) == 1 + 2 * len(summary.lines)
    assert all(line.endswith(r"\\") and line.count(" & ") == 6 for line in body)
