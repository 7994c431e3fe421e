"""`fleetopt serve` as a person starts it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli.commands import REPOSITORY
from tests.optimizer.cli.in_process import called

ESTIMATED = ("serve", "--model", "meta-llama/Llama-3.1-8B", "--accelerator", "H100-SXM")
OF_FLEET = ("serve", "--fleet", "examples/fleet.yaml", "--model", "llama-8b")
needs_extra = pytest.mark.skipif(
    importlib.util.find_spec("uvicorn") is None, reason="the extra `serve` is not installed"
)


@needs_extra
def test_it_serves_until_interrupted_and_writes_its_trace(tmp_path: Path) -> None:
    """It says where it listens, answers with the model that was named, ends at an interrupt with
    status 0 and an error event for whoever still reads, and the requests that it served are a trace
    that can be read."""
    from optimizer.engine import read_trace

    trace = tmp_path / "trace.csv"
    arguments = [*OF_FLEET, "--accelerator", "H100", "--port", "0", "--record", str(trace)]
    process = subprocess.Popen(
        [sys.executable, "-c", "from optimizer.cli import main; main()", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(r"serving llama-8b at (http://127\.0\.0\.1:\d+)/v1", line):
                break
        else:
            pytest.fail("it ended without serving")
        body = json.dumps({"model": "llama-8b", "prompt": "A plan is", "max_tokens": 5})
        with urllib.request.urlopen(f"{found[1]}/v1/completions", body.encode(), 60) as answer:
            assert json.load(answer)["model"] == "llama-8b"
        ask = {"model": "llama-8b", "prompt": "A", "max_tokens": 9000, "stream": True}
        body = json.dumps({**ask, "ignore_eos": True})
        with urllib.request.urlopen(f"{found[1]}/v1/completions", body.encode(), 60) as stream:
            assert stream.readline().startswith(b"data: {")
            process.send_signal(signal.SIGINT)
            assert b"the emulator is ending" in stream.read()
        rest = process.stderr.read()
        assert process.wait(30) == ExitCode.OK, rest
        assert rest == "fleetopt: ended\n"
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    assert read_trace(trace).size == 2


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ((*ESTIMATED[:-1], "H1000"), 2, "the catalogue has no accelerator 'H1000'"),
        (("serve", "--model", "x/y", *ESTIMATED[3:]), 2, "the catalogue has no model 'x/y'"),
        ((*ESTIMATED, "--speed", "nan"), 2, "--speed = nan: must be from 0.001 to 10000"),
        ((*ESTIMATED, "--replicas", "-1"), 2, "--replicas = -1: must be from 0 to 64"),
        ((*ESTIMATED, "--port", "99999"), 2, "--port = 99999: must be from 0 to 65535"),
        ((*ESTIMATED, "--host", "192.0.2.1"), 2, "cannot listen at 192.0.2.1 port 8000"),
        ((*ESTIMATED, "--max-n", "0"), 2, "--max-n = 0: must be from 1"),
        ((*ESTIMATED, "--num-gpu-blocks", "1"), 2, "--num-gpu-blocks = 1: must be from 2"),
        ((*ESTIMATED, "--block-size", "0"), 2, "--block-size = 0: must be from 1 to 65536"),
        ((*ESTIMATED, "--prefix-match-unit", "5"), 2, "5: must divide the block size, 16"),
        ((*ESTIMATED, "--acceptance-rate", "2"), 2, "--acceptance-rate = 2.0: must be from 0 to 1"),
        ((*ESTIMATED, "--record", "absent/a.csv"), 2, "give another path to --record"),
        ((*ESTIMATED, "--record", "a.txt"), 2, "must end in .jsonl or .csv"),
        ((*ESTIMATED[:2], "meta-llama/Llama-3.1-8", *ESTIMATED[3:]), 2, "did you mean meta-llama"),
        ((*ESTIMATED, "--max-model-len", "9" * 9), 2, "--max-model-len = 999999999: must be from"),
        ((*OF_FLEET, "--accelerator", "H1"), 3, "--accelerator: there is no accelerator 'H1'"),
        ((*OF_FLEET, "--accelerator", "H100", "--kv-dtype", "fp8"), 2, "the fleet says it"),
        (("serve", "--fleet", "no.yaml", *ESTIMATED[1:]), 3, "there is no such file"),
        (
            ("serve", "--model", "meta-llama/Llama-3.1-70B", *ESTIMATED[3:]),
            2,
            "try a larger accelerator, --tensor-parallel or --precision fp8",
        ),
    ],
)
@needs_extra
def test_what_cannot_be_served_is_said_in_a_line(
    arguments: tuple[str, ...],
    status: int,
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The message names the option, what came and what is wanted."""
    monkeypatch.chdir(REPOSITORY)
    assert called(arguments) == status
    error = capsys.readouterr().err
    assert words in " ".join(error.split())
    assert "Traceback" not in error


def test_without_the_extra_it_says_how_to_add_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names what is missing and the command that installs it; exit code 6."""
    from optimizer.cli import serve

    monkeypatch.setattr(serve, "find_spec", lambda name: None)
    assert called(ESTIMATED) == ExitCode.PLUGIN
    assert "pip install 'fleetopt[serve]'" in capsys.readouterr().err
