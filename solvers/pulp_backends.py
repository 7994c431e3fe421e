"""Back ends behind PuLP: choosing one by name, running it, reading what it proved."""

from __future__ import annotations

import inspect
import math
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from solvers.base import SolveParams
from solvers.errors import SolverBackendError, SolverOptionError
from solvers.exact import Backend, BackendAnswer, BackendRequest
from solvers.problem import IntArray
from solvers.pulp_model import PulpModel, build_pulp_model
from solvers.result import Limit

__all__ = ["pulp_backend"]

_LOG_TAIL_LINES = 20
# With whole-number coefficients a gap below one unit is no gap: the bound rounds up.
_WHOLE_UNIT = 1.0 - 1e-4
_CBC_NAMES = ("CBC", "PULP_CBC_CMD", "COIN_CMD", "COIN")
# What a HiGHS model status says about limits; others are failures.
_HIGHS_STATUS = {
    "Optimal": None,
    "Infeasible": None,
    "Time limit reached": Limit.TIME,
    "Solution limit reached": Limit.NODES,
    "Interrupted by user": Limit.INTERRUPTED,
    "Memory limit reached": Limit.MEMORY,
    "Bound on objective reached": Limit.GAP,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One call of a back end, in the model's units."""

    model: PulpModel
    params: SolveParams
    time_limit_s: float | None
    relative_gap: float
    absolute_gap: float
    start: IntArray | None
    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    def log_tail(self) -> str:
        if not self.log.exists():
            return ""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-_LOG_TAIL_LINES:])

    def set_start(self) -> None:
        """Give the variables their starting values."""
        if self.start is not None:
            for variable, value in zip(self.model.variables, self.start.tolist(), strict=True):
                variable.setInitialValue(value)

    def rounded(self) -> IntArray | None:
        """Read the variables; None when one has no value."""
        values = [variable.varValue for variable in self.model.variables]
        if any(value is None for value in values):
            return None
        return np.rint(np.array(values, dtype=np.float64)).astype(np.int64)


def pulp_backend(name: str, params: SolveParams) -> tuple[str, Backend]:
    """Return the back end's own name and a function that asks it.

    Parameters
    ----------
    name
        Any back end that PuLP knows, without regard to case; "CBC" is the one PuLP finds or brings.

    Raises
    ------
    SolverOptionError
        If PuLP does not know it or it is not installed; the message names those that are.
    """
    own_name, runner = _find(name)

    def ask(request: BackendRequest) -> BackendAnswer:
        began = time.perf_counter()
        model = build_pulp_model(request.problem)
        build_s = time.perf_counter() - began
        with tempfile.TemporaryDirectory(prefix="fleetopt-") as folder:
            run = _Run(
                model=model,
                params=params,
                time_limit_s=(
                    None
                    if request.time_limit_s is None
                    else max(request.time_limit_s - build_s, 0.01)
                ),
                relative_gap=request.relative_gap if model.objective.offset >= 0 else 0.0,
                absolute_gap=max(
                    request.absolute_gap / model.objective.unit,
                    _WHOLE_UNIT if model.objective.exact else 0.0,
                ),
                start=request.start,
                folder=Path(folder),
            )
            return runner(run, build_s)

    return own_name, ask


def _find(name: str) -> tuple[str, Callable[[_Run, float], BackendAnswer]]:
    import pulp

    if name.upper() in _CBC_NAMES:
        path = _cbc_path(pulp)
        if path is not None:
            return "CBC", lambda run, build_s: _run_cbc(pulp, path, run, build_s)
    known = {solver.lower(): solver for solver in pulp.listSolvers()}
    own_name = known.get(name.lower())
    if own_name == "HiGHS" and pulp.HiGHS(msg=False).available():
        return own_name, lambda run, build_s: _run_highs(pulp, run, build_s)
    if own_name is not None and pulp.getSolver(own_name, msg=False).available():
        found = own_name
        return found, lambda run, build_s: _run_other(pulp, found, run, build_s)
    raise SolverOptionError(
        f"solver 'milp': backend = {name!r} "
        + ("is not installed" if own_name or name.upper() in _CBC_NAMES else "is unknown to PuLP")
        + f"; available: {', '.join(_available(pulp)) or 'none'}"
    )


def _cbc_path(pulp: Any) -> str | None:
    """Return CBC as found on the path, else the one inside PuLP; None without either."""
    for command in ("cbc", pulp.PULP_CBC_CMD.pulp_cbc_path):
        solver = pulp.COIN_CMD(path=command, msg=False)
        if solver.available():
            return str(command)
    return None


def _available(pulp: Any) -> list[str]:
    found = set(pulp.listSolvers(onlyAvailable=True)) - set(_CBC_NAMES)
    if _cbc_path(pulp) is not None:
        found.add("CBC")
    return sorted(found, key=str.lower)


def _run_highs(pulp: Any, run: _Run, build_s: float) -> BackendAnswer:
    """Run HiGHS step by step through PuLP's interface, to hand it a start and read its bound."""
    import highspy

    began = time.perf_counter()
    solver = pulp.HiGHS(
        msg=False,
        gapRel=run.relative_gap,
        gapAbs=run.absolute_gap,
        threads=run.params.threads,
        random_seed=run.params.seed,
        output_flag=True,
        log_to_console=False,
        log_file=str(run.log),
    )
    lp = run.model.problem
    solver.createAndConfigureSolver(lp)
    solver.buildSolverModel(lp)
    if run.start is not None:
        solution = highspy.HighsSolution()
        solution.col_value = run.start.astype(np.float64).tolist()
        lp.solverModel.setSolution(solution)
    own_build_s = time.perf_counter() - began
    if run.time_limit_s is not None:
        lp.solverModel.setOptionValue("time_limit", max(run.time_limit_s - own_build_s, 0.01))
    began = time.perf_counter()
    # HiGHS keeps the scheduler of the calling thread's first run, whoever made that, and refuses
    # another number of threads until it is reset; other threads have schedulers of their own.
    highspy.Highs.resetGlobalScheduler(True)
    solver.callSolver(lp)
    solve_s = time.perf_counter() - began
    return _highs_answer(lp.solverModel, run, build_s + own_build_s, solve_s)


def _highs_answer(highs: Any, run: _Run, build_s: float, solve_s: float) -> BackendAnswer:
    import highspy

    status, info = highs.getModelStatus(), highs.getInfo()
    status_name = highs.modelStatusToString(status)
    feasible = info.primal_solution_status == int(highspy.SolutionStatus.kSolutionStatusFeasible)
    values = np.array(highs.getSolution().col_value) if feasible else None
    nodes, bound = max(int(info.mip_node_count), 0), float(info.mip_dual_bound)
    highs.clear()  # closes the log file
    if status_name not in _HIGHS_STATUS:
        raise SolverBackendError(f"HiGHS: {status_name}; log: {run.log_tail()}")
    infeasible = status_name == "Infeasible"
    return BackendAnswer(
        x=None if values is None or infeasible else np.rint(values).astype(np.int64),
        dual_bound=-math.inf if infeasible else run.model.objective.cost_bound(bound),
        infeasible=infeasible,
        limit=_HIGHS_STATUS[status_name],
        detail=f"HiGHS: {status_name}",
        build_s=build_s,
        solve_s=solve_s,
        nodes=nodes,
        log_tail=run.log_tail(),
    )


def _run_cbc(pulp: Any, path: str, run: _Run, build_s: float) -> BackendAnswer:
    """Run CBC as a program; its bound stands in its log."""
    # CBC takes 0 to mean the time of day.
    seed = 1 + run.params.seed % (2**31 - 2)
    solver = pulp.COIN_CMD(
        path=path,
        msg=False,
        timeLimit=run.time_limit_s,
        gapRel=run.relative_gap,
        gapAbs=run.absolute_gap,
        threads=run.params.threads if run.params.threads > 1 else None,
        warmStart=run.start is not None,
        logPath=str(run.log),
        options=[f"randomSeed {seed}", f"randomCbcSeed {seed}"],
    )
    solver.tmpDir = str(run.folder)
    began = time.perf_counter()
    run.set_start()
    _call(pulp, solver, run)
    solve_s = time.perf_counter() - began
    log = run.log.read_text(encoding="utf-8", errors="replace")
    return _cbc_answer(run, log, build_s, solve_s, pulp)


def _cbc_answer(run: _Run, log: str, build_s: float, solve_s: float, pulp: Any) -> BackendAnswer:
    lp = run.model.problem
    infeasible = lp.status == pulp.LpStatusInfeasible
    solved = lp.sol_status in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible)
    bound = -math.inf
    for pattern in (r"Lower bound:\s+(\S+)", r"best possible (\S+)\)"):
        found = re.findall(pattern, log)
        if found:
            bound = max(bound, float(found[-1]))
    if bound == -math.inf:
        bound = _implied_bound(pulp, run)
    nodes = re.findall(r"Enumerated nodes:\s+(\d+)", log)
    summary = re.findall(r"Result - (.+)", log)
    return BackendAnswer(
        x=run.rounded() if solved else None,
        dual_bound=-math.inf if infeasible else run.model.objective.cost_bound(bound),
        infeasible=infeasible,
        limit=Limit.TIME if "Stopped on time" in log or not (solved or infeasible) else None,
        detail="CBC: " + (summary[-1].strip() if summary else pulp.LpStatus[lp.status]),
        build_s=build_s,
        solve_s=solve_s,
        nodes=int(nodes[-1]) if nodes else 0,
        log_tail=run.log_tail(),
    )


def _run_other(pulp: Any, name: str, run: _Run, build_s: float) -> BackendAnswer:
    """Run any other back end with the parameters its PuLP class knows; notes name the rest."""
    wanted = {
        "timeLimit": run.time_limit_s,
        "gapRel": run.relative_gap,
        "gapAbs": run.absolute_gap,
        "threads": run.params.threads,
        "warmStart": run.start is not None,
    }
    known = inspect.signature(type(pulp.getSolver(name, msg=False)).__init__).parameters
    given = {key: value for key, value in wanted.items() if key in known and value is not None}
    notes = tuple(f"{name} takes no {key} through PuLP" for key in wanted if key not in known)
    solver = pulp.getSolver(name, msg=False, **given)
    if hasattr(solver, "tmpDir"):
        solver.tmpDir = str(run.folder)
    began = time.perf_counter()
    run.set_start()
    _call(pulp, solver, run)
    lp = run.model.problem
    solved = lp.sol_status in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible)
    return BackendAnswer(
        x=run.rounded() if solved else None,
        dual_bound=run.model.objective.cost_bound(_implied_bound(pulp, run)),
        infeasible=lp.status == pulp.LpStatusInfeasible,
        limit=None if lp.sol_status == pulp.LpSolutionOptimal else Limit.TIME,
        detail=f"{name}: {pulp.LpStatus[lp.status]}",
        build_s=build_s,
        solve_s=time.perf_counter() - began,
        notes=notes,
    )


def _implied_bound(pulp: Any, run: _Run) -> float:
    """Return what a claim of optimality within the allowed gaps implies; -inf without one."""
    lp = run.model.problem
    if lp.sol_status != pulp.LpSolutionOptimal:
        return -math.inf
    value = float(pulp.value(lp.objective))
    return value - max(run.absolute_gap, run.relative_gap * abs(value))


def _call(pulp: Any, solver: Any, run: _Run) -> None:
    try:
        run.model.problem.solve(solver)
    except (pulp.PulpSolverError, OSError) as error:
        raise SolverBackendError(f"{solver.name}: {error}; log: {run.log_tail()}") from error
