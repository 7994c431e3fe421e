"""`fleetopt whatif` and `fleetopt diff` as a person runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from optimizer.cli.exit_codes import ExitCode
from optimizer.spec import dump
from tests.optimizer.cli.commands import run
from tests.optimizer.fleet.fleets import fleet, service


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.yaml"
    path.write_text(dump(fleet(services=[service("x"), service("y")])), encoding="utf-8")
    return path


def test_a_sweep_is_a_table_of_cases_and_a_document(small: Path) -> None:
    """Prices of B from 5 to 15: two replicas cost 10, then 20 on A's two cards."""
    sweep = ("whatif", small, "--range", "accelerators[B].cost_per_hour=5:15:2")
    shown = run(*sweep)
    assert shown.returncode == ExitCode.OK
    assert "accelerators[B].cost_per_hour=15" in shown.stdout
    assert "+10.00, +100.0%" in shown.stdout
    document = json.loads(run(*sweep, "--json").stdout)
    assert document["schema_version"] == 1
    assert [case["cost_delta_per_hour"] for case in document["cases"]] == [0, 10]
    assert document["cases"][1]["changes"] == [
        {"path": "accelerators[B].cost_per_hour", "operation": "=", "value": 15}
    ]
    assert document["cases"][1]["plan"]["total_cost_per_hour"] == 20


def test_one_change_is_shown_as_a_difference(small: Path) -> None:
    """Without a range: which services move, and why."""
    shown = run("whatif", small, "--set", "capacities[B].cards=1")
    assert shown.returncode == ExitCode.OK
    assert "10.00 -> 15.00 USD/h (+5.00, +50.0%)" in shown.stdout
    assert "B: limit 100 before, limit 1 now" in shown.stdout


def test_what_is_no_change_is_refused(small: Path) -> None:
    """A line on standard error, no traceback, and the status of a wrong spec or usage."""
    for arguments, status, words in (
        ((), ExitCode.USAGE, "--set"),
        (("--set", "servces=1"), ExitCode.SPEC_INVALID, "did you mean 'services'"),
        (("--set", "services[*].load.arrival_rate_rps=-1"), ExitCode.SPEC_INVALID, "at least 0"),
        (("--range", "name=1:2"), ExitCode.SPEC_INVALID, "FIRST:LAST:COUNT"),
        (("--range", "name=1:2:9999", "--range", "name=1:2:99"), ExitCode.USAGE, "cases"),
    ):
        done = run("whatif", small, *arguments)
        assert (done.returncode, "Traceback" in done.stderr) == (status, False)
        assert words in done.stderr


def test_two_plans_are_compared(small: Path, tmp_path: Path) -> None:
    """A plan beside itself, and beside one with less room."""
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    run("solve", small, "-o", before)
    small.write_text(small.read_text().replace("cards: 100", "cards: 1"), encoding="utf-8")
    run("solve", small, "-o", after)
    assert "0 of 2 services changed" in run("diff", before, before).stdout
    shown = run("diff", before, after)
    assert shown.returncode == ExitCode.OK
    assert "moved" in shown.stdout
    document = json.loads(run("diff", before, after, "--json").stdout)
    assert document["cost_delta_per_hour"] == 5
    refused = run("diff", before, small)
    assert refused.returncode == ExitCode.USAGE
    assert "comes first" in refused.stderr
