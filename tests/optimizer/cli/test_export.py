"""`fleetopt export` as a person runs it."""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path

import pytest

from optimizer.cli.exit_codes import ExitCode
from optimizer.spec import FleetSpec, dump
from tests.optimizer.cli.commands import run
from tests.optimizer.fleet.fleets import fleet, service


def written(folder: Path, spec: FleetSpec) -> tuple[Path, Path]:
    """Write a fleet and its plan."""
    source, plan = folder / "fleet.yaml", folder / "plan.json"
    source.write_text(dump(spec), encoding="utf-8")
    run("solve", source, "-o", plan)
    return source, plan


def test_a_table_has_a_line_per_allocation_and_no_formulas(tmp_path: Path) -> None:
    """Three services of which room is for two; names that spreadsheets would run are defused."""
    spec = fleet(
        services=[service("=1+1"), service("@x"), service("z")],
        capacities=[{"type": "A", "cards": 0}, {"type": "B", "cards": 2}],
    )
    _, plan = written(tmp_path, spec)
    done = run("export", plan, "--format", "csv")
    rows = list(csv.DictReader(StringIO(done.stdout)))
    assert sorted(row["service"] for row in rows) == ["'=1+1", "'@x", "z"]
    assert [row["accelerator"] for row in rows] == ["B", "B", ""]
    assert rows[2]["why_unserved"].startswith("no room")


@pytest.mark.parametrize("suffix", ["mps", "lp"])
@pytest.mark.parametrize("allocation", ["choose", "split"])
def test_the_array_problem_has_the_plans_optimum(
    tmp_path: Path, suffix: str, allocation: str
) -> None:
    """HiGHS reads the file and finds the plan's cost: two of three served, on B at 5 each.

    Under strict priorities at most one may stay unserved, which a row of the file says; without
    it nobody would be served, at no cost. Services that split may do so as well.
    """
    import highspy

    spec = fleet(
        services=[service("x"), service("y"), service("z")],
        capacities=[{"type": "A", "cards": 0}, {"type": "B", "cards": 2}],
        optimizer={"allocation": allocation},
    )
    source, _ = written(tmp_path, spec)
    target = tmp_path / f"out.{suffix}"
    done = run("export", source, "--format", suffix, "-o", target)
    assert done.returncode == ExitCode.OK, done.stderr
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.readModel(str(target))
    names = {highs.getColName(column)[1] for column in range(highs.getNumCol())}
    assert {"x.unserved", "y.unserved", "z.unserved"} <= names
    assert any(name.startswith("x@B.batch") for name in names)
    assert "B" in {highs.getRowName(row)[1] for row in range(highs.getNumRow())}
    highs.run()
    assert highs.getInfo().objective_function_value == pytest.approx(10)


def test_wrong_sources_are_refused_in_a_line(tmp_path: Path) -> None:
    """A fleet for a plan, a plan for a fleet, an infeasible plan, an unknown format."""
    source, plan = written(tmp_path, fleet(services=[service("x")]))
    for arguments, status, words in (
        ((source, "--format", "csv"), ExitCode.USAGE, "comes first"),
        ((plan, "--format", "mps"), ExitCode.SPEC_INVALID, "is a plan: must be a fleet"),
        ((plan, "--format", "xls"), ExitCode.USAGE, "kubernetes"),
        ((plan, "--format", "hpa", "--headroom", "-1"), ExitCode.USAGE, "must be 0 or more"),
        ((plan, "--format", "csv", "-o", tmp_path / "no" / "x"), ExitCode.USAGE, "cannot write"),
    ):
        done = run("export", *arguments)
        assert (done.returncode, "Traceback" in done.stderr) == (status, False)
        assert words in done.stderr
    unserved = fleet(
        services=[service("x")],
        capacities=[{"type": "A", "cards": 0}, {"type": "B", "cards": 0}],
        optimizer={"unserved": "forbidden"},
    )
    source, plan = written(tmp_path, unserved)
    assert run("export", plan, "--format", "csv").returncode == ExitCode.INFEASIBLE
    assert "<= +0" in run("export", source, "--format", "lp").stdout  # a model that has no solution
