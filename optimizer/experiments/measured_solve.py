"""One run, in a process of its own: reads a request, solves, and reports what it measured.

The request comes on standard input as one line. Two lines of JSON go to standard output: one when
the solve begins, one with the fields of the row. Whatever back ends print goes to standard error.
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from optimizer.experiments.run import RunRequest, RunStatus
from optimizer.experiments.solver_spec import parse_solver
from solvers import (
    AllocationProblem,
    Feature,
    SolveParams,
    SolveResult,
    check,
    get,
    relative_gap,
)
from solvers.instances import generate, load_instance
from solvers.progress import Progress, ProgressCallback

__all__ = ["main"]

# Small, but with scarce rows, so that a solver takes the path of larger problems.
_WARM_UP = ("fleet", 30)
_WARM_UP_LIMIT_S = 10.0

# The value that a solver reports and the checker's may differ by this, relative.
_VALUE_TOLERANCE = 1e-9

_MB = 1e6


def main() -> None:
    """Serve the request on standard input."""
    request = RunRequest.from_json(sys.stdin.readline())
    with _own_output() as output:
        fields = _run(request, lambda event: print(json.dumps(event), file=output, flush=True))
        print(json.dumps({"event": "finished", "row": fields}), file=output, flush=True)


def _own_output() -> TextIO:
    """Keep standard output for the report; libraries that print there reach standard error."""
    ours = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return ours


def _run(request: RunRequest, report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    problem = load_instance(request.instance)
    size = {"groups": problem.groups, "columns": problem.columns, "rows": problem.rows}
    fields: dict[str, Any] = dict(size)
    # The report is the row: whatever a solver raises is what this process is here to record.
    try:
        if request.settings.warm_up:
            fields["warm_up_cpu_s"] = _warm_up(request)
    except Exception as error:  # noqa: BLE001
        return fields | _failed(error, "while warming up: ")
    before = _cpu_s()
    fields["memory_before_mb"] = _peak_memory_mb()
    report({"event": "started", "row": fields})
    reports: list[Progress] = []
    begin = time.perf_counter()
    try:
        result = _solve(problem, request, progress=reports.append)
    except Exception as error:  # noqa: BLE001
        outcome = _failed(error)
    else:
        outcome = {}
    fields["total_s"] = time.perf_counter() - begin
    fields["cpu_s"] = _cpu_s() - before
    fields["peak_memory_mb"] = _peak_memory_mb()
    maximise = request.instance.maximise
    fields["progress"] = [
        (p.elapsed_s, _in_sense(p.incumbent, maximise), _in_sense(p.bound, maximise))
        for p in reports
        if p.priority is None  # the earlier stages of strict priorities are about another value
    ]
    return fields | (outcome or _answered(problem, result, maximise))


def _warm_up(request: RunRequest) -> float:
    before = _cpu_s()
    family, groups = _WARM_UP
    _solve(generate(family, groups), request, limit_s=_WARM_UP_LIMIT_S)
    return _cpu_s() - before


def _solve(
    problem: AllocationProblem,
    request: RunRequest,
    *,
    limit_s: float = math.inf,
    progress: ProgressCallback | None = None,
) -> SolveResult:
    name, options = parse_solver(request.solver)
    settings, solver = request.settings, get(name)
    limited = Feature.TIME_LIMIT in solver.features
    params = SolveParams(
        time_limit_s=min(settings.time_limit_s, limit_s) if limited else None,
        relative_gap=settings.relative_gap,
        seed=request.seed,
        threads=settings.threads,
        options=options,
        progress=progress,
    )
    return solver.solve(problem, params)


def _failed(error: Exception, when: str = "") -> dict[str, Any]:
    return {"status": RunStatus.ERROR, "error": f"{when}{type(error).__name__}: {error}"}


def _answered(problem: AllocationProblem, result: SolveResult, maximise: bool) -> dict[str, Any]:
    """Fields of a run that returned: checked, and turned to the instance's own sense."""
    termination, statistics = result.termination, result.statistics
    fields: dict[str, Any] = {
        "status": RunStatus.ANSWERED,
        "value": _in_sense(result.primal_bound, maximise),
        "bound": _in_sense(result.dual_bound, maximise),
        "gap": _finite(relative_gap(result.primal_bound, result.dual_bound)),
        "termination": termination.reason,
        "limit": termination.limit,
        "detail": termination.detail,
        "build_s": statistics.build_s,
        "solve_s": statistics.solve_s,
        "solver_version": statistics.version,
        "notes": list(statistics.notes),
    }
    if result.x is None:
        return fields
    report = check(problem, result.x, result.parts, result.rates, result.z)
    faults = list(report.violations)
    if not math.isclose(report.cost, result.primal_bound, rel_tol=_VALUE_TOLERANCE, abs_tol=1e-9):
        faults.append(f"reports the cost {result.primal_bound!r}, x costs {report.cost!r}")
    if faults:
        # A value that no solution has is no value.
        fields |= {"status": RunStatus.WRONG, "error": "; ".join(faults), "value": None}
        fields |= {"gap": None}
    return fields


def _in_sense(cost: float, maximise: bool) -> float | None:
    return _finite(0.0 - cost if maximise else cost)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _cpu_s() -> float:
    """CPU seconds of this process and of its children that have ended."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _peak_memory_mb() -> float:
    """Largest resident memory so far, of this process or of one of its children."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _rss_unit()
    return max(_own_peak_bytes(), children) / _MB


def _own_peak_bytes() -> float:
    # Where the kernel keeps it per address space: ru_maxrss of a new program begins with that of
    # the process which started it.
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return float(line.split()[1]) * 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _rss_unit())


def _rss_unit() -> int:
    """Bytes in which getrusage counts memory: kibibytes, on macOS bytes."""
    return 1 if sys.platform == "darwin" else 1024
