"""Running the command as a person would: another process, its output, its exit status."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


def run(
    *arguments: str | Path,
    stdin: str | bytes = b"",
    cwd: Path = REPOSITORY,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run `fleetopt` with these arguments; never raises for its exit status."""
    done = subprocess.run(
        [sys.executable, "-c", "from optimizer.cli import main; main()", *map(str, arguments)],
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "160", **(env or {})},
        check=False,
    )
    return subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )
