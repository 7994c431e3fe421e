"""`fleetopt solve` of uncertain loads: the guide's figures, the document, what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli.commands import REPOSITORY, document, run

EXAMPLE = REPOSITORY / "examples" / "uncertain.yaml"
GUIDE = (REPOSITORY / "docs/guides/uncertain-loads.md").read_text(encoding="utf-8")


def test_the_guide_quotes_what_each_promise_costs(tmp_path: Path) -> None:
    """Each row of its table, solved: the example with the row's lines in `uncertainty`."""
    fleet = EXAMPLE.read_text(encoding="utf-8")
    rows = [line.split("|") for line in GUIDE.splitlines() if line.startswith("| `")]
    assert len(rows) == 5
    for row in rows:
        said, cost = row[1], float(row[3].split()[0])
        lines = said.replace(" in place of scenarios", "").split("`")[1::2]
        body = fleet.split("  scenarios:")[0] if "peaks" in said else fleet
        text = body + "".join(f"  {line}\n" for line in lines)
        path = tmp_path / "fleet.yaml"
        path.write_text(text, encoding="utf-8")
        assert round(document("solve", path)["total_cost_per_hour"], 2) == cost, said


@pytest.mark.slow
def test_the_guide_quotes_what_loads_that_spread_cost() -> None:
    """Each row of its table, solved; and the text says what every capacity has to hold."""
    fleet = (REPOSITORY / "examples" / "spread.yaml").read_text(encoding="utf-8")
    rows = [line.split("|") for line in GUIDE.splitlines() if "`keep_probability: 0." in line]
    assert len(rows) == 3
    for row in rows:
        first, *more = row[1].split("`")[1::2]
        text = fleet.replace("keep_probability: 0.95", first)
        text += "".join(f"    {line}\n" for line in more)
        code, out, err = run("solve", "-", stdin=text)
        assert code == ExitCode.OK, err
        assert f"spread: {float(row[2]):.2f} USD/h expected, optimal" in out
        assert "kept with" in out


def test_the_document_has_what_every_plan_has_and_its_loads() -> None:
    """Cost, proof and allocations at the top level; a whole plan for every load."""
    found = document("solve", EXAMPLE)
    assert found["schema_version"] == 1
    assert found["total_cost_per_hour"] == 18.0
    assert found["termination"] == "optimal"
    assert found["relative_gap"] <= 1e-6
    assert {a["service"]: a["replicas"] for a in found["allocations"]} == {"chat": 2, "search": 2}
    assert [s["plan"]["total_cost_per_hour"] for s in found["scenarios"]] == [18.0] * 3


def test_the_text_names_what_each_load_lacks() -> None:
    """The scenario that is given up says for whom it has too few replicas."""
    text = EXAMPLE.read_text(encoding="utf-8") + "  serve_probability: 0.9\n"
    code, out, _ = run("solve", "-", stdin=text)
    assert code == ExitCode.OK
    assert "with a probability of 0.9" in out
    assert "too few replicas: chat" in out


def chat_of(text: str) -> dict[str, Any]:
    """Return how a fleet explains what chat got."""
    code, out, err = run("explain", "-", "chat", "--json", stdin=text)
    assert code == ExitCode.OK, err
    explained: dict[str, Any] = json.loads(out)["explanations"][0]
    return explained


def test_explain_names_the_load_that_binds() -> None:
    """Chat is sized for the launch, search for the busy day; every load has its own figures."""
    found = document("explain", EXAMPLE)["explanations"]
    assert {e["service"]: e["binding_load"] for e in found} == {"chat": "launch", "search": "busy"}
    chat = found[0]
    assert [load["arrival_rate_rps"] for load in chat["loads"]] == [8.0, 12.8, 30.0]
    assert [load["replicas"] for load in chat["loads"]] == [2, 2, 2]
    margins = [load["margin"] for load in chat["loads"]]
    assert margins == sorted(margins, reverse=True)
    assert not any(load["cause"] for load in chat["loads"])
    chosen = [option for option in chat["options"] if option["state"] == "chosen"]
    assert [option["replicas"] for option in chosen] == [2]
    code, out, _ = run("explain", EXAMPLE, "chat")
    assert code == ExitCode.OK
    assert "load 'launch' binds (30 requests/s): 2 replica(s) on H100" in out


def test_explain_follows_replicas_that_follow_the_load() -> None:
    """Where replicas adapt, each load has its own number of them, the most where it binds."""
    text = EXAMPLE.read_text(encoding="utf-8") + "  replicas: adapt\n"
    chat = chat_of(text)
    replicas = {load["load"]: load["replicas"] for load in chat["loads"]}
    assert chat["binding_load"] == "launch"
    assert replicas["usual"] < replicas["launch"]


def test_explain_says_which_load_nothing_can_serve() -> None:
    """At most one replica serves chat on any but the launch day; the cause is at that load."""
    text = EXAMPLE.read_text(encoding="utf-8").replace(
        "  - name: chat\n", "  - name: chat\n    replicas: {max: 1}\n"
    )
    code, out, _ = run("explain", "-", "--json", stdin=text)
    assert code in (ExitCode.OK, ExitCode.INFEASIBLE)
    (chat,) = json.loads(out)["explanations"]
    assert chat["service"] == "chat"
    assert chat["binding_load"] == "launch"
    assert "H100: needs 2 replicas, at most 1 are allowed" in chat["verdict"]
    causes = {load["load"]: bool(load["cause"]) for load in chat["loads"]}
    assert causes["launch"]
    code, out, _ = run("explain", "-", "--no-solver", stdin=text)
    assert code == ExitCode.OK
    assert "load 'launch' binds" in out


def test_explain_says_where_replicas_are_too_few() -> None:
    """The load that the promise gives up is the one with a cause, and does not bind."""
    text = EXAMPLE.read_text(encoding="utf-8") + "  serve_probability: 0.9\n"
    chat = chat_of(text)
    causes = {load["load"]: load["cause"] for load in chat["loads"]}
    assert causes == {"usual": "", "busy": "", "launch": "too few replicas"}
    assert chat["binding_load"] == "busy"


def test_explain_knows_usual_loads_and_peaks() -> None:
    """With peaks a service has two loads of its own, and its peak binds."""
    text = EXAMPLE.read_text(encoding="utf-8").split("  scenarios:")[0]
    text += "  peaks: {at_once: 1, factor: 2}\n"
    chat = chat_of(text)
    assert chat["binding_load"] == "its peak"
    assert [load["arrival_rate_rps"] for load in chat["loads"]] == [8.0, 16.0]


def test_explain_refuses_an_unknown_service() -> None:
    """One line that names the nearest."""
    code, _, err = run("explain", EXAMPLE, "chatt")
    assert code == ExitCode.SPEC_INVALID
    assert "did you mean 'chat'?" in err


def test_what_if_plans_every_case_for_all_loads(tmp_path: Path) -> None:
    """A case costs what `solve` says of the changed fleet, not what its usual loads would."""
    change = "uncertainty.scenarios[launch].rates_rps.chat=60"
    found = document("whatif", EXAMPLE, "--set", change)
    text = EXAMPLE.read_text(encoding="utf-8").replace("{chat: 30}", "{chat: 60}")
    path = tmp_path / "fleet.yaml"
    path.write_text(text, encoding="utf-8")
    solved = document("solve", path)
    case = found["cases"][0]
    assert found["base"]["total_cost_per_hour"] == 18.0
    assert case["plan"]["total_cost_per_hour"] == solved["total_cost_per_hour"] > 18.0
    assert case["cost_delta_per_hour"] == solved["total_cost_per_hour"] - 18.0
    assert len(case["plan"]["scenarios"]) == 3
    code, out, _ = run("whatif", EXAMPLE, "--set", change)
    assert code == ExitCode.OK
    assert "2/2" in out
    assert "1 scaled" in out


def test_repairs_and_prices_ask_about_one_load_and_say_so() -> None:
    """They do not answer for the usual loads as if they were all."""
    for question in ("--repair", "--prices"):
        code, _, err = run("explain", EXAMPLE, question)
        assert code == ExitCode.USAGE
        assert "loads of this fleet are uncertain" in err


def test_what_is_wrong_in_uncertainty_is_one_line() -> None:
    """A misspelt key and an unknown service, each with line and path."""
    text = EXAMPLE.read_text(encoding="utf-8").replace("{chat: 30}", "{chatt: 30}")
    code, _, err = run("solve", "-", stdin=text)
    assert code == ExitCode.SPEC_INVALID
    assert "uncertainty.scenarios[2].rates_rps.chatt = 30: the fleet has no such service" in err
    assert "did you mean 'chat'?" in err


def test_plans_for_uncertain_loads_are_exported_and_compared(tmp_path: Path) -> None:
    """What is deployed is the costliest load's, or a named one's; what is not there is said."""
    path = tmp_path / "plan.json"
    text = EXAMPLE.read_text(encoding="utf-8") + "  replicas: adapt\n"
    assert run("solve", "-", "-o", path, stdin=text)[0] == ExitCode.OK
    dearest = run("export", path, "--format", "csv")[1]
    usual = run("export", path, "--format", "csv", "--scenario", "usual")[1]
    assert dearest.startswith("service")
    assert len(dearest.splitlines()) == len(usual.splitlines())
    assert dearest != usual
    assert run("diff", path, path)[0] == ExitCode.OK
    code, _, said = run("export", path, "--format", "csv", "--scenario", "usaul")
    assert code != ExitCode.OK
    assert "has no load 'usaul'; it has: usual, busy, launch" in said
    given_up = tmp_path / "given-up.json"
    text = EXAMPLE.read_text(encoding="utf-8") + "  serve_probability: 0.9\n"
    assert run("solve", "-", "-o", given_up, stdin=text)[0] == ExitCode.OK
    said = run("export", given_up, "--format", "csv", "--scenario", "launch")[2]
    assert "load 'launch' is not served: too few replicas of chat" in said


def test_a_broken_plan_for_uncertain_loads_names_the_fault() -> None:
    """A document that only looks like one is refused in a line."""
    code, _, said = run("export", "-", "--format", "csv", stdin='{"serve_probability": 2}')
    assert code != ExitCode.OK
    assert "not a plan for uncertain loads: fleet: Field required" in said
    assert "Traceback" not in said
