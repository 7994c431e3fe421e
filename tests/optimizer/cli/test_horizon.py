"""`fleetopt horizon`: the example, the document, the table of loads, what goes wrong."""

from __future__ import annotations

from pathlib import Path

from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli.commands import REPOSITORY, document, run

EXAMPLE = REPOSITORY / "examples" / "horizon.yaml"


def test_the_text_shows_replicas_through_time() -> None:
    """The verdict, the money by what it is for, a column per period, what is starting."""
    code, out, err = run("horizon", EXAMPLE)
    assert code == ExitCode.OK, err
    assert "over 6 periods, optimal" in out
    assert "committed: 3 H100 at 3.00 USD/h" in out
    assert "1+1" in out


def test_the_document_splits_the_cost() -> None:
    """Its parts add up, and the gap is proven."""
    found = document("horizon", EXAMPLE)
    assert sum(found["cost"].values()) == found["total_cost"]
    assert found["relative_gap"] <= 1e-6
    assert [period["name"] for period in found["periods"]][:2] == ["night", "dawn"]


def test_loads_come_from_a_table(tmp_path: Path) -> None:
    """The guide's table; a fault names file and line."""
    table = tmp_path / "loads.csv"
    table.write_text("period,chat,search\n00:00,4,6\n04:00,9,14\n", encoding="utf-8")
    found = document("horizon", EXAMPLE, "--loads", table)
    assert [period["rates_rps"]["search"] for period in found["periods"]] == [6.0, 14.0]
    table.write_text("period,chat\n00:00,many\n", encoding="utf-8")
    code, _, err = run("horizon", EXAMPLE, "--loads", table)
    assert code == ExitCode.SPEC_INVALID
    assert "loads.csv:2: chat = 'many': must be a rate" in err


def test_solve_says_that_it_plans_one_load() -> None:
    """The periods are not silently passed over."""
    code, _, err = run("solve", EXAMPLE)
    assert code == ExitCode.OK
    assert "`fleetopt horizon` plans the periods" in err


def test_a_fleet_without_periods_says_how_to_give_some() -> None:
    """One line, no traceback; so for a file that is not there."""
    code, _, err = run("horizon", REPOSITORY / "examples" / "uncertain.yaml")
    assert code == ExitCode.USAGE
    assert "give horizon: {periods:" in err
    code, _, err = run("horizon", EXAMPLE, "--loads", "absent.csv")
    assert code == ExitCode.SPEC_INVALID
    assert "absent.csv" in err
