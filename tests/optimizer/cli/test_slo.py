"""`--slo` and `export --format prometheus-rules` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from optimizer.cli.exit_codes import ExitCode
from tests.conftest import REPOSITORY
from tests.optimizer.cli.commands import run

FLEET = REPOSITORY / "examples" / "fleet.yaml"
SHEET = REPOSITORY / "examples" / "slo.yaml"


def test_a_sheet_decides_a_plan(tmp_path: Path) -> None:
    """Its objectives are among the targets of every allocation; the rest is noted."""
    sheet = tmp_path / "slo.yaml"
    sheet.write_text(
        "objectives: [{metric: itl_ms, target: 25}, {metric: success_percent, target: 99}]",
        encoding="utf-8",
    )
    code, out, _ = run(
        "solve", FLEET, "--slo", sheet, "--json", "--queue-model", "lps", "--estimates", "forbidden"
    )
    assert code == 0
    plan = json.loads(out)
    placed = [one for one in plan["allocations"] if one["accelerator"] is not None]
    assert placed
    for allocation in placed:
        bounds = {(t["metric"], t["statistic"]): t["bound"] for t in allocation["targets"]}
        assert bounds["itl_ms", "mean"] == 25
    assert any("success_percent at least 99" in note for note in plan["notes"])


def test_alert_rules(tmp_path: Path) -> None:
    """To standard output, or to a file."""
    code, out, err = run("export", SHEET, "--format", "prometheus-rules")
    assert (code, err) == (0, "")
    assert out.startswith("groups:")
    path = tmp_path / "slo.rules.yml"
    assert run("export", SHEET, "--format", "prometheus-rules", "-o", path)[0] == 0
    assert path.read_text(encoding="utf-8") == out


def test_the_schema_of_sheets() -> None:
    """Draft 2020-12, objectives required."""
    code, out, _ = run("schema", "--slo")
    assert code == 0
    assert json.loads(out)["required"] == ["objectives"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty: must be an SLO sheet"),
        ("objectives: []", "objectives"),
        ("objektives: []", "did you mean 'objectives'"),
        ("objectives: [{metric: ttft_ms, target: -1}]", "must be greater than 0"),
        ("objectives: [{metric: ttft_ms, target: .nan}]", "must be a finite number"),
        ("objectives: [{metric: ttft_ms, target: 1, class: none}]", "has no such class"),
    ],
)
def test_wrong_sheets_are_told(tmp_path: Path, text: str, words: str) -> None:
    """One line each, exit 3, nothing solved."""
    path = tmp_path / "slo.yaml"
    path.write_text(text, encoding="utf-8")
    code, out, err = run("solve", FLEET, "--slo", path)
    assert (code, out) == (ExitCode.SPEC_INVALID, "")
    assert words in err
    assert "Traceback" not in err


def test_an_absent_sheet_is_told(tmp_path: Path) -> None:
    """Its name, exit 3."""
    code, _, err = run("export", tmp_path / "absent.yaml", "--format", "prometheus-rules")
    assert code == ExitCode.SPEC_INVALID
    assert "absent.yaml" in err
