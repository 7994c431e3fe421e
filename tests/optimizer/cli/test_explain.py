"""`fleetopt explain --repair` and `--no-solver` as a person runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from optimizer.cli.exit_codes import ExitCode
from optimizer.spec import dump
from tests.optimizer.cli.commands import run
from tests.optimizer.fleet.fleets import fleet, service


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """Three services on two cards."""
    path = tmp_path / "fleet.yaml"
    spec = fleet(
        services=[service("x"), service("y"), service("z")],
        capacities=[{"type": "A", "cards": 1}, {"type": "B", "cards": 1}],
        classes=[
            {"name": "gold", "priority": 1,
             "slos": [{"targets": [{"metric": "ttft_ms", "bound": 50}]}]},
        ],
    )  # fmt: skip
    path.write_text(dump(spec), encoding="utf-8")
    return path


def test_the_repair_that_is_shown_works(crowded: Path) -> None:
    """Its --set goes to whatif as it stands, and everyone is served."""
    shown = run("explain", crowded, "--repair")
    assert shown.returncode == ExitCode.OK
    assert "- z is served" in shown.stdout
    assert "1 more of B (1 -> 2): 5.00 USD/h at the cheapest prices, proven least" in shown.stdout
    document = json.loads(run("explain", crowded, "--repair", "--json").stdout)
    assert document["feasible"] is False
    assert document["conflict"]["services"] == ["x", "y", "z"]
    assert document["conflict"]["resources"] == ["A", "B"]
    (change,) = document["repairs"][0]["set"]
    assert document["repairs"][0]["price_per_hour"] == document["repairs"][0]["price_at_least"] == 5
    plan = json.loads(run("whatif", crowded, "--set", change, "--json").stdout)["cases"][0]["plan"]
    assert plan["unserved"] == []


def test_a_fleet_without_conflict_says_so(crowded: Path) -> None:
    """With room for all there is nothing to repair."""
    crowded.write_text(crowded.read_text().replace("cards: 1", "cards: 9"), encoding="utf-8")
    assert run("explain", crowded, "--repair").stdout.strip() == "everyone can be served as it is"
    document = json.loads(run("explain", crowded, "--repair", "--json").stdout)
    assert (document["feasible"], document["repairs"]) == (True, [])


def test_candidates_are_looked_at_without_a_solver(crowded: Path) -> None:
    """A bound of 5 ms below a prefill of 10: no solver is needed to say so."""
    crowded.write_text(crowded.read_text().replace("bound: 50", "bound: 5"), encoding="utf-8")
    shown = run("explain", crowded, "--no-solver", "--solver", "none-such")
    assert shown.returncode == ExitCode.OK
    assert "nothing can serve it: A, B: ttft_ms mean at best 10, the SLO wants 5" in shown.stdout
    (one,) = json.loads(run("explain", crowded, "x", "--no-solver", "--json").stdout)[
        "explanations"
    ]
    assert {option["state"] for option in one["options"]} == {"impossible"}


def test_questions_that_exclude_each_other_are_refused(crowded: Path) -> None:
    """A repair concerns the whole fleet; a service must exist."""
    for arguments, status in (
        (("x", "--repair"), ExitCode.USAGE),
        (("--repair", "--no-solver"), ExitCode.USAGE),
        (("--repair", "--prices"), ExitCode.USAGE),
        (("nobody", "--no-solver"), ExitCode.SPEC_INVALID),
    ):
        done = run("explain", crowded, *arguments)
        assert (done.returncode, "Traceback" in done.stderr) == (status, False)


def test_prices_are_those_of_the_relaxation(tmp_path: Path) -> None:
    """Three replicas, two cards of B at 5 and as many of A at 10 as wanted: a B more saves 5."""
    path = tmp_path / "fleet.yaml"
    spec = fleet(
        services=[service("x"), service("y"), service("z")],
        capacities=[{"type": "A", "cards": 9}, {"type": "B", "cards": 2}],
    )
    path.write_text(dump(spec), encoding="utf-8")
    document = json.loads(run("explain", path, "--prices", "--json").stdout)
    assert document["meaning"] == "of the continuous relaxation"
    prices = {price["resource"]: price["price_per_hour"] for price in document["prices"]}
    assert prices == {"B": pytest.approx(5), "A": 0}
    shown = run("explain", path, "--prices").stdout
    assert "relaxation" in shown
    assert "whatif" in shown
