"""`fleetopt solve --engine`: the same plan, and words for what goes wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.large_fleet import large
from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.live_solve import LiveLine
from optimizer.spec import dump
from tests.optimizer.cli.commands import REPOSITORY, run
from tests.optimizer.fleet import fleets


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A fleet that is solved in milliseconds."""
    spec = fleets.fleet(services=[fleets.service(name) for name in ("one", "two", "three")])
    path = tmp_path / "fleet.yaml"
    path.write_text(dump(spec), encoding="utf-8")
    return path


def test_blocks_give_the_same_plan(small: Path) -> None:
    """To the byte, in this process and in two others."""
    whole = run("solve", small, "--json")
    for engine in ("serial", "local:2"):
        parts = run("solve", small, "--engine", engine, "--blocks", "2", "--json")
        assert (parts.returncode, parts.stderr) == (ExitCode.OK, "")
        assert parts.stdout == whole.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--blocks", "2"], "--blocks needs --engine"),
        (["--block-limit", "2"], "--block-limit needs --engine"),
        (["--engine", "serial", "--block-limit", "2"], "--block-limit needs other processes"),
        (["--engine", "local:2", "--block-limit", "nan"], "must be greater than 0 seconds"),
        (["--engine", "local:2", "--block-limit", "-1"], "must be greater than 0 seconds"),
        (["--engine", "serial", "--blocks", "0"], "greater than or equal to 1"),
        (["--engine", "cloud"], "engine 'cloud': must be serial, local"),
        (["--engine", "serial", "--queue-model", "nope"], "unknown queue model 'nope'"),
    ],
)
def test_what_means_nothing_is_refused(small: Path, options: list[str], words: str) -> None:
    """In a line, as a wrong use."""
    done = run("solve", small, *options)
    assert done.returncode == ExitCode.USAGE
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_uncertain_loads_have_no_blocks() -> None:
    """They are sized for all of their loads."""
    done = run("solve", "examples/uncertain.yaml", "--engine", "serial")
    assert done.returncode == ExitCode.USAGE
    assert "this fleet's are uncertain" in done.stderr


def test_the_line_counts_blocks() -> None:
    """Until all are sized."""
    line = LiveLine()
    line.tell_sized(3, 8)
    assert line.text(2.0) == "sizing, 3 of 8 blocks done, 2 s"
    line.tell_sized(8, 8)
    assert line.text(2.0) == "solving, 2 s"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="children are read from /proc")
def test_ctrl_c_ends_the_sizing(tmp_path: Path) -> None:
    """With the status of an interrupt, within seconds, and no traceback."""
    path = tmp_path / "large.json"
    path.write_text(json.dumps(large(3000, "iteration-level")), encoding="utf-8")
    command = [sys.executable, "-c", "from optimizer.cli import main; main()"]
    started = subprocess.Popen(
        [*command, "solve", str(path), "--engine", "local:2"],
        cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        text=True,
    )  # fmt: skip
    children = Path(f"/proc/{started.pid}/task/{started.pid}/children")
    try:
        end = time.monotonic() + 60
        while not children.read_text() and time.monotonic() < end:
            time.sleep(0.05)  # until there is who sizes
        os.killpg(started.pid, signal.SIGINT)
        out, err = started.communicate(timeout=60)
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait(10)
    assert started.returncode == ExitCode.INTERRUPTED, err
    assert (out, "Traceback" in err) == ("", False)
    assert "interrupted" in err
