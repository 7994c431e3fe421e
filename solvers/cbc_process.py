"""CBC as a program: model and solution in files, its bound in its log, stopped by a signal."""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from solvers.errors import SolverBackendError
from solvers.exact import BackendAnswer
from solvers.pulp_run import PulpRun
from solvers.result import Limit

__all__ = ["run_cbc"]

_LOG_TAIL_LINES = 20
# How long CBC may take to stop after its own time limit, and after it was told to, before it is
# told and before it is killed.
_GRACE_S = 0.3
_POLL_S = 0.05


def run_cbc(path: str, run: PulpRun, build_s: float) -> BackendAnswer:
    """Run the program at `path` on a model.

    Raises
    ------
    SolverBackendError
        If it cannot be run, or fails without having been stopped.
    """
    import pulp

    began = time.perf_counter()
    run.set_start()
    # CBC takes 0 to mean the time of day.
    seed = 1 + run.seed % (2**31 - 2)
    solver = pulp.COIN_CMD(
        path=path,
        msg=False,
        gapRel=run.relative_gap,
        gapAbs=run.absolute_gap,
        threads=run.threads if run.threads > 1 else None,
        options=[f"randomSeed {seed}", f"randomCbcSeed {seed}"],
    )
    files = {kind: run.folder / f"model.{kind}" for kind in ("mps", "mst", "sol", "log")}
    lp = run.model.problem
    variables, names, rows, _ = lp.writeMPS(str(files["mps"]), rename=1)
    if run.start is not None:
        solver.writesol(str(files["mst"]), lp, variables, names, rows)
    limit = run.time_limit_s
    left = None if limit is None else max(limit - (time.perf_counter() - began), 0.01)
    arguments = [path, *_commands(solver, files, left, with_start=run.start is not None)]
    stopped = _run(arguments, run, files["log"], left)
    log = files["log"].read_text(encoding="utf-8", errors="replace")
    if files["sol"].exists():
        status, values, *_, sol_status = solver.readsol_MPS(
            str(files["sol"]), lp, variables, names, rows
        )
        lp.assignVarsVals(values)
        lp.assignStatus(status, sol_status)
    elif stopped is None:
        raise SolverBackendError(f"CBC ended without a solution file; log: {_tail(log)}")
    return _answer(pulp, run, log, stopped, build_s, time.perf_counter() - began)


def _commands(
    solver: Any, files: dict[str, Path], limit: float | None, *, with_start: bool
) -> list[str]:
    """Return the words of CBC's command line after its name."""
    words = [str(files["mps"])]
    if with_start:
        words += ["-mips", str(files["mst"])]
    if limit is not None:
        words += ["-sec", str(limit)]
    for option in solver.options + solver.getOptions():
        words += f"-{option}".split()
    return [*words, "-solve", "-printingOptions", "all", "-solution", str(files["sol"])]


def _run(arguments: list[str], run: PulpRun, log: Path, limit: float | None) -> Limit | None:
    """Run the program, stopping it in time; return why it was stopped, or None."""
    began = time.perf_counter()
    stopped: Limit | None = None
    with log.open("wb") as sink:
        try:
            process = subprocess.Popen(
                arguments, stdout=sink, stderr=sink, stdin=subprocess.DEVNULL, cwd=run.folder
            )
        except OSError as error:
            raise SolverBackendError(f"CBC cannot be run: {error}") from error
        try:
            while not _ended(process):
                late = limit is not None and time.perf_counter() - began > limit + _GRACE_S
                if run.monitor.cancelled() or late:
                    stopped = Limit.INTERRUPTED if run.monitor.cancelled() else Limit.TIME
                    _stop(process)
                    break
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if process.returncode != 0 and stopped is None:
        said = _tail(log.read_text(encoding="utf-8", errors="replace"))
        raise SolverBackendError(f"CBC ended with status {process.returncode}; log: {said}")
    return stopped


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask CBC to stop and to write what it has, as at a terminal; leave it if it does not."""
    if os.name != "posix":
        return
    process.send_signal(signal.SIGINT)
    began = time.perf_counter()
    while not _ended(process) and time.perf_counter() - began < _GRACE_S:
        continue


def _ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the program has ended, or does so in a moment."""
    try:
        process.wait(_POLL_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def _answer(
    pulp: Any, run: PulpRun, log: str, stopped: Limit | None, build_s: float, solve_s: float
) -> BackendAnswer:
    lp = run.model.problem
    infeasible = lp.status == pulp.LpStatusInfeasible and stopped is None
    solved = lp.sol_status in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible)
    bound = -math.inf
    for pattern in (r"Lower bound:\s+(\S+)", r"best possible (\S+)\)"):
        found = re.findall(pattern, log)
        if found:
            bound = max(bound, float(found[-1]))
    if bound == -math.inf:
        bound = run.implied_bound()
    nodes = re.findall(r"Enumerated nodes:\s+(\d+)", log)
    summary = re.findall(r"Result - (.+)", log)
    said = summary[-1].strip() if summary else pulp.LpStatus[lp.status]
    return BackendAnswer(
        x=run.rounded() if solved else None,
        dual_bound=-math.inf if infeasible else run.model.scaled.objective.cost_bound(bound),
        infeasible=infeasible,
        limit=_limit(log, stopped, proven=solved or infeasible),
        detail=f"CBC: {said}",
        build_s=build_s,
        solve_s=solve_s,
        nodes=int(nodes[-1]) if nodes else 0,
        log_tail=_tail(log),
    )


def _limit(log: str, stopped: Limit | None, *, proven: bool) -> Limit | None:
    """Return the limit that ended the run; None when it ran to its end."""
    if stopped is not None:
        return stopped
    if "User ctrl-c" in log:  # a terminal sends it to the whole group of processes
        return Limit.INTERRUPTED
    return Limit.TIME if "Stopped on time" in log or not proven else None


def _tail(log: str) -> str:
    return "\n".join(log.splitlines()[-_LOG_TAIL_LINES:])
