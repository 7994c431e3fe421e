"""`fleetopt control`: its laboratory, one look at a fleet, and what it says to wrong input."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli.commands import REPOSITORY, run
from tests.optimizer.cli.in_process import called

LAB = REPOSITORY / "examples" / "control" / "lab.yaml"
CONTROL = REPOSITORY / "examples" / "control" / "control.yaml"


def test_the_laboratory_shows_every_policy(tmp_path: Path) -> None:
    """A row for each, the same figures as JSON, and a page that needs nothing else."""
    pytest.importorskip("jinja2", reason="the extra report is not installed")
    pytest.importorskip("matplotlib", reason="the extra report is not installed")
    page, document = tmp_path / "lab.html", tmp_path / "lab.json"
    done = run("control", "lab", LAB, "--html", page, "-o", document)
    assert done.returncode == ExitCode.OK, done.stderr
    result = json.loads(document.read_text(encoding="utf-8"))
    policies = ["fleetopt", "static-peak", "hpa", "saturation", "greedy"]
    assert [r["policy"] for r in result["runs"]] == policies
    for entry in result["runs"]:
        assert re.search(
            rf"^{entry['policy']} .*{entry['score']['gpu_hours']:,.1f}", done.stdout, re.M
        )
    html = page.read_text(encoding="utf-8")
    assert html.count("<tr") == 1 + len(policies)
    assert "http://" not in re.sub(r'(xmlns|href|resource)[^"]*"[^"]*"', "", html).replace(
        "http://www.w3.org", ""
    ).replace("http://purl.org", "").replace("http://creativecommons.org", "")


def test_one_look_without_figures_changes_nothing(tmp_path: Path) -> None:
    """With no Prometheus there, every service is told to be missing, and no order is given."""
    for name in ("control.yaml", "fleet.yaml"):
        text = (CONTROL.parent / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace(":9090", ":9"), encoding="utf-8")
    done = run("control", "run", tmp_path / "control.yaml", "--once", "--json")
    assert done.returncode == ExitCode.OK, done.stderr
    cycle = json.loads(done.stdout)
    conditions = {c["type"]: c for c in cycle["status"]["conditions"]}
    assert cycle["orders"] == []
    assert conditions["MetricsAvailable"]["status"] is False
    assert "unreachable" in conditions["MetricsAvailable"]["message"]
    assert not (tmp_path / "orders.jsonl").exists()
    told = run("control", "run", tmp_path / "control.yaml", "--once")
    assert "no change; MetricsAvailable=False MetricsMissing" in told.stdout


@pytest.mark.parametrize(
    ("change", "words", "code"),
    [
        (("fleet: fleet.yaml", "fleet: absent.yaml"), "absent.yaml", ExitCode.SPEC_INVALID),
        (("period_s: 60", "period: 60"), "did you mean 'period_s'", ExitCode.SPEC_INVALID),
        (("period_s: 60", "period_s: -1"), "must be greater than 0", ExitCode.SPEC_INVALID),
        (("quantile: 0.9", "quantile: .nan"), "quantile", ExitCode.SPEC_INVALID),
        (("name: dry-run", "name: dry-rum"), "did you mean 'dry-run'", ExitCode.USAGE),
        (("name: prometheus", "name: promteheus"), "did you mean 'prometheus'", ExitCode.USAGE),
        (("method: headroom", "method: headrom"), "did you mean 'headroom'", ExitCode.USAGE),
        (("engine: vllm", "engine: vlm"), "must be one of vllm, sglang, tgi", ExitCode.USAGE),
        (
            ("{name: dry-run}", "{name: dry-run, options: {fil: x}}"),
            "no option fil",
            ExitCode.USAGE,
        ),
    ],
)
def test_wrong_configurations_are_told(
    tmp_path: Path,
    change: tuple[str, str],
    words: str,
    code: ExitCode,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In one line, without a traceback."""
    text = CONTROL.read_text(encoding="utf-8")
    assert change[0] in text
    (tmp_path / "control.yaml").write_text(text.replace(*change), encoding="utf-8")
    fleet = (CONTROL.parent / "fleet.yaml").read_text(encoding="utf-8")
    (tmp_path / "fleet.yaml").write_text(fleet, encoding="utf-8")
    status = called(("control", "run", tmp_path / "control.yaml", "--once"))
    told = capsys.readouterr().err
    assert status == code, told
    assert words in told
    assert "Traceback" not in told


def test_absent_files_are_told(tmp_path: Path) -> None:
    """A configuration and a scenario that are not there, and an empty one."""
    for command in ("run", "lab"):
        done = run("control", command, tmp_path / "absent.yaml")
        assert done.returncode == ExitCode.SPEC_INVALID
        assert "absent.yaml" in done.stderr
    (tmp_path / "empty.yaml").write_text("", encoding="utf-8")
    done = run("control", "lab", tmp_path / "empty.yaml")
    assert "is empty: must be a scenario" in done.stderr


def test_an_approval_is_written_beside_the_state(tmp_path: Path) -> None:
    """And refused where the configuration has no state."""
    text = CONTROL.read_text(encoding="utf-8")
    path = tmp_path / "control.yaml"
    path.write_text(text, encoding="utf-8")
    done = run("control", "approve", path, "abc")
    assert done.returncode == ExitCode.USAGE
    assert "no `state`" in done.stderr
    path.write_text(text + "\nstate: state.json\n", encoding="utf-8")
    assert run("control", "approve", path, "abc").returncode == ExitCode.OK
    assert (tmp_path / "state.json.approve").read_text(encoding="utf-8") == "abc"


def test_the_schema_of_the_documents_is_printed() -> None:
    """As it is committed; two kinds at once are refused."""
    done = run("schema", "--control")
    committed = (REPOSITORY / "docs/reference/control.schema.json").read_text(encoding="utf-8")
    assert done.stdout == committed
    assert run("schema", "--control", "--slo").returncode == ExitCode.USAGE
