"""Plans of the dashboard: the same as the command line's, shown, compared, taken away."""

from __future__ import annotations

import csv
import io
import json
import shlex
from typing import Any

import pytest

from optimizer.fleet import optimize
from optimizer.spec import assigned, load, loads, parse_assignment
from tests.optimizer.cli.in_process import called
from tests.optimizer.dashboard.conftest import SMALL, Solve, ended
from tests.optimizer.report.html.pages import Page

MOVED = "services[chat].load.arrival_rate_rps=120"


def test_the_page_s_plan_is_the_command_line_s(
    client: Any, solve: Solve, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command that the page shows prints, byte for byte, the plan that the page exports."""
    result = solve(changes=[MOVED, "accelerators[*].cost_per_hour*=1.5"], time_limit_s=20.0)
    exported = client.get(f"/api/plans/{result['plan']}/plan.json").text
    words = shlex.split(result["command"])
    assert words[:2] == ["fleetopt", "solve"]
    assert called(tuple(words[1:])) == 0
    printed = capsys.readouterr().out
    assert json.loads(printed)["total_cost_per_hour"] == result["cost_per_hour"]
    assert printed.strip() == exported.strip()


def test_changes_are_made_of_the_fleet_as_it_was_loaded(solve: Solve) -> None:
    """Not of what was changed before: asking again for none gives the first plan's cost."""
    first = solve()
    more = solve(changes=[MOVED])
    assert more["cost_per_hour"] > first["cost_per_hour"]
    assert solve()["cost_per_hour"] == first["cost_per_hour"]
    spec = assigned(load(SMALL), [parse_assignment(MOVED)])
    assert optimize(spec).total_cost_per_hour == more["cost_per_hour"]


def test_what_is_exported_reads_back(client: Any, solve: Solve) -> None:
    """The changed fleet is a fleet with the change, the table a table, the report a page."""
    plan = solve(changes=[MOVED])["plan"]

    def file(name: str) -> str:
        answer = client.get(f"/api/plans/{plan}/{name}")
        assert f'filename="{name}"' in answer.headers["content-disposition"]
        return str(answer.text)

    assert loads(file("fleet.yaml")) == assigned(load(SMALL), [parse_assignment(MOVED)])
    assert loads(file("loaded.yaml")) == load(SMALL)
    rows = list(csv.DictReader(io.StringIO(file("plan.csv"))))
    assert {row["service"] for row in rows} == {"chat", "tagging"}
    report = Page(file("report.html"))
    assert report.leads_outside == []
    assert client.get(f"/api/plans/{plan}/secrets").status_code == 404


def test_the_first_line_has_the_cost_and_the_view_its_sources(client: Any, solve: Solve) -> None:
    """What a report shows: cost with its unit first, and where each figure is from."""
    result = solve()
    page = Page(client.get(f"/api/plans/{result['plan']}").json()["html"])
    assert f"{result['cost_per_hour']:,.2f} USD per hour" in page.text[:200]
    assert page.text.count("Source:") >= 3


def test_a_plan_with_a_gap_says_so_in_its_first_line(client: Any, solve: Solve) -> None:
    """Greedy proves no bound."""
    result = solve(solver="greedy")
    page = Page(client.get(f"/api/plans/{result['plan']}").json()["html"])
    first = page.text.partition("USD per hour")[2][:30]
    gap = result["relative_gap"]
    assert ("no bound proven" in first) if gap is None else (gap == 0 or "gap" in first)


def test_two_plans_are_compared_with_their_causes(client: Any, solve: Solve) -> None:
    """By the names that they were pinned under; what changed is said to be the load."""
    before, after = solve()["plan"], solve(changes=[MOVED])["plan"]
    names = {"before_name": "<b>A</b>", "after_name": "B"}
    html = client.post("/api/comparisons", json={"before": before, "after": after, **names})
    page = Page(html.json()["html"])
    assert "<b>A</b>" in page.text
    assert "chat" in page.text
    assert "60" in page.text
    assert "120" in page.text
    assert all(tag != "b" for tag, _ in page.tags)


def test_a_service_is_explained(client: Any, solve: Solve) -> None:
    """Every accelerator with what it would take; an unknown service is a fault."""
    plan = solve()["plan"]
    page = Page(client.get(f"/api/plans/{plan}/why/chat").json()["html"])
    assert "A100" in page.text
    assert "H100" in page.text
    assert client.get(f"/api/plans/{plan}/why/chta").status_code == 422


@pytest.mark.parametrize(
    ("wanted", "status", "words"),
    [
        ({"changes": ["services[chta].load.arrival_rate_rps=1"]}, 422, "chat"),
        ({"changes": ["services[chat].load.arrival_rate_rps=-1"]}, 422, "must be at least 0"),
        ({"changes": ["services[chat].load.arrival_rate_rps=.nan"]}, 422, "finite"),
        ({"changes": ["nonsense"]}, 422, "PATH=VALUE"),
        ({"changes": ["name=x"] * 2001}, 422, "at most 2000"),
        ({"solver": "mlip"}, 200, "did you mean"),
        ({"time_limit_s": -1.0}, 400, "time_limit_s"),
        ({"time_limit_s": 1e9}, 400, "time_limit_s"),
        ({"relative_gap": 2.0}, 400, "relative_gap"),
        ({"fleet": "absent"}, 422, "no longer there"),
        ({"threads": 64}, 400, "threads"),
    ],
)
def test_wrong_wishes_are_refused_in_words(
    client: Any, fleet: str, wanted: dict[str, Any], status: int, words: str
) -> None:
    """Where, what and what to try; an unknown solver is told as soon as the work begins."""
    answer = client.post("/api/solves", json={"fleet": fleet, **wanted})
    if status == 200:
        document = ended(client, answer.json()["job"])
        assert document["state"] == "failed"
        assert words in document["message"]
        return
    assert answer.status_code == status
    assert words in answer.text


def test_names_are_text_in_every_view(client: Any) -> None:
    """A service called as a script is shown as one."""
    name = "</script><img src=x onerror=alert(1)>"
    text = SMALL.read_text(encoding="utf-8").replace("name: chat", f"name: '{name}'", 1)
    loaded = client.post("/api/fleets", json={"text": text, "name": name}).json()
    assert loaded["services"][0] == name
    job = client.post("/api/solves", json={"fleet": loaded["id"]}).json()["job"]
    result = ended(client, job)["result"]
    assert "<" not in result["file_to_save"]
    page = Page(client.get(f"/api/plans/{result['plan']}").json()["html"])
    assert name in page.text
    assert all(tag not in ("img", "script") for tag, _ in page.tags)


def test_set_of_solve_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    """One line with the nearest name, exit code 3; never a traceback."""
    assert called(("solve", SMALL, "--set", "services[chta].load.arrival_rate_rps=1")) == 3
    err = capsys.readouterr().err
    assert "did you mean 'chat'" in err
    assert "Traceback" not in err


def test_periods_and_uncertain_loads_are_planned_with_the_changes(client: Any) -> None:
    """As the command line beside them does; other views leave the uncertain loads aside."""
    spec = load(SMALL).model_dump(by_alias=True, mode="json")
    spec["horizon"] = {"periods": [{"name": "night", "factor": 0.2}, {"name": "day"}]}
    spec["uncertainty"] = {"scenarios": [{"name": "usual"}, {"name": "busy", "factor": 1.5}]}
    laid = client.post("/api/fleets", json={"text": json.dumps(spec), "name": "both.yaml"}).json()
    assert laid["over_loads"] == {"horizon": True, "uncertain": True}
    changes = ["capacities[0].cards+=2"]
    for kind, verb, words in (("horizon", "horizon", "night"), ("uncertain", "solve", "busy")):
        asked = {"fleet": laid["id"], "changes": changes, "relative_gap": 0.01}
        begun = client.post(f"/api/studies/{kind}", json=asked)
        found = ended(client, begun.json()["job"])
        assert found["state"] == "done", found
        assert words in found["result"]["html"]
        command = f"fleetopt {verb} both.yaml --set 'capacities[0].cards+=2' --gap 0.01 --json"
        expected = (
            command
            if kind == "uncertain"
            else command.replace("--set", "--set uncertainty=null --set", 1)
        )
        assert found["result"]["command"] == expected


def test_a_fleet_of_one_load_has_no_other_loads_to_plan(client: Any, fleet: str) -> None:
    """The page does not offer it, and whoever asks is told what is missing."""
    assert client.get(f"/api/fleets/{fleet}").json()["over_loads"] == {
        "horizon": False,
        "uncertain": False,
    }
    for kind in ("horizon", "uncertain"):
        begun = client.post(f"/api/studies/{kind}", json={"fleet": fleet})
        found = ended(client, begun.json()["job"])
        assert found["state"] == "failed"
        assert "internal error" not in found["message"]
