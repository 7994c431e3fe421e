"""The table of a comparison as text."""

from __future__ import annotations

from rich.console import Console

from optimizer.experiments import (
    Comparison,
    Protocol,
    RunStatus,
    Settings,
    TableRules,
    summarise,
)
from optimizer.report.comparison_text import comparison_view, run_line
from tests.optimizer.experiments.rows import row

ENVIRONMENT = {
    "since": "2026-01-02T03:04:05+00:00",
    "cpu": "Abacus",
    "cpus": 2,
    "memory_gb": 4.0,
    "python": "3.13.0",
    "packages": {"numpy": "9.9"},
    "commit": "abcdef0123456789",
    "clean_tree": False,
}


def text_of(comparison: Comparison, rules: TableRules | None = None, known: bool = False) -> str:
    """What a person reads."""
    summary = summarise(comparison.rows, time_limit_s=60.0, rules=rules)
    console = Console(width=160, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(comparison_view(comparison, summary, known))
    return captured.get()


def comparison(*rows: object, complete: bool = True) -> Comparison:
    """Rows under a protocol with one environment."""
    return Comparison(
        protocol=Protocol(settings=Settings(), environments={"here": ENVIRONMENT}),
        rows=rows,  # type: ignore[arg-type]
        complete=complete,
    )


def test_protocol_figures_and_rules_are_on_the_page() -> None:
    """Limits, machine and versions before the numbers; the rules after them."""
    text = text_of(
        comparison(
            row("a", "x", 100.0, cpu_s=1.0, gap=0.0, environment="here", peak_memory_mb=50.0),
            row("a", "y", 110.0, cpu_s=2.0, gap=0.2, termination="feasible", environment="here"),
        )
    )
    for expected in (
        "time limit 60 s (killed after 100 s), gap 1e-06, 1 thread(s)",
        "Abacus, 2 CPU(s), 4.0 GB; 2026-01-02; Python 3.13.0, numpy 9.9; commit abcdef0123",
        "with changes",
        "10% (10%)",
        "20% (20%)",
        "50 MB",
        "1/1",
        "0/1",
        "2x",
        "shift 0.1 s",
        "ratio to x",
        "the best of these runs",
    ):
        assert expected in text
    assert "failed run" not in text


def test_failures_and_gaps_in_the_data_are_said() -> None:
    """Failed runs with their words, missing values, an interrupt."""
    text = text_of(
        comparison(
            row("a", "x", 1.0),
            row("a", "y", None, status=RunStatus.ERROR, termination=None, error="no\nlicence"),
            complete=False,
        ),
        TableRules(solved_at=0.01, time="total_s", reference="y"),
        known=True,
    )
    for expected in (
        "1 failed run(s), counted in the table",
        "a, y, seed 0: error: no licence",
        "y: 1 run(s) without a value are in no gap",
        "Interrupted",
        "0/1 (1 failed)",
        "gap to best is at most 0.01",
        "wall-clock seconds",
        "ratio to y",
        "the listed best value",
    ):
        assert expected in text


def test_a_run_fits_on_a_line() -> None:
    """Value, gap and CPU of an answer; the status of a failure."""
    answered = row("a", "x", 12345.5, gap=0.001, termination="feasible", limit="time", cpu_s=3.0)
    assert run_line(answered) == (
        "a, x, seed 0: feasible (time), 12345.5, proven gap 0.1%, CPU 3 s"
    )
    nothing = row("a", "x", None, termination="infeasible", cpu_s=None)
    assert run_line(nothing) == "a, x, seed 0: infeasible, no value, proven gap -, CPU -"
