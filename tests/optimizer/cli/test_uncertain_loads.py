"""`fleetopt solve` of uncertain loads: the guide's figures, the document, what goes wrong."""

from __future__ import annotations

from pathlib import Path

from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli.commands import REPOSITORY
from tests.optimizer.cli.in_process import Run, document

EXAMPLE = REPOSITORY / "examples" / "uncertain.yaml"
GUIDE = (REPOSITORY / "docs/guides/uncertain-loads.md").read_text(encoding="utf-8")


def test_the_guide_quotes_what_each_promise_costs(run: Run, tmp_path: Path) -> None:
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
        assert round(document(run, "solve", path)["total_cost_per_hour"], 2) == cost, said


def test_the_document_has_what_every_plan_has_and_its_loads(run: Run) -> None:
    """Cost, proof and allocations at the top level; a whole plan for every load."""
    found = document(run, "solve", EXAMPLE)
    assert found["schema_version"] == 1
    assert found["total_cost_per_hour"] == 18.0
    assert found["termination"] == "optimal"
    assert found["relative_gap"] <= 1e-6
    assert {a["service"]: a["replicas"] for a in found["allocations"]} == {"chat": 2, "search": 2}
    assert [s["plan"]["total_cost_per_hour"] for s in found["scenarios"]] == [18.0] * 3


def test_the_text_names_what_each_load_lacks(run: Run) -> None:
    """The scenario that is given up says for whom it has too few replicas."""
    text = EXAMPLE.read_text(encoding="utf-8") + "  serve_probability: 0.9\n"
    code, out, _ = run("solve", "-", stdin=text)
    assert code == ExitCode.OK
    assert "with a probability of 0.9" in out
    assert "too few replicas: chat" in out


def test_verbs_that_ask_about_one_load_say_so(run: Run) -> None:
    """`explain` does not answer for the usual loads as if they were all."""
    code, _, err = run("explain", EXAMPLE)
    assert code == ExitCode.USAGE
    assert "loads of this fleet are uncertain" in err


def test_what_is_wrong_in_uncertainty_is_one_line(run: Run) -> None:
    """A misspelt key and an unknown service, each with line and path."""
    text = EXAMPLE.read_text(encoding="utf-8").replace("{chat: 30}", "{chatt: 30}")
    code, _, err = run("solve", "-", stdin=text)
    assert code == ExitCode.SPEC_INVALID
    assert "uncertainty.scenarios[2].rates_rps.chatt = 30: the fleet has no such service" in err
    assert "did you mean 'chat'?" in err


def test_plans_for_uncertain_loads_are_exported_and_compared(run: Run, tmp_path: Path) -> None:
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


def test_a_broken_plan_for_uncertain_loads_names_the_fault(run: Run) -> None:
    """A document that only looks like one is refused in a line."""
    code, _, said = run("export", "-", "--format", "csv", stdin='{"serve_probability": 2}')
    assert code != ExitCode.OK
    assert "not a plan for uncertain loads: fleet: Field required" in said
    assert "Traceback" not in said
