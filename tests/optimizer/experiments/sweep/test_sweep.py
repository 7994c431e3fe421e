"""Sweeps: their scenarios, their folders, what is resumed."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from optimizer.errors import SpecError
from optimizer.experiments import ExperimentError
from optimizer.experiments.sweep import (
    Sweep,
    SweepRow,
    load_sweep,
    read_sweep_folder,
    scenarios_of,
    sweep,
    sweep_from_data,
)
from optimizer.experiments.sweep.sweep_folder import SweepFolder
from tests.optimizer.experiments.sweep.fleets import SWEEP, written

REPOSITORY = Path(__file__).resolve().parents[4]


def run(path: Path, **options: Any) -> Sweep:
    """Load and solve."""
    return sweep(*load_sweep(path), **options)


def test_all_combinations_the_last_axis_running_fastest(tmp_path: Path) -> None:
    """2 loads x 2 prices x 2 solvers, each with its own key."""
    scenarios = scenarios_of(*load_sweep(written(tmp_path)))
    assert [one.name for one in scenarios[:3]] == [
        "fleet.yaml, load=0.5, B=as it is, solver=highs",
        "fleet.yaml, load=0.5, B=as it is, solver=lagrangian",
        "fleet.yaml, load=0.5, B=dear, solver=highs",
    ]
    assert len(scenarios) == len({one.key for one in scenarios}) == 8


def test_a_sweep_answers_what_solving_each_fleet_answers(tmp_path: Path) -> None:
    """Both solvers reach the same cost; a dearer B never costs less, half the load never more."""
    result = run(written(tmp_path))
    assert result.complete
    cost = {tuple(row.labels.values()): row.figures["total_cost_per_hour"] for row in result.rows}
    for load in (0.5, 1):
        for price in ("as it is", "dear"):
            assert cost[load, price, "highs"] == pytest.approx(cost[load, price, "lagrangian"])
        assert cost[load, "as it is", "highs"] < cost[load, "dear", "highs"]
    assert cost[0.5, "dear", "highs"] < cost[1, "dear", "highs"]
    assert {row.status for row in result.rows} == {"optimal"}


def test_processes_give_the_same_bytes(tmp_path: Path) -> None:
    """Times and workers stand in files of their own."""
    path = written(tmp_path)
    for engine in ("serial", "local:2"):
        run(path, engine=engine, folder=tmp_path / engine.replace(":", ""))
    for name in ("results.jsonl", "results.csv"):
        assert (tmp_path / "serial" / name).read_bytes() == (
            tmp_path / "local2" / name
        ).read_bytes()
    with (tmp_path / "local2" / "times.csv").open() as stream:
        workers = {row["worker"] for row in csv.DictReader(stream)}
    assert f"{os.uname().nodename}:{os.getpid()}" not in workers


def test_what_is_in_the_folder_is_not_solved_again(tmp_path: Path) -> None:
    """A line that was cut off is no row, and is solved; another axis leaves the rest as it was."""
    path, folder = written(tmp_path), tmp_path / "results"
    first = run(path, folder=folder)
    journal = folder / "finished.jsonl"
    journal.write_bytes(journal.read_bytes()[:-30])
    told: list[SweepRow] = []
    again = run(path, folder=folder, told=lambda row, done, of: told.append(row))
    assert (again.taken_over, len(told)) == (7, 1)
    assert again.rows == first.rows
    wider = written(tmp_path, solvers=["highs", "lagrangian", "greedy"])
    assert run(wider, folder=folder).taken_over == 8


def test_what_failed_is_tried_again_when_asked(tmp_path: Path) -> None:
    """An unknown plug-in fails by name; asked again it stays, unless it is to be retried."""
    path, folder = written(tmp_path, solvers=["nonesuch"]), tmp_path / "results"
    result = run(path, folder=folder)
    assert {row.status for row in result.rows} == {"failed"}
    assert "nonesuch" in result.rows[0].error
    assert run(path, folder=folder).taken_over == 4
    assert run(path, folder=folder, retry_failed=True).taken_over == 0


def test_plans_are_kept_when_asked(tmp_path: Path) -> None:
    """The row holds the document; without it, the row is solved again."""
    path, folder = written(tmp_path, solvers=[]), tmp_path / "results"
    run(path, folder=folder)
    result = run(path, folder=folder, with_plans=True)
    assert result.taken_over == 0
    assert {a["service"] for a in result.rows[0].figures["plan"]["allocations"]} == {"one", "two"}


def test_changes_that_contradict_each_other_are_answers(tmp_path: Path) -> None:
    """Each alone is valid; together two services have one name, and the row says so."""
    axes = [
        {"name": "x", "cases": {"a": ["services[one].name=same"]}},
        {"name": "y", "cases": {"b": ["services[two].name=same"]}},
    ]
    (row,) = run(written(tmp_path, axes=axes, solvers=[])).rows
    assert row.status == "invalid"
    assert "same" in row.figures["detail"]


def test_a_value_that_fits_no_fleet_is_refused_before_anything_is_solved(tmp_path: Path) -> None:
    """All such values are told at once."""
    axes = [
        {"name": "x", "range": "services[one].load.arrival_rate_rps=[-1, 1]"},
        {"name": "y", "cases": {"typo": ["services[tow].name=x"]}},
    ]
    with pytest.raises(SpecError) as told:
        run(written(tmp_path, axes=axes))
    assert "arrival_rate_rps" in str(told.value)
    assert "did you mean" in str(told.value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"axes": [{"name": "x"}]}, "range or cases"),
        ({"axes": [{"name": "x", "range": "a=[1]", "cases": {"b": []}}]}, "range or cases"),
        ({"axes": [{"name": "solver", "cases": {"b": []}}]}, "another axis"),
        ({"axes": [{"name": "x", "cases": {"b": []}}] * 2}, "another axis"),
        ({"fleets": []}, "fleets"),
        ({"fleet": "x"}, "fleet"),
        ({"limit_s": -1}, "limit_s"),
        ({"seeds": [-1]}, "seeds"),
    ],
)
def test_faults_of_a_sweep_are_told(changes: dict[str, Any], words: str) -> None:
    """Where, and what is wanted."""
    with pytest.raises(SpecError, match=words):
        sweep_from_data({**SWEEP, **changes})


def test_too_many_scenarios_are_refused(tmp_path: Path) -> None:
    """Before they are made."""
    axes = [
        {"name": str(n), "range": "services[one].load.arrival_rate_rps=1:2:1001"} for n in range(2)
    ]
    path = written(tmp_path, axes=axes, solvers=[])
    with pytest.raises(ExperimentError, match="1,002,001 scenarios"):
        scenarios_of(*load_sweep(path))


def test_a_folder_is_one_sweeps_at_a_time(tmp_path: Path) -> None:
    """The second is told, and told what to do."""
    pytest.importorskip("fcntl", reason="no file locks on this system")
    path, folder = written(tmp_path), tmp_path / "results"
    spec, _ = load_sweep(path)
    with SweepFolder.opened(folder, spec), pytest.raises(ExperimentError, match="another sweep"):
        run(path, folder=folder)


def test_a_folder_is_read_back(tmp_path: Path) -> None:
    """Sweep and rows; of a folder that is none, what is missing."""
    path, folder = written(tmp_path), tmp_path / "results"
    result = run(path, folder=folder)
    spec, rows = read_sweep_folder(folder)
    assert (spec, rows) == (result.spec, result.rows)
    with pytest.raises(ExperimentError, match="no sweep there"):
        read_sweep_folder(tmp_path)
    (folder / "sweep.json").write_text("{}")
    with pytest.raises(ExperimentError, match="not a sweep"):
        read_sweep_folder(folder)


@pytest.mark.skipif(os.name != "posix", reason="no process can be killed on Windows")
def test_killing_the_main_process_loses_no_finished_result(tmp_path: Path) -> None:
    """SIGKILL after the first row: the next run takes every whole line over."""
    path, folder = written(tmp_path), tmp_path / "results"
    process = subprocess.Popen(
        [sys.executable, "-c", "from optimizer.cli import main; main()", "sweep", str(path),
         "-o", str(folder), "--engine", "serial"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    assert process.stderr is not None
    while not process.stderr.readline().startswith("[1/8]"):
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = (folder / "finished.jsonl").read_text().split("\n")[:-1]
    result = run(path, folder=folder)
    assert result.complete
    assert result.taken_over == len({json.loads(line)["key"] for line in kept}) >= 1
