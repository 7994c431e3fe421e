"""`fleetopt pareto` as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path

from optimizer.cli.exit_codes import ExitCode
from optimizer.spec import dump
from tests.optimizer.cli.commands import run
from tests.optimizer.fleet.test_pareto import three_types


def test_a_table_a_document_and_a_picture(tmp_path: Path) -> None:
    """The same points in each; wrong questions are refused in a line."""
    path, picture = tmp_path / "fleet.yaml", tmp_path / "front.png"
    path.write_text(dump(three_types(2)), encoding="utf-8")
    shown = run("pareto", path, "--against", "power_kw", "--plot", picture)
    assert shown.returncode == ExitCode.OK, shown.stderr
    assert "all of them" in shown.stdout
    assert "+18.00, +900.0%" in shown.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
    document = json.loads(run("pareto", path, "--against", "power_kw", "--json").stdout)
    assert document["complete"] is True
    assert [point["cost_per_hour"] for point in document["points"]] == [2, 6, 10, 11, 15, 20]
    for arguments in (
        ("--against", "joy"),
        ("--points", "1"),
        ("--against", "moves"),
        ("--plot", tmp_path / "front.xyz"),
    ):
        done = run("pareto", path, *arguments)
        assert (done.returncode, "Traceback" in done.stderr) == (ExitCode.USAGE, False)
