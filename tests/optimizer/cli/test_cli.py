"""The command line: data on stdout, words on stderr, exit codes as documented, no traceback."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest

from optimizer.cli.exit_codes import ExitCode
from optimizer.fleet import FleetPlan
from optimizer.spec import load
from tests.optimizer.cli.commands import REPOSITORY, run
from tests.optimizer.fleet.fleets import service, two_types

EXAMPLE = REPOSITORY / "examples" / "fleet.yaml"


def write(path: Path, data: object) -> Path:
    """Write a fleet as JSON."""
    path.write_text(json.dumps(data))
    return path


def test_solve_shows_the_plan_on_one_screen() -> None:
    """Verdict, every service, accelerators used and free, in at most 50 lines."""
    done = run("solve", EXAMPLE)
    assert done.returncode == ExitCode.OK, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) <= 50
    assert re.match(r"example: [\d.,]+ USD/h, cost proven optimal .*\(gap 0\.0000%\)", lines[0])
    for entry in load(EXAMPLE).services:
        assert entry.name in done.stdout
    for name in ("L4", "L40S", "A100", "H100", "H200"):
        assert re.search(rf"^{name}\s+\d+\s+\d+\s+\d+", done.stdout, re.MULTILINE)


def test_solve_json_is_one_document_with_the_promised_keys() -> None:
    """The top level carries what DESIGN promises, and reads back as a plan."""
    done = run("solve", EXAMPLE, "--json")
    document = json.loads(done.stdout)
    assert {
        "schema_version",
        "total_cost_per_hour",
        "currency",
        "termination",
        "primal_bound",
        "dual_bound",
        "relative_gap",
        "allocations",
        "unserved",
    } <= set(document)
    assert FleetPlan.from_json(done.stdout).termination == "optimal"


def test_solve_writes_the_plan_to_a_file(tmp_path: Path) -> None:
    """`-o` writes the JSON document beside the text on stdout."""
    target = tmp_path / "plan.json"
    done = run("solve", EXAMPLE, "-o", target)
    assert done.returncode == ExitCode.OK
    assert FleetPlan.from_json(target.read_text()).allocations
    assert "USD/h" in done.stdout


def test_solve_reads_stdin() -> None:
    """`-` is the standard input."""
    done = run("solve", "-", "--json", stdin=EXAMPLE.read_text())
    assert json.loads(done.stdout)["fleet"] == "example"


def test_output_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    """A missing folder is named, and the exit code is 2."""
    done = run("solve", EXAMPLE, "-o", tmp_path / "nowhere" / "plan.json")
    assert done.returncode == ExitCode.USAGE
    assert "cannot write" in done.stderr


def test_invalid_fleet_exits_3_with_every_fault(tmp_path: Path) -> None:
    """Both faults are reported with their places; nothing goes to stdout."""
    data = two_types()
    data["services"][0]["load"]["arrival_rate_rps"] = -1
    data["services"][0]["modell"] = "m"
    path = write(tmp_path / "bad.json", data)
    done = run("solve", path)
    assert done.returncode == ExitCode.SPEC_INVALID
    assert "services[0].load.arrival_rate_rps" in done.stderr
    assert "did you mean 'model'" in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_missing_file_exits_3_naming_it() -> None:
    """A file that is not there is a fault of the fleet given."""
    done = run("solve", "no-such-fleet.yaml")
    assert done.returncode == ExitCode.SPEC_INVALID
    assert "no-such-fleet.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_infeasible_fleet_exits_4_and_says_why(tmp_path: Path) -> None:
    """Hard constraints that cannot hold: exit 4, with a document that says so."""
    data = two_types()
    data["capacities"] = [{"type": "A", "cards": 0}, {"type": "B", "cards": 0}]
    data["optimizer"] = {"unserved": "forbidden"}
    done = run("solve", write(tmp_path / "tight.json", data), "--json")
    assert done.returncode == ExitCode.INFEASIBLE
    assert json.loads(done.stdout)["termination"] == "infeasible"


def test_unserved_services_under_penalties_exit_0(tmp_path: Path) -> None:
    """Leaving a service out is a plan when the fleet allows it."""
    data = two_types()
    data["capacities"] = [{"type": "A", "cards": 0}, {"type": "B", "cards": 0}]
    done = run("solve", write(tmp_path / "tight.json", data), "--json")
    assert done.returncode == ExitCode.OK
    assert [u["service"] for u in json.loads(done.stdout)["unserved"]] == ["x"]


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--solver", "mlip", "did you mean 'milp'"),
        ("--queue-model", "mcc", "did you mean 'mmc'"),
        ("--objective", "costs", "cost"),
        ("--gap", "-1", "relative_gap"),
        ("--threads", "zero", "--threads"),
        ("--no-such-option", "1", "no-such-option"),
    ],
)
def test_wrong_options_exit_2_with_the_nearest(option: str, value: str, expected: str) -> None:
    """A wrong option or plug-in name is a usage error that says what was meant."""
    done = run("solve", EXAMPLE, option, value)
    assert done.returncode == ExitCode.USAGE, done.stderr
    assert expected in re.sub(r"[│\s]+", " ", done.stderr)
    assert "Traceback" not in done.stderr


def test_validate_counts_what_is_there_and_reports_every_file(tmp_path: Path) -> None:
    """A good and a bad file: both are reported, the exit code is 3."""
    bad = write(tmp_path / "bad.json", {"services": []})
    done = run("validate", EXAMPLE, bad)
    assert done.returncode == ExitCode.SPEC_INVALID
    assert "9 services over 4 models in 3 classes on 5 accelerators" in done.stdout
    assert "accelerators" in done.stderr
    document = json.loads(run("validate", EXAMPLE, bad, "--json").stdout)
    assert [fleet["valid"] for fleet in document["fleets"]] == [True, False]


def test_explain_shows_best_reachable_against_the_slo(tmp_path: Path) -> None:
    """A bound below the bare prefill time is shown beside it for every accelerator."""
    data = two_types()
    data["classes"][0]["slos"] = [{"targets": [{"metric": "ttft_ms", "bound": 5}]}]
    load_ = {"arrival_rate_rps": 1, "input_tokens": 100, "output_tokens": 11}
    data["services"] = [service("x", load=load_)]
    path = write(tmp_path / "fleet.json", data)
    done = run("explain", path, "x")
    assert done.returncode == ExitCode.OK
    assert "ttft_ms mean 10 of 5" in done.stdout
    document = json.loads(run("explain", path, "x", "--json").stdout)
    states = {o["accelerator"]: o["state"] for o in document["explanations"][0]["options"]}
    assert states == {"A": "impossible", "B": "impossible"}


def test_explain_refuses_a_service_that_is_not_there() -> None:
    """The nearest name is offered."""
    done = run("explain", EXAMPLE, "chat-premiun")
    assert done.returncode == ExitCode.SPEC_INVALID
    assert "did you mean 'chat-premium'" in done.stderr


def test_solvers_and_queue_models_list_ours() -> None:
    """Every member of the family is listed as usable, in text and as JSON."""
    text = run("solvers").stdout
    rows = json.loads(run("solvers", "--json").stdout)["solvers"]
    names = {row["name"] for row in rows if row["status"] == "ok"}
    assert {"auto", "greedy", "milp", "cp-sat"} <= names
    assert "greedy" in text
    rows = json.loads(run("queue-models", "--json").stdout)["queue_models"]
    names = {row["name"] for row in rows if row["status"] == "ok"}
    assert {"auto", "mmc", "mm1k-state-dependent", "inferno-4p", "inferno-3p"} <= names


def test_schema_prints_the_committed_schema() -> None:
    """The copy in the documentation is what the command prints."""
    committed = (REPOSITORY / "docs" / "reference" / "fleet.schema.json").read_text()
    assert json.loads(run("schema").stdout) == json.loads(committed)


def test_init_writes_a_fleet_that_solves_and_overwrites_nothing(tmp_path: Path) -> None:
    """The starter solves as it is; a second `init` needs --force."""
    assert run("init", "fleet.yaml", cwd=tmp_path).returncode == ExitCode.OK
    solved = run("solve", tmp_path / "fleet.yaml", "--json")
    assert solved.returncode == ExitCode.OK, solved.stderr
    assert json.loads(solved.stdout)["unserved"] == []
    assert run("init", "fleet.yaml", cwd=tmp_path).returncode == ExitCode.USAGE
    assert run("init", "fleet.yaml", "--force", cwd=tmp_path).returncode == ExitCode.OK


def test_import_inferno_writes_a_fleet_and_notes_what_is_lost(
    shared_data: Path, tmp_path: Path
) -> None:
    """YAML on stdout or in a file, notes on stderr; `solve` takes the document directly too."""
    instance = shared_data / "inferno" / "instances" / "ce1-regret-trap.json"
    target = tmp_path / "fleet.yaml"
    done = run("import", "inferno", instance, "-o", target)
    assert done.returncode == ExitCode.OK, done.stderr
    assert "note:" in done.stderr
    direct = json.loads(run("solve", instance, "--queue-model", "inferno-4p", "--json").stdout)
    through = json.loads(run("solve", target, "--queue-model", "inferno-4p", "--json").stdout)
    assert direct["total_cost_per_hour"] == pytest.approx(0.70)
    assert through["allocations"] == direct["allocations"]


def test_names_of_a_fleet_are_data_not_markup(tmp_path: Path) -> None:
    """Square brackets in a name appear as they are."""
    data = two_types()
    data["name"] = "[bold red]fleet[/]"
    data["services"] = [service("[link=x]chat[/link]")]
    done = run("solve", write(tmp_path / "fleet.json", data))
    assert "[bold red]fleet[/]" in done.stdout
    assert "[link=x]chat[/link]" in done.stdout


def test_no_arguments_show_the_verbs() -> None:
    """The bare command explains itself."""
    done = run()
    assert "solve" in done.stdout + done.stderr
    assert done.returncode == ExitCode.USAGE


def test_any_back_end_of_a_solver_can_be_named(tmp_path: Path) -> None:
    """`--solver-option backend=CBC` reaches milp; a wrong name or form is a usage error."""
    done = run("solve", EXAMPLE, "--solver", "milp", "--solver-option", "backend=CBC", "--json")
    assert done.returncode == ExitCode.OK, done.stderr
    plan = FleetPlan.from_json(done.stdout)
    assert plan.termination == "optimal"
    assert "CBC" in plan.provenance.solver_version
    for wrong in ("backend", "bakend=CBC", "backend=NOPE", "seed=1"):
        done = run("solve", EXAMPLE, "--solver", "milp", "--solver-option", wrong)
        assert done.returncode == ExitCode.USAGE, done.stderr
        assert "Traceback" not in done.stderr


def test_weighted_priorities_take_their_penalty_from_the_command_line() -> None:
    """The tutorial's what-if: without a penalty a usage error, with one a plan."""
    assert run("solve", EXAMPLE, "--priorities", "weighted").returncode == ExitCode.USAGE
    done = run("solve", EXAMPLE, "--priorities", "weighted", "--unserved-penalty", "10", "--json")
    assert done.returncode == ExitCode.OK, done.stderr
    plan = FleetPlan.from_json(done.stdout)
    assert {u.reason for u in plan.unserved} <= {"not-worth-it", "capacity"}


def test_an_infeasible_fleet_names_what_stands_in_the_way(tmp_path: Path) -> None:
    """Two services that fit alone but not together: the one without room is named, exit 4."""
    data = two_types()
    data["capacities"] = [{"type": "A", "cards": 1}, {"type": "B", "cards": 0}]
    data["services"] = [service("x"), service("y", **{"class": "silver"})]
    data["optimizer"] = {"unserved": "forbidden"}
    path = write(tmp_path / "fleet.json", data)
    for solver in ("milp", "cp-sat", "auto"):
        done = run("solve", path, "--solver", solver)
        assert done.returncode == ExitCode.INFEASIBLE
        assert "no room or no way is left for: y" in done.stdout
        assert "needs 1 B (there are only 0)" in done.stdout
    done = run("explain", path, "x")
    assert done.returncode == ExitCode.INFEASIBLE
    assert "not among the causes" in done.stdout


def test_an_output_without_unicode_gets_a_plain_plan() -> None:
    """A terminal of another encoding shows bars in ASCII instead of failing."""
    for encoding in ("ascii", "latin1"):
        done = run("solve", EXAMPLE, env={"PYTHONIOENCODING": encoding})
        assert done.returncode == ExitCode.OK, done.stderr
        assert "############" in done.stdout


@pytest.mark.parametrize("width", [80, 90, 100, 120])
def test_names_are_not_broken_on_narrow_terminals(width: int) -> None:
    """Columns give way before the names of services do."""
    from rich.console import Console

    from optimizer import optimize
    from optimizer.report import plan_view

    plan = optimize(load(EXAMPLE))
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(plan_view(plan))
    text = console.export_text()
    for allocation in plan.allocations:
        assert re.search(rf"^{allocation.service} ", text, re.MULTILINE), text
