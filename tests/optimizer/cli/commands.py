"""Running the command as a person would: its output, its exit status.

In this process, which is many times faster than another one; where the environment matters, in
another.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli.in_process import called
from tests.optimizer.cli.json_documents import check_document

REPOSITORY = Path(__file__).resolve().parents[3]
_WIDTH = {"COLUMNS": "160"}


class Answer(NamedTuple):
    """What a call of the command comes to."""

    returncode: int
    stdout: str
    stderr: str


def run(
    *arguments: str | Path,
    stdin: str | bytes = b"",
    cwd: Path = REPOSITORY,
    env: Mapping[str, str] | None = None,
) -> Answer:
    """Run `fleetopt` with these arguments; never raises for its exit status.

    With an environment of its own it runs in a process of its own.
    """
    given = stdin.encode() if isinstance(stdin, str) else stdin
    if env is not None:
        return _run_apart([str(argument) for argument in arguments], given, cwd, env)
    out, err = _Captured(), _Captured()
    with (
        chdir(cwd),
        mock.patch.dict(os.environ, _WIDTH),
        mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), "utf-8")),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        status = called(arguments)
    check_document(arguments, status, out.text())
    return Answer(status, out.text(), err.text())


def document(*arguments: str | Path) -> dict[str, Any]:
    """Return the JSON document of a call that answers."""
    status, out, err = run(*arguments, "--json")
    assert status == ExitCode.OK, err
    read: dict[str, Any] = json.loads(out)
    assert read["schema_version"] == 1
    return read


class _Captured(io.TextIOWrapper):
    """What is written to a pipe."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8", newline="")

    def text(self) -> str:
        """All of it so far."""
        self.flush()
        written = self.buffer
        assert isinstance(written, io.BytesIO)
        return written.getvalue().decode()


def _run_apart(arguments: list[str], stdin: bytes, cwd: Path, env: Mapping[str, str]) -> Answer:
    done = subprocess.run(
        [sys.executable, "-c", "from optimizer.cli import main; main()", *arguments],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **_WIDTH, **env},
        check=False,
        timeout=300,
    )
    check_document(arguments, done.returncode, done.stdout.decode())
    return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())
