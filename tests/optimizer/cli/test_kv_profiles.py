"""`fleetopt kv profiles`, and `--profiles` where a prefill is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli.in_process import Run

MODEL = "meta-llama/Llama-2-7b-hf"


@pytest.fixture
def database(run: Run, tmp_path: Path) -> Path:
    """Two points of one model on one accelerator."""
    csv = tmp_path / "p.csv"
    csv.write_text(
        f"model,accelerator,context_tokens,prefill_s\n{MODEL},A40,2048,0.3\n{MODEL},A40,8192,1.5\n"
    )
    path = tmp_path / "p.db"
    status, _, err = run("kv", "profiles", "import", path, csv)
    assert status == ExitCode.OK, err
    assert "2 of 2" in err
    return path


def test_a_profile_gives_the_prefill_of_ratio_and_device(run: Run, database: Path) -> None:
    """4,096 tokens lie a third of the way from 0.3 s to 1.5 s: 0.7 s."""
    common = ("--model", MODEL, "--context-tokens", "4096", "--profiles", database, "--json")
    for command in (("ratio", "--bandwidth-gb-s", "4.8"), ("device",)):
        status, out, err = run("kv", *command, *common)
        assert status == ExitCode.OK, err
        assert json.loads(out)["prefill_ms"] == pytest.approx(700.0)


def test_a_restoration_takes_the_fitted_law_and_says_how_well_it_fits(
    run: Run, database: Path
) -> None:
    """Two points fix a and b: nothing is lost."""
    status, out, err = run(
        "kv", "restore", "--model", MODEL, "--prefix-tokens", "8192", "--profiles", database,
        "--bandwidth-gb-s", "4.8", "--json",
    )  # fmt: skip
    assert status == ExitCode.OK
    assert json.loads(out)["prefix_compute_ms"] == pytest.approx(1500.0)
    assert "within 0.0%" in err


def test_update_show_and_export(run: Run, database: Path) -> None:
    """A changed point is in force, the former one is history."""
    update = ("kv", "profiles", "update", database, "--model", MODEL, "--accelerator", "A40")
    status, _, err = run(*update, "--context-tokens", "2048", "--prefill-s", "0.25")
    assert status == ExitCode.OK, err
    listing = json.loads(run("kv", "profiles", "show", database, "--history", "--json")[1])
    assert [p["prefill_ms"] for p in listing["prefills"]] == [300.0, 250.0, 1500.0]
    assert listing["laws"][0]["from_tokens"] == 2048
    status, out, _ = run("kv", "profiles", "export", database)
    assert status == ExitCode.OK
    assert len(out.splitlines()) == 3
    status, out, _ = run("kv", "profiles", "show", database)
    assert "250" in out


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("ratio", "--context-tokens", "9000"), ExitCode.SPEC_INVALID, "from 2,048 to 8,192"),
        (("ratio", "--context-tokens", "nan"), ExitCode.SPEC_INVALID, "--context-tokens"),
        (
            ("ratio", "--context-tokens", "4096", "--accelerator", "H1OO"),
            ExitCode.SPEC_INVALID,
            "there is A40",
        ),
        (("ratio", "--context-tokens", "4096", "--prefill-s", "1"), ExitCode.USAGE, "leave out"),
        (("profiles", "show", "none.db"), ExitCode.SPEC_INVALID, "no such file"),
        (("profiles", "show", "p.csv"), ExitCode.SPEC_INVALID, "no SQLite file"),
        (("profiles", "show", "p.db", "--model", "x"), ExitCode.SPEC_INVALID, "no such profile"),
        (("profiles", "show", "p.db", "--devices"), ExitCode.SPEC_INVALID, "no such profile"),
        (("profiles", "import", "p.db", "."), ExitCode.SPEC_INVALID, "fleetopt: .: cannot be read"),
        (("profiles", "import", "p.db", "none.csv"), ExitCode.SPEC_INVALID, "cannot be read"),
    ],
)
def test_wrong_input_is_told_in_a_line(
    run: Run,
    database: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    status: ExitCode,
    message: str,
) -> None:
    """What is wrong is named, and nothing is printed as an answer."""
    monkeypatch.chdir(database.parent)
    if arguments[0] == "ratio":
        arguments += ("--model", MODEL, "--bandwidth-gb-s", "1", "--profiles", "p.db")
    got, out, err = run("kv", *arguments)
    assert got == status
    assert message in err
    assert "Traceback" not in err
    assert not out
