"""`fleetopt control serve`: what it says to wrong input, and a life of it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="needs fastapi (the extra 'control')")
pytest.importorskip("httpx", reason="needs httpx (the extra 'control')")

from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli.commands import REPOSITORY, run

CONTROL = REPOSITORY / "examples" / "control" / "control.yaml"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("absent.yaml",), "absent.yaml"),
        ((CONTROL, "--token-file", "absent"), "absent: the token cannot be read"),
        ((CONTROL, "--max-body-kib", "0"), "must be 1 byte to 1 GiB"),
        ((CONTROL, "--request-seconds", "-1"), "must be above 0"),
        ((CONTROL, "--request-seconds", "nan"), "must be above 0"),
        ((CONTROL, "--port", "70000"), "port"),
        ((CONTROL, "--host", "no.such.host.invalid"), "cannot listen at no.such.host.invalid"),
    ],
)
def test_wrong_input_is_told(tmp_path: Path, options: tuple[str | Path, ...], words: str) -> None:
    """In one line, without a traceback."""
    status, out, err = run("control", "serve", *options)
    assert status != ExitCode.OK
    assert words in err
    assert out == ""
    assert "Traceback" not in err


@pytest.mark.slow
def test_it_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    """It says where, answers, and ends without a word of complaint."""
    for name in ("control.yaml", "fleet.yaml"):
        text = (CONTROL.parent / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace(":9090", ":9"), encoding="utf-8")
    command = "from optimizer.cli import main; main()"
    arguments = ["control", "serve", str(tmp_path / "control.yaml"), "--port", "0", "--dry-run"]
    with subprocess.Popen(
        [sys.executable, "-c", command, *arguments],
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stderr is not None
        try:
            found = None
            for line in process.stderr:  # a notice of compilation may come first
                found = re.search(r"http://[\d.]+:\d+", line)
                if found:
                    break
            assert found is not None
            with urllib.request.urlopen(f"{found[0]}/openapi.json", timeout=60) as answer:
                assert answer.status == 200
            process.send_signal(signal.SIGINT)
            _, rest = process.communicate(timeout=60)
        finally:
            process.kill()
    assert "Traceback" not in rest
    assert process.returncode == 0
