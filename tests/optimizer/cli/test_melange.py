"""Mélange's inputs at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from optimizer.cli.exit_codes import ExitCode
from optimizer.spec import load
from tests.optimizer.cli.commands import run

RELEASE_EXAMPLE = {
    "gpu_info": {
        "A10G": {"cost": 1.01, "tputs": [[2, 1], [5, 2]]},
        "A100-80GB": {"cost": 3.67, "tputs": [[20, 20], [40, 20]]},
    },
    "workload_distribution": [[0.2, 0.1], [0.5, 0.2]],
    "total_request_rate": 30.0,
    "slice_factor": 1,
}


@pytest.fixture
def workload(tmp_path: Path) -> Path:
    """A file with the example of Mélange's release."""
    path = tmp_path / "workload.json"
    path.write_text(json.dumps(RELEASE_EXAMPLE), encoding="utf-8")
    return path


def test_solve_recognises_the_format(workload: Path) -> None:
    """The plan costs 4.68 an hour, and carries the shares and the route of every bucket."""
    done = run("solve", str(workload), "--json")
    assert done.returncode == ExitCode.OK, done.stderr
    plan = json.loads(done.stdout)
    assert plan["schema_version"] == 1
    assert plan["total_cost_per_hour"] == pytest.approx(4.68)
    assert plan["relative_gap"] == 0.0
    assert sum(a["share"] for a in plan["allocations"]) == pytest.approx(1.0)
    assert all(a["routes"] for a in plan["allocations"])
    limited = run("solve", str(workload), "--json", "--max-different", "1")
    assert json.loads(limited.stdout)["total_cost_per_hour"] == pytest.approx(7.34)


def test_import_writes_a_fleet_and_says_what_it_assumed(workload: Path, tmp_path: Path) -> None:
    """The written file loads; notes go to standard error."""
    target = tmp_path / "fleet.yaml"
    done = run("import", "melange", str(workload), "-o", str(target))
    assert done.returncode == ExitCode.OK, done.stderr
    assert "slice_factor: not carried over" in done.stderr
    assert load(target).services[0].length_buckets is not None
