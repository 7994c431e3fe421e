"""`fleetopt sweep` as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli.commands import document, run
from tests.optimizer.experiments.sweep.fleets import written


def test_a_table_with_a_line_per_scenario_and_progress_apart(tmp_path: Path) -> None:
    """The verdict comes first; progress goes to standard error."""
    status, out, err = run("sweep", written(tmp_path), "--engine", "serial")
    assert status == ExitCode.OK
    assert out.startswith("sweep: 8 scenarios: 8 optimal")
    assert len(out.splitlines()) == 3 + 8
    assert "[8/8] fleet.yaml, load=1, B=dear, solver=lagrangian: optimal" in err


def test_the_document_holds_every_result(tmp_path: Path) -> None:
    """The same as results.jsonl, line by line."""
    folder = tmp_path / "results"
    told = document("sweep", written(tmp_path), "--engine", "serial", "-o", folder)
    assert (told["complete"], told["scenarios"]) == (True, 8)
    lines = (folder / "results.jsonl").read_text().splitlines()
    assert told["results"] == [json.loads(line) for line in lines]


def test_what_cannot_be_solved_is_told_below_the_table(tmp_path: Path) -> None:
    """With the scenario's name, and why."""
    axes = [{"name": "x", "cases": {"a": ["services[one].name=same", "services[two].name=same"]}}]
    status, _, err = run("sweep", written(tmp_path, axes=axes, solvers=[]), "--engine", "serial")
    assert status == ExitCode.SPEC_INVALID
    assert "same" in err
    axes = [{"name": n, "cases": {n: [f"services[{n}].name=same"]}} for n in ("one", "two")]
    status, out, _ = run("sweep", written(tmp_path, axes=axes, solvers=[]), "--engine", "serial")
    assert status == ExitCode.OK
    assert "1 invalid" in out
    assert "fleet.yaml, one=one, two=two: with services[one].name=same" in out


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (("--engine", "spark"), ExitCode.USAGE, "engine 'spark': must be serial"),
        (("-o", "/dev/null/x"), ExitCode.USAGE, "cannot be written"),
    ],
)
def test_wrong_options_are_told_in_a_line(
    tmp_path: Path, options: tuple[str, ...], status: int, words: str
) -> None:
    """Nothing is solved, no traceback."""
    got, _, err = run("sweep", written(tmp_path), *options)
    assert got == status
    assert words in err
    assert "Traceback" not in err


def test_a_file_that_is_no_sweep_is_refused(tmp_path: Path) -> None:
    """As every other document: where, and what is wanted."""
    path = tmp_path / "empty.yaml"
    path.write_text("")
    status, _, err = run("sweep", path)
    assert status == ExitCode.SPEC_INVALID
    assert "must be a sweep" in err
    path.write_text("fleets: [none.yaml]\n")
    status, _, err = run("sweep", path)
    assert status == ExitCode.SPEC_INVALID
    assert "none.yaml" in err
