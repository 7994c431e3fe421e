"""The benchmark over Mélange's instances runs, and judges what it measures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.melange import Row, main, table


def _data(folder: Path, optimum: float) -> Path:
    """One small instance and what is listed of it."""
    (folder / "instances").mkdir()
    document = {
        "gpu_info": {"A": {"cost": 2.0, "tputs": [[4.0]]}},
        "workload_distribution": [[1.0]],
        "total_request_rate": 10.0,
        "slice_factor": 1,
    }
    (folder / "instances" / "small.json").write_text(json.dumps(document), encoding="utf-8")
    listed = [
        {
            "instance": "small",
            "melange": {"cost": 6.0, "solve_cpu_s": 0.5},
            "reference": {"divisible_load_optimum": {"cost": optimum}},
        }
    ]
    (folder / "results.json").write_text(json.dumps(listed), encoding="utf-8")
    return folder


@pytest.mark.parametrize(("optimum", "status"), [(6.0, 0), (5.0, 1)])
def test_a_missed_optimum_is_a_failure(
    optimum: float, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """3 replicas at 2 carry 10 requests/s at 4 each; a lower listed optimum is reported missed."""
    folder = _data(tmp_path, optimum)
    arguments = ["--data", str(folder), "--repeat", "1", "-o", str(tmp_path / "out.csv")]
    assert main(arguments) == status
    printed = capsys.readouterr().out
    assert f"{1 - status} of 1 at the optimum" in printed
    assert (tmp_path / "out.csv").read_text(encoding="utf-8").startswith("instance,cost")


def test_what_ran_out_of_time_stays_in() -> None:
    """An instance that Mélange did not finish is shown as such, and counted on our side."""
    rows = [Row("x", 1.0, 1.0, 0.0, 1.0, None, 0.5, 0.6, None)]
    assert "time out" in table(rows)
    assert "for the 0 it finished" in table(rows)
