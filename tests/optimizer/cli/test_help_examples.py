"""Every example in every `--help` runs, as it stands, where the files that it names are."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from benchmarks.tuner.worlds import WORLDS
from optimizer.cli.exit_codes import ExitCode
from tests.optimizer.cli.commands import REPOSITORY, run
from tests.optimizer.cli.in_process import called
from tests.optimizer.cli.test_documents import COMMANDS
from tests.optimizer.cli.test_kv_reuse import LINES as TRACE
from tests.optimizer.cli.test_melange import RELEASE_EXAMPLE
from tests.optimizer.performance.test_measurements import iterations
from tests.optimizer.spec.inferno_documents import small_system

# These run until interrupted, or need a device: their own tests run them.
ELSEWHERE = {
    "capacity measure", "control serve", "dashboard", "operator run", "serve",
    "control run examples/control/control.yaml --slo examples/slo.yaml",
    "control approve /etc/fleetopt/control.yaml 3f9a0c21b7de",
    "solve examples/fleet.yaml --verify",  # minutes of simulation
}  # fmt: skip
SLOW = (
    "compare", "control", "explain", "export", "horizon", "kv study", "pareto", "report",
    "simulate", "solve", "sweep", "tune", "whatif",
)  # fmt: skip
NEEDS = {"--plot": "matplotlib", "--residuals": "matplotlib", "report": "jinja2"}


def examples() -> Iterator[object]:
    """Each example once, with the marks of what it takes."""
    for name, command in sorted(COMMANDS.items()):
        text = (command.help or "").replace("\\\n", "")
        for line in re.findall(r"^ +((?:.*\| )?fleetopt .*\S)$", text, re.MULTILINE):
            if "kubectl" in line or any(f"fleetopt {other}" in line for other in ELSEWHERE):
                continue
            slow = any(name == verb or name.startswith(f"{verb} ") for verb in SLOW)
            yield pytest.param(line, id=line[:60], marks=[pytest.mark.slow] if slow else [])


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file that an example names."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(REPOSITORY / "examples", folder / "examples")
    (folder / "deploy/kubernetes").mkdir(parents=True)
    world = WORLDS["state-dependent"]
    windows = [
        f"{s.time_s},{s.arrival_rate_rps},{s.input_tokens},{s.output_tokens},{s.ttft_ms},{s.itl_ms}"
        for s in world.observations(20, 1)
    ]
    observed = ["time_s,rate_rps,isl,osl,ttft_ms,itl_ms", *windows]
    keys = ("time_s", "arrival_rate_rps", "input_tokens", "output_tokens", "ttft_ms", "itl_ms")
    as_lines = (
        dict(zip(keys, map(float, row.split(",")), strict=True))
        | {"model": "llama-8b", "accelerator": "H100"}
        for row in windows
    )
    steps = iterations(0.02).replace("time_ms", "iteration_ms", 1)
    known = "meta-llama/Llama-3.1-8B,H100"
    profile = f"model,accelerator,context_tokens,prefill_s\n{known},2048,0.3\n{known},8192,1.5\n"
    device = "device,bandwidth_gb_s,latency_ms\nshelf,1.5,0.5\n"
    llama = {
        "architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 14336,
        "vocab_size": 128256, "max_position_embeddings": 131072, "torch_dtype": "bfloat16",
    }  # fmt: skip
    files = {
        "config.json": json.dumps(llama),
        "control.yaml": (folder / "examples/control/control.yaml").read_text(encoding="utf-8")
        + "state: state.jsonl\n",
        "devices.csv": device,
        "fleet.yaml": (REPOSITORY / "examples/fleet.yaml").read_text(encoding="utf-8"),
        "measurements.csv": iterations(0.02),
        "observed.csv": "\n".join(observed),
        "observed.jsonl": "\n".join(json.dumps(line) for line in as_lines),
        "prefill.csv": profile,
        "serving.csv": "model,accelerator," + iterations(0.02).replace("\n", "\nm,H100,"),
        "steps.csv": steps,
        "system.json": json.dumps(small_system()),
        "trace.jsonl": "\n".join(json.dumps(line) for line in TRACE),
        "workload.json": json.dumps(RELEASE_EXAMPLE),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    with redirect_stdout(StringIO()) as plan:
        assert called(("solve", folder / "fleet.yaml", "--json")) == ExitCode.OK
    for name in ("plan.json", "today.json", "yesterday.json"):
        (folder / name).write_text(plan.getvalue(), encoding="utf-8")
    for stored in (folder / "prefill.csv", folder / "devices.csv"):
        database = folder / "profiles.db"
        assert called(("kv", "profiles", "import", database, stored)) == ExitCode.OK
    return folder


@pytest.mark.parametrize("line", list(examples()))
def test_an_example_runs(line: str, prepared: Path, tmp_path: Path) -> None:
    """It exits with 0; a document that it prints is what its schema says."""
    for word, package in NEEDS.items():
        if word in line:
            pytest.importorskip(package, reason=f"{word} needs an extra")
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    if "--from results" in line:
        small = ("--instances", "fleet:20", "--solvers", "greedy", "--no-warm-up", "-o", "results")
        assert run("compare", *small, cwd=tmp_path).returncode == ExitCode.OK
    out = ""
    for part in line.split(" | "):
        status, out, err = run(*shlex.split(part)[1:], stdin=out, cwd=tmp_path)
        assert status == ExitCode.OK, err


def test_no_example_is_left_out_that_is_not_known() -> None:
    """What runs elsewhere is still an example of some command."""
    texts = "\n".join(command.help or "" for command in COMMANDS.values())
    assert all(f"fleetopt {other}" in texts for other in ELSEWHERE)
    assert len(list(examples())) > len(COMMANDS)
