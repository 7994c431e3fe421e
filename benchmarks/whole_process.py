"""What `fleetopt solve` costs as a whole process, imports included."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median

from benchmarks.inferno_instances import present

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "fleet.yaml"


def run(repeats: int) -> None:
    """Print a row per command: CPU seconds of the process and its children."""
    print("Whole process, imports included")
    print(f"{'command':<58}{'CPU':>18}")
    imported = sorted(_cpu_of("import optimizer") for _ in range(repeats + 1))[:repeats]
    print(f"{'(import optimizer)':<58}{f'{median(imported):.2f} ({imported[0]:.2f})':>18}")
    commands = [
        ["--help"],
        ["solve", str(EXAMPLE)],
        ["solve", str(EXAMPLE), "--solver", "cp-sat"],
    ]
    for case in present():
        for limit in ("unlimited", "limited"):
            commands.append(
                ["solve", str(case.path), "--queue-model", case.queue_model, "--capacity", limit]
            )
    for command in commands:
        times = [_cpu(command) for _ in range(repeats + 1)][1:]
        label = " ".join(Path(word).name if "/" in word else word for word in command)
        print(f"{label:<58}{f'{median(times):.2f} ({min(times):.2f})':>18}")


def _cpu(arguments: list[str]) -> float:
    return _cpu_of("from optimizer.cli import main; main()", *arguments)


def _cpu_of(code: str, *arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", code, *arguments],
        check=True,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
