"""`fleetopt tune`: from a log to performance data that a fleet file takes."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import indent

import pytest

from benchmarks.tuner.worlds import WORLDS
from optimizer.spec import load
from tests.optimizer.cli.commands import REPOSITORY, run

EXAMPLE = REPOSITORY / "examples" / "fleet.yaml"
WORLD = WORLDS["state-dependent"]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty windows, one of them without requests."""
    path = tmp_path_factory.mktemp("log") / "observed.csv"
    rows = ["time_s,rate_rps,isl,osl,ttft_ms,itl_ms,site"]
    for i, seen in enumerate(WORLD.observations(30, 1)):
        rate = 0.0 if i == 11 else seen.arrival_rate_rps
        rows.append(
            f"{seen.time_s},{rate},{seen.input_tokens},{seen.output_tokens},{seen.ttft_ms},"
            f"{seen.itl_ms},east"
        )
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def test_a_log_becomes_performance_data(log: Path, tmp_path: Path) -> None:
    """What is written is an entry of a fleet file, with its uncertainty; rejected rows are told."""
    written = tmp_path / "learnt.yaml"
    done = run(
        "tune", log, "--model", "llama-8b", "--accelerator", "H100", "--max-batch", "96",
        "--queue-model", WORLD.model, "--json", "--write", written,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    (replica,) = document["replicas"]
    assert replica["accepted"] + len(replica["rejected"]) == 30
    assert {"line": 13, "reason": "arrival_rate_rps is 0"} in replica["rejected"]
    base = replica["parameters"]["base_ms"]
    assert base["low"] < base["value"] < base["high"]
    assert base["value"] == pytest.approx(WORLD.true[0], rel=0.1)
    assert document["ignored_columns"] == ["site"]
    known = "model: llama-8b, accelerator: H100,"
    fleet = EXAMPLE.read_text(encoding="utf-8").replace(known, f"{known} tensor_parallel: 1,")
    learnt = indent(written.read_text(encoding="utf-8").removeprefix("performance:\n"), "  ")
    merged = tmp_path / "fleet.yaml"
    merged.write_text(fleet.replace("performance:\n", f"performance:\n{learnt}", 1), "utf-8")
    entry = load(merged).performance[0]
    assert entry.uncertainty is not None
    assert entry.uncertainty.observations == replica["accepted"]


def test_a_fleet_gives_the_start(log: Path) -> None:
    """With --fleet the entry of the model and accelerator is started from, and kept otherwise."""
    done = run(
        "tune", log, "--fleet", EXAMPLE, "--model", "llama-8b", "--accelerator", "H100",
        "--queue-model", WORLD.model, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["replicas"][0]["max_batch"] == 256
    assert document["performance"][0]["max_batch"] == 256


def test_people_see_intervals_residuals_and_rejected_rows(log: Path) -> None:
    """Without --json there is a table, and a line for each thing to know."""
    done = run("tune", log, "--queue-model", WORLD.model)
    assert done.returncode == 0, done.stderr
    for words in ("95 % interval", "base_ms", "ttft_ms: off by", "line 13: arrival_rate_rps is 0"):
        assert words in done.stdout
    assert "columns not read: site" in done.stdout
    assert "max_batch is taken as 256" in done.stderr


@pytest.mark.parametrize(
    ("text", "options", "code", "words"),
    [
        ("rps,isl,osl,ttft_ms\n0,1,2,3\n", (), 3, "no observation could be used"),
        ("rps,isl,osl,ttft_ms\n1,1,2,3\n", ("--tuner", "least-squares"), 2, "iteration_ms"),
        ("rps,isl,osl,ttft_ms\n1,1,2,3\n", ("--fleet", str(EXAMPLE)), 2, "no performance data"),
        ("rps,isl,osl,ttft_ms\n1,1,2,3\n", ("--write", "/no/where.yaml"), 2, "--write"),
        ("rps,isl,osl,ttft_ms\n1,1,2,3\n", ("--noise", "-1"), 2, "--noise"),
    ],
)
def test_wrong_input_is_one_clear_message(
    tmp_path: Path, text: str, options: tuple[str, ...], code: int, words: str
) -> None:
    """No traceback, the exit code of the fault, and what to do."""
    path = tmp_path / "log.csv"
    path.write_text(text, encoding="utf-8")
    done = run("tune", path, *options)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
