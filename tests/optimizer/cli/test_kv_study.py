"""`fleetopt kv study`: text, JSON, CSV and one page."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from optimizer.cli.exit_codes import ExitCode
from optimizer.report.html import pages
from tests.optimizer.cli.commands import run

ONE = ("kv", "study", "--model", "meta-llama/Llama-3.1-8B", "--device", "nvme_paper")


def test_text_and_document_have_the_same_tables() -> None:
    """Every title of the document is on the screen."""
    status, out, err = run(*ONE, "--json")
    assert status == ExitCode.OK, err
    document = json.loads(out)
    assert document["schema_version"] == 1
    status, text, _ = run(*ONE)
    assert status == ExitCode.OK
    for table in document["studies"][0]["tables"]:
        assert table["title"] in text


def test_a_page_needs_nothing_else_and_a_folder_has_every_table(tmp_path: Path) -> None:
    """A picture per table, no link to anything; CSV that a spreadsheet reads."""
    pytest.importorskip("jinja2", reason="the extra report is not installed")
    pytest.importorskip("matplotlib", reason="the extra report is not installed")
    page = tmp_path / "study.html"
    status, out, err = run(*ONE, "-o", page, "--csv", tmp_path / "tables")
    assert status == ExitCode.OK, err
    assert not out
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") == text.count("<h3>") == 12
    assert not re.search(r'(src|href)="(https?:)?//', text)
    paths = list((tmp_path / "tables").glob("*.csv"))
    assert len(paths) == 12
    for path in paths:
        with path.open(encoding="utf-8") as file:
            rows = list(csv.reader(file))
        assert len({len(row) for row in rows}) == 1


def test_without_matplotlib_a_page_is_refused_with_what_adds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, the extra's name, exit code 6, no page."""
    monkeypatch.setattr(pages, "find_spec", lambda name: None)
    page = tmp_path / "study.html"
    status, _, err = run(*ONE, "-o", page)
    assert status == ExitCode.PLUGIN
    assert "fleetopt[report]" in err
    assert not page.exists()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("--model", "meta-llama/Llama-3.1-8BB"), ExitCode.SPEC_INVALID, "Llama-3.1-8B"),
        (("--accelerator", "H1000"), ExitCode.SPEC_INVALID, "H100"),
        (("--accelerator", "T4", "--model", "01-ai/Yi-34B"), ExitCode.SPEC_INVALID, "cannot be"),
        (("--device", "nvme_papr"), ExitCode.SPEC_INVALID, "nvme_paper"),
        (("--hit-rate", "1.5"), ExitCode.SPEC_INVALID, "--hit-rate"),
        (("--hit-rate", "nan"), ExitCode.SPEC_INVALID, "--hit-rate"),
        (("--trace", "none.jsonl"), ExitCode.SPEC_INVALID, "cannot be read"),
        (("--csv", __file__), ExitCode.USAGE, "--csv"),
        (("-o", "no/such/folder/x.html"), ExitCode.USAGE, "cannot write"),
    ],
)
def test_wrong_input_is_told_in_a_line(
    arguments: tuple[str, ...], status: ExitCode, message: str
) -> None:
    """What is wrong is named."""
    got, _, err = run("kv", "study", *arguments)
    assert got == status, err
    assert message in err
    assert "Traceback" not in err
