"""A long solve at a terminal: Ctrl-C keeps the incumbent, the live line says how far it is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from math import inf

import pytest

from optimizer.cli.exit_codes import ExitCode
from optimizer.cli.live_solve import LiveLine, run_interruptibly
from solvers import CancelFlag, Progress
from tests.optimizer.cli.commands import REPOSITORY

# A solver that says that it is running and goes on until it is cancelled, or after that as well.
_ENDLESS = """
import dataclasses, importlib, sys, threading
from solvers import Limit, Reason, Termination, solve
module = importlib.import_module("optimizer.fleet.optimize")

def endless(problem, solver, *, progress, cancel, **options):
    sys.stderr.write("running\\n")
    sys.stderr.flush()
    found = solve(problem, "greedy")
    pause = threading.Event()
    while {deaf} or not cancel.is_set():
        pause.wait(0.01)
    return dataclasses.replace(
        found, termination=Termination(Reason.FEASIBLE, Limit.INTERRUPTED),
        dual_bound=found.primal_bound / 2,
    )

module.solve = endless
from optimizer.cli import main
main()
"""

needs_signals = pytest.mark.skipif(os.name != "posix", reason="Ctrl-C cannot be sent on Windows")


def start(*arguments: str, deaf: bool = False) -> subprocess.Popen[str]:
    """Start `fleetopt solve` with an endless solver and wait until that is running."""
    process = subprocess.Popen(
        [sys.executable, "-c", _ENDLESS.format(deaf=deaf), "solve", "examples/fleet.yaml",
         *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "160"},
    )  # fmt: skip
    assert process.stderr is not None
    said = []  # a first run compiles, and says so before it runs
    while (line := process.stderr.readline()) != "running\n":
        assert line, f"never ran: {said}"
        said.append(line)
    return process


@needs_signals
def test_ctrl_c_prints_the_incumbent_and_its_gap() -> None:
    """Exit 130, the plan as always, and on stderr its cost and gap."""
    process = start()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == ExitCode.INTERRUPTED
    assert "services served" in out
    assert "stopping with what there is" in err
    assert "fleetopt: interrupted, best plan so far" in err
    assert "gap 50.0000%" in err
    assert "Traceback" not in err


@needs_signals
def test_ctrl_c_prints_the_document_under_json() -> None:
    """The JSON document says what stopped the solver; stdout holds nothing else."""
    process = start("--json")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate()
    assert process.returncode == ExitCode.INTERRUPTED
    document = json.loads(out)
    assert (document["termination"], document["limit"]) == ("feasible", "interrupted")
    assert document["relative_gap"] == 0.5


@needs_signals
def test_a_second_ctrl_c_aborts() -> None:
    """A solver that heeds nothing does not keep the terminal; no plan, no traceback."""
    process = start(deaf=True)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "Ctrl-C again" not in process.stderr.readline():
        continue
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == ExitCode.INTERRUPTED
    assert (out, err) == ("", "")


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (None, "solving, 3 s"),
        (
            Progress(incumbent=1234.5, bound=1200.0),
            "cost 1,234.50, bound 1,200.00, gap 2.7947%, 3 s",
        ),
        (Progress(bound=7.0), "cost none yet, bound 7.00, gap unknown, 3 s"),
        (
            Progress(incumbent=4.0, bound=-inf, priority=2),
            "unserved of priority 2 4.00, bound none yet, gap unknown, 3 s",
        ),
    ],
)
def test_the_live_line_says_what_is_known(progress: Progress | None, text: str) -> None:
    """Incumbent, bound, gap and seconds; what is unknown is not made up."""
    line = LiveLine()
    if progress is not None:
        line.tell(progress)
    assert line.text(3.2) == text


def test_the_live_line_is_quiet_at_first(capsys: pytest.CaptureFixture[str]) -> None:
    """Solves that end at once show none, and leave nothing."""
    line = LiveLine()
    line.draw()
    line.clear()
    assert capsys.readouterr() == ("", "")


def test_the_live_line_is_drawn_over_and_cleared(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shorter line leaves nothing of a longer one, and the end leaves nothing at all."""
    monkeypatch.setattr("optimizer.cli.live_solve.time.perf_counter", lambda: 0.0)
    line = LiveLine()
    monkeypatch.setattr("optimizer.cli.live_solve.time.perf_counter", lambda: 9.0)
    line.draw()
    line.tell(Progress(incumbent=1e6, bound=1e6))
    line.draw()
    line.clear()
    shown = "cost 1,000,000.00, bound 1,000,000.00, gap 0.0000%, 9 s"
    assert capsys.readouterr().err == f"\rsolving, 9 s\r{shown}\r{' ' * len(shown)}\r"


def test_what_the_work_raises_is_raised() -> None:
    """Errors come out of the thread as they are; outside the main thread no signal is touched."""

    def fail() -> None:
        raise ZeroDivisionError("in the work")

    raised: list[BaseException] = []

    def call() -> None:
        try:
            run_interruptibly(fail, CancelFlag(), None)
        except ZeroDivisionError as error:
            raised.append(error)

    before = signal.getsignal(signal.SIGINT)
    call()
    assert signal.getsignal(signal.SIGINT) is before
    other = threading.Thread(target=call)
    other.start()
    other.join()
    assert [str(error) for error in raised] == ["in the work"] * 2
