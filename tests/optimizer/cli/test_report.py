"""`fleetopt report` as a person runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from optimizer.cli.exit_codes import ExitCode
from optimizer.spec import dump
from tests.optimizer.cli.commands import run
from tests.optimizer.experiments.sweep.fleets import written
from tests.optimizer.fleet.fleets import fleet, service

pytest.importorskip("jinja2", reason="the extra report is not installed")
pytest.importorskip("matplotlib", reason="the extra report is not installed")


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """The plan of two idle services."""
    spec = tmp_path / "fleet.yaml"
    spec.write_text(dump(fleet(services=[service("x"), service("y")])), encoding="utf-8")
    status, out, err = run("solve", spec, "--json")
    assert status == ExitCode.OK, err
    path = tmp_path / "plan.json"
    path.write_text(out, encoding="utf-8")
    return path


def test_a_plan_becomes_a_page(plan: Path, tmp_path: Path) -> None:
    """With what was asked for; where it went is told on standard error."""
    page = tmp_path / "page.html"
    options = ("--tornado", "--share", "0.5", "--prices", "--previous", plan, "-o", page)
    status, out, err = run("report", plan, *options)
    assert (status, out) == (ExitCode.OK, ""), err
    assert f"wrote {page}" in err
    text = page.read_text(encoding="utf-8")
    assert "What the cost hangs on" in text
    assert "price of one more" in text
    assert "Nothing." in text


def test_a_sweep_becomes_a_page_on_standard_output(tmp_path: Path) -> None:
    """`-o -` is the page alone."""
    folder = tmp_path / "results"
    sweep = written(tmp_path, solvers=["highs"])
    assert run("sweep", sweep, "--engine", "serial", "-o", folder)[0] == 0
    status, out, _ = run("report", folder, "-o", "-")
    assert status == ExitCode.OK
    assert out.startswith("<!doctype html>")
    assert "4 scenarios" in out


def test_a_comparison_becomes_a_page_and_a_table_for_latex(tmp_path: Path) -> None:
    """`compare` writes the table beside the others."""
    folder = tmp_path / "results"
    options = ("--instances", "fleet:20", "--solvers", "greedy,highs", "--no-warm-up")
    assert run("compare", *options, "-o", folder)[0] == 0
    assert "\\toprule" in (folder / "summary.tex").read_text()
    status, out, _ = run("report", folder, "-o", "-")
    assert status == ExitCode.OK
    assert "greedy, highs on 1 instances" in out


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("none.json",), ExitCode.SPEC_INVALID, "none.json"),
        ((".", "--prices"), ExitCode.USAGE, "takes no option but -o"),
        ((".",), ExitCode.USAGE, "no results of a comparison there"),
    ],
)
def test_what_is_no_result_is_refused(
    tmp_path: Path,
    arguments: tuple[str, ...],
    status: int,
    words: str,
) -> None:
    """In a line, without a traceback."""
    got, _, err = run("report", *arguments, cwd=tmp_path)
    assert (got, "Traceback" in err) == (status, False)
    assert words in " ".join(err.split())


def test_an_unknown_measure_is_refused(plan: Path) -> None:
    """With those there are."""
    status, _, err = run("report", plan, "--pareto", "speed")
    assert status == ExitCode.USAGE
    assert "ttft_ms" in err


def test_a_horizon_and_uncertain_loads_become_pages(tmp_path: Path) -> None:
    """Each of its own kind; a horizon has no load that options could ask more about."""
    loads = {
        "horizon": {"periods": [{"name": "day"}, {"name": "night"}]},
        "uncertainty": {"scenarios": [{"name": "usual"}, {"name": "busy"}]},
    }
    for kind, verb in (("horizon", "horizon"), ("uncertainty", "solve")):
        spec, made = tmp_path / "fleet.yaml", tmp_path / "plan.json"
        spec.write_text(dump(fleet(services=[service("x")], **{kind: loads[kind]})), "utf-8")
        assert run(verb, spec, "-o", made)[0] == ExitCode.OK
        status, out, err = run("report", made, "-o", "-")
        assert status == ExitCode.OK, err
        assert ("over 2 periods" in out) == (kind == "horizon")
        status, out, err = run("report", made, "--prices", "-o", "-")
        assert ("price of one more" in out) == (kind == "uncertainty")
        assert ("takes no option but -o" in err) == (kind == "horizon")
