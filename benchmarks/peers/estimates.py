"""Times of one replica without measurements: aiconfigurator's command and ours, whole processes.

The value of `Found` is the mean time per output token [ms]; its detail the TTFT [ms]. Which of the
two is nearer to measured times is another benchmark's: `python -m benchmarks.iteration_time`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import version

from benchmarks.peers.found import Found

# Model, accelerator by both names, tensor parallelism, batch.
CASES = {
    f"Qwen3-32B H200 TP{degree} batch {batch}": (
        "Qwen/Qwen3-32B", "H200-SXM", "h200_sxm", degree, batch,
    )
    for degree in (1, 2)
    for batch in (1, 32)
}  # fmt: skip
INPUT_TOKENS, OUTPUT_TOKENS = 4000, 1000
COMMAND = "AICONFIGURATOR"  # environment variable that names the command
_LIMIT_S = 120


def aiconfigurator(case: str) -> Found:
    """Read the table that `aiconfigurator cli estimate` prints."""
    model, _, system, degree, batch = CASES[case]
    said = _run(
        os.environ.get(COMMAND, "aiconfigurator"), "cli", "estimate", "--model-path", model,
        "--system", system, "--backend", "vllm", "--isl", INPUT_TOKENS, "--osl", OUTPUT_TOKENS,
        "--batch-size", batch, "--tp-size", degree,
    )  # fmt: skip
    figures = {name: float(re.search(rf"{name}: +([\d.]+) ms", said)[1]) for name in _NAMES}  # type: ignore[index]
    return Found(figures["TPOT"], None, "aiconfigurator 0.12.0", f"{figures['TTFT']:.0f}")


_NAMES = ("TTFT", "TPOT")


def ours(case: str) -> Found:
    """Ask `fleetopt capacity recommend` for the one layout."""
    model, accelerator, _, degree, batch = CASES[case]
    said = _run(
        sys.executable, "-c", "from optimizer.cli import main; main()", "capacity", "recommend",
        model, "-a", accelerator, "-t", degree, "--context-length",
        INPUT_TOKENS + OUTPUT_TOKENS, "--output-tokens", OUTPUT_TOKENS, "--batch-size", batch,
        "--json",
    )  # fmt: skip
    best = json.loads(said)["recommendations"][0]
    made_by = f"fleetopt {version('fleetopt')}"
    return Found(best["itl_ms"], None, made_by, f"{best['ttft_ms']:.0f}")


def _run(*words: object) -> str:
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=True, timeout=_LIMIT_S
    )
    return done.stdout
