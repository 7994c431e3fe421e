"""How long the candidate table takes, against the Go core's candidates."""

from __future__ import annotations

import time
from statistics import median

from benchmarks.inferno_instances import present
from optimizer import build_candidates, load_inferno
from optimizer.fleet import build_problem


def run(repeats: int) -> None:
    """Print a row per instance: pairs, CPU of the table and of table and arrays, ratio to Go."""
    print("Building all candidates (imports and reading the file excluded)")
    print(f"{'instance':<14}{'pairs':>7}{'table':>18}{'with arrays':>18}{'Go core':>9}{'ratio':>7}")
    for case in present():
        fleet = load_inferno(case.path)
        pairs = len(build_candidates(fleet, case.queue_model))
        table = _cpu(lambda f=fleet, c=case: build_candidates(f, c.queue_model), repeats)
        arrays = _cpu(lambda f=fleet, c=case: build_problem(f, c.queue_model), repeats)
        print(
            f"{case.name:<14}{pairs:>7}{_show(table):>18}{_show(arrays):>18}"
            f"{case.go_cpu_s:>9.2f}{case.go_cpu_s / median(table):>6.0f}x"
        )


def _cpu(action: object, repeats: int) -> list[float]:
    assert callable(action)
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        action()
        times.append(time.process_time() - begin)
    return times


def _show(times: list[float]) -> str:
    return f"{median(times):.4f} ({min(times):.4f})"
