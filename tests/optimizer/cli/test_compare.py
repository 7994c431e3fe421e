"""`fleetopt compare`: data on stdout, words on stderr, folders that resume."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli.commands import run
from tests.solvers.instances.layouts import INST


@pytest.fixture
def by_hand(tmp_path: Path) -> Path:
    """The instance whose best profit is 16."""
    path = tmp_path / "by-hand.txt"
    path.write_text(INST)
    return path


def test_compare_writes_results_and_makes_tables_from_them_again(
    by_hand: Path, tmp_path: Path
) -> None:
    """Two instances after one --instances, a table on stdout, progress on stderr, files."""
    folder = tmp_path / "results"
    done = run(
        "compare", "--instances", by_hand, "classical:3:items=2:rows=2", "--solvers",
        "greedy,milp", "--time-limit", "5", "--no-warm-up", "-o", folder,
    )  # fmt: skip
    assert done.returncode == ExitCode.OK, done.stderr
    assert "[4/4]" in done.stderr
    assert "solved" in done.stdout
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "runs.jsonl", "runs.csv", "summary.csv", "summary.tex", "profile.csv", "protocol.json",
    }  # fmt: skip
    with (folder / "runs.csv").open(newline="") as stream:
        rows = {(row["instance"], row["solver"]): row for row in csv.DictReader(stream)}
    assert rows["by-hand", "milp"]["value"] == "16.0"
    again = run("compare", "--from", folder, "--solvers", "milp", "--by", "instance", "--json")
    document = json.loads(again.stdout)
    assert again.returncode == ExitCode.OK
    assert document["schema_version"] == 1
    assert {entry["solver"] for entry in document["runs"]} == {"milp"}
    assert [cell["line"] for cell in document["summary"]][-1] == "all"
    assert again.stderr == ""


def test_listed_best_values_are_what_gaps_refer_to(by_hand: Path, tmp_path: Path) -> None:
    """20 is listed, 16 is possible: 20 % behind."""
    best = tmp_path / "best.csv"
    best.write_text("instance,value\nby-hand,20\n")
    done = run(
        "compare", "--instances", by_hand, "--solvers", "milp", "--no-warm-up", "--best-known",
        best, "--json",
    )  # fmt: skip
    (entry,) = json.loads(done.stdout)["runs"]
    assert entry["gap_to_best"] == pytest.approx(0.2)
    assert entry["best_value"] == 20.0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), ExitCode.USAGE, "--instances"),
        (("--instances", "fleet:5"), ExitCode.USAGE, "--solvers"),
        (("--instances", "fleet:5", "--solvers", "gredy"), ExitCode.USAGE, "did you mean"),
        (("--instances", "flete:5", "--solvers", "greedy"), ExitCode.USAGE, "did you mean"),
        (("--instances", "fleet:5", "--from", "x"), ExitCode.USAGE, "--from"),
        (("--from", "nowhere"), ExitCode.USAGE, "no results of a comparison there"),
        (("--instances", "fleet:5", "--solvers", "greedy", "--plots"), ExitCode.USAGE, "folder"),
        (
            ("--instances", "fleet:5", "--solvers", "greedy", "--seeds", "a"),
            ExitCode.USAGE,
            "--seeds",
        ),
        (
            ("--instances", "fleet:5", "--solvers", "greedy", "--time-limit", "0"),
            ExitCode.USAGE,
            "time limit = 0.0",
        ),
    ],
)
def test_mistakes_are_told_without_a_traceback(
    arguments: tuple[str, ...], code: ExitCode, message: str
) -> None:
    """Nothing on stdout; the message names the argument."""
    done = run("compare", *arguments)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_plots_without_matplotlib_exit_6_before_any_run(tmp_path: Path) -> None:
    """A module that cannot be found stands for the missing extra."""
    blocker = tmp_path / "sitecustomize.py"
    blocker.write_text("import sys; sys.modules['matplotlib'] = None\n")
    done = run(
        "compare", "--instances", "fleet:5", "--solvers", "greedy", "-o", tmp_path / "r", "--plots",
        env={"PYTHONPATH": f"{tmp_path}:{Path(__file__).resolve().parents[3]}"},
    )  # fmt: skip
    assert done.returncode == ExitCode.PLUGIN
    assert "pip install 'fleetopt[plot]'" in done.stderr
    assert not (tmp_path / "r").exists()
