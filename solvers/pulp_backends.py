"""Back ends behind PuLP: choosing one by name, running it, reading what it proved."""

from __future__ import annotations

import inspect
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from solvers.base import SolveParams
from solvers.cbc_process import run_cbc
from solvers.errors import SolverBackendError, SolverOptionError
from solvers.exact import Backend, BackendAnswer, BackendRequest
from solvers.highs_search import search_with_highs, skips_jump, split_settings, trusted_settings
from solvers.isolated_backend import LARGE, isolated_when_large
from solvers.mixed_programme import MixedProgramme
from solvers.pulp_model import build_pulp_model, build_pulp_programme
from solvers.pulp_run import PulpRun
from solvers.result import Limit

__all__ = ["named_backend", "pulp_backend"]

_CBC_NAMES = ("CBC", "PULP_CBC_CMD", "COIN_CMD", "COIN")
# Given the run and the seconds that building its model took.
_Runner = Callable[[PulpRun, float], BackendAnswer]


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
    own_name = _find(name)[0]
    # HiGHS and CBC can be stopped while they run; of others nothing is known.
    large = LARGE if own_name in ("HiGHS", "CBC") else 0
    arguments = (own_name, params.threads, params.seed)
    return own_name, isolated_when_large(named_backend, arguments, large=large)


def named_backend(name: str, threads: int, seed: int) -> Backend:
    """Return a back end of PuLP that runs in this process; see `pulp_backend`."""
    _, runner = _find(name)

    def ask(request: BackendRequest) -> BackendAnswer:
        began = time.perf_counter()
        if request.programme is None:
            model = build_pulp_model(request.problem)
        else:
            model = build_pulp_programme(request.programme)
        build_s = time.perf_counter() - began
        limit = request.time_limit_s
        with tempfile.TemporaryDirectory(prefix="fleetopt-") as folder:
            run = PulpRun(
                model=model,
                threads=threads,
                seed=seed,
                time_limit_s=None if limit is None else max(limit - build_s, 0.01),
                relative_gap=model.scaled.relative_gap(request.relative_gap),
                absolute_gap=model.scaled.absolute_gap(request.absolute_gap),
                start=request.start if request.programme is None else request.point,
                monitor=request.monitor,
                folder=Path(folder),
            )
            return runner(run, build_s)

    return ask


def _find(name: str) -> tuple[str, _Runner]:
    import pulp

    if name.upper() in _CBC_NAMES:
        path = _cbc_path(pulp)
        if path is not None:
            return "CBC", lambda run, build_s: run_cbc(path, run, build_s)
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


def _run_highs(pulp: Any, run: PulpRun, build_s: float) -> BackendAnswer:
    """Run HiGHS step by step through PuLP's interface, to watch it and to read its bound."""
    began = time.perf_counter()
    solver = pulp.HiGHS(
        msg=False,
        gapRel=run.relative_gap,
        gapAbs=run.absolute_gap,
        threads=run.threads,
        random_seed=run.seed,
    )
    lp = run.model.problem
    solver.createAndConfigureSolver(lp)
    solver.buildSolverModel(lp)
    mixed = run.model.scaled
    settings = trusted_settings()
    if isinstance(mixed, MixedProgramme):
        settings |= split_settings(mixed)
    for setting, value in settings.items():
        lp.solverModel.setOptionValue(setting, value)
    if not isinstance(mixed, MixedProgramme) and skips_jump(len(run.model.variables), run.start):
        lp.solverModel.setOptionValue("mip_heuristic_run_feasibility_jump", False)
    own_build_s = time.perf_counter() - began
    limit = run.time_limit_s
    return search_with_highs(
        lp.solverModel,
        run.model.scaled.objective,
        run.monitor,
        time_limit_s=None if limit is None else max(limit - own_build_s, 0.01),
        start=run.start,
        build_s=build_s + own_build_s,
    )


def _run_other(pulp: Any, name: str, run: PulpRun, build_s: float) -> BackendAnswer:
    """Run any other back end with the parameters its PuLP class knows; notes name the rest."""
    wanted = {
        "timeLimit": run.time_limit_s,
        "gapRel": run.relative_gap,
        "gapAbs": run.absolute_gap,
        "threads": run.threads,
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
    lp = run.model.problem
    try:
        lp.solve(solver)
    except (pulp.PulpSolverError, OSError) as error:
        raise SolverBackendError(f"{name}: {error}") from error
    solved = lp.sol_status in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible)
    return BackendAnswer(
        x=run.rounded() if solved else None,
        dual_bound=run.model.scaled.objective.cost_bound(run.implied_bound()),
        infeasible=lp.status == pulp.LpStatusInfeasible,
        limit=None if lp.sol_status == pulp.LpSolutionOptimal else Limit.TIME,
        detail=f"{name}: {pulp.LpStatus[lp.status]}",
        build_s=build_s,
        solve_s=time.perf_counter() - began,
        notes=notes,
    )
