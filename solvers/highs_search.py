"""Running HiGHS on a binary programme under watch: incumbents, bounds, the clock, cancelling, log.

HiGHS says what it found, and asks whether to go on, through callbacks; between two of them it can
be deaf for long on large models, which `solvers.isolated_backend` is for.
"""

from __future__ import annotations

import math
import time
from collections import deque
from importlib.metadata import version
from typing import Any

import numpy as np

from solvers.errors import SolverBackendError
from solvers.exact import BackendAnswer
from solvers.integer_scaling import ScaledObjective
from solvers.mixed_programme import MixedProgramme
from solvers.problem import FloatArray, IntArray
from solvers.result import Limit
from solvers.search_monitor import CallbackGuard, Monitor

__all__ = ["search_with_highs", "skips_jump", "split_settings", "trusted_settings"]

_LOG_TAIL_LINES = 20
# The search for a first solution by jumps takes time without a pause (1 s at 100 000 columns, 4 s
# at 200 000; HiGHS 1.14, family `fleet`) and finds one that the next step improves on at once.
_JUMP_UP_TO_COLUMNS = 20_000
# For problems whose groups split: counts whose rates would exceed a column by the usual 1e-6 are no
# solution.
_SPLIT_SETTINGS: dict[str, bool | int | float | str] = {
    "mip_feasibility_tolerance": 1e-9,
    "primal_feasibility_tolerance": 1e-9,
}
# Sub-searches take longer than small programmes are worth (Mélange's instances, 250 variables each:
# 25 ms of CPU for all, 82 ms with jumps and sub-searches; HiGHS 1.14).
_SMALL = 1_000
_NO_SUB_SEARCHES: dict[str, bool | int | float | str] = {
    "mip_heuristic_run_rins": False,
    "mip_heuristic_run_rens": False,
    "mip_heuristic_run_root_reduced_cost": False,
    "mip_heuristic_run_feasibility_jump": False,
}
# HiGHS 1.14.0 calls wrong solutions optimal: its presolve does not recompute a row's activity
# (ERGO-Code/HiGHS#2957, repaired by #2961 after the release; 1.13 and 1.15 are right). A restart
# presolves once more.
_WRONG_PRESOLVE = "1.14."
_NO_PRESOLVE: dict[str, bool | int | float | str] = {"presolve": "off", "mip_allow_restart": False}
# What a model status says about limits; others are failures.
_LIMITS = {
    "Optimal": None,
    "Infeasible": None,
    "Time limit reached": Limit.TIME,
    "Solution limit reached": Limit.NODES,
    "Interrupted by user": Limit.INTERRUPTED,
    "Memory limit reached": Limit.MEMORY,
    "Bound on objective reached": Limit.GAP,
}


def skips_jump(columns: int, start: IntArray | FloatArray | None) -> bool:
    """Whether to set `mip_heuristic_run_feasibility_jump` to false; older HiGHS has it not."""
    return start is not None or columns > _JUMP_UP_TO_COLUMNS


def trusted_settings() -> dict[str, bool | int | float | str]:
    """Return the options without which the installed HiGHS may call a wrong answer optimal."""
    return dict(_NO_PRESOLVE) if version("highspy").startswith(_WRONG_PRESOLVE) else {}


def split_settings(programme: MixedProgramme) -> dict[str, bool | int | float | str]:
    """Return HiGHS' options for the programme of a problem whose groups split."""
    settings = dict(_SPLIT_SETTINGS)
    if programme.variables <= _SMALL:
        settings |= _NO_SUB_SEARCHES
    return settings


def search_with_highs(
    highs: Any,
    objective: ScaledObjective,
    monitor: Monitor,
    *,
    time_limit_s: float | None,
    start: IntArray | FloatArray | None,
    build_s: float,
) -> BackendAnswer:
    """Run branch and cut on the model that a `highspy.Highs` holds.

    Parameters
    ----------
    highs
        With the model, whose columns are the problem's, and every option but time and log.
    objective
        What the model's objective means.
    time_limit_s
        Seconds left, > 0; None: no limit.
    start
        (variables,): where to start from, or None.
    build_s
        Seconds that building the model took, for the answer.

    Raises
    ------
    SolverBackendError
        If HiGHS fails.
    """
    import highspy

    began = time.perf_counter()
    if start is not None:
        solution = highspy.HighsSolution()
        solution.col_value = start.astype(np.float64)
        highs.setSolution(solution)
    if time_limit_s is not None:
        highs.setOptionValue("time_limit", max(time_limit_s, 0.01))
    watch = _Watch(highs, objective, monitor, time_limit_s)
    # HiGHS keeps the scheduler of the calling thread's first run, whoever made that, and refuses
    # another number of threads until it is reset; other threads have schedulers of their own.
    highspy.Highs.resetGlobalScheduler(True)
    highs.run()
    highs.clearCallbacks()
    watch.guard.raise_failure()
    return _answer(highs, objective, watch, build_s, time.perf_counter() - began)


class _Watch:
    """The callbacks of one run."""

    def __init__(
        self, highs: Any, objective: ScaledObjective, monitor: Monitor, time_limit_s: float | None
    ) -> None:
        self.guard = CallbackGuard()
        self.out_of_time = False
        self.log: deque[str] = deque(maxlen=_LOG_TAIL_LINES)
        self._objective = objective
        self._monitor = monitor
        self._deadline = math.inf if time_limit_s is None else time.perf_counter() + time_limit_s
        highs.setOptionValue("output_flag", True)
        highs.setOptionValue("log_to_console", False)
        highs.cbLogging.subscribe(self._keep_log)
        highs.cbMipImprovingSolution.subscribe(self._take_solution)
        highs.cbMipInterrupt.subscribe(self._look_up)
        highs.cbMipLogging.subscribe(self._look_up)

    def _keep_log(self, event: Any) -> None:
        self.log.extend(line for line in event.message.splitlines() if line.strip())

    def _take_solution(self, event: Any) -> None:
        values = np.array(event.data_out.mip_solution)
        self.guard.call(lambda: self._monitor.incumbent(np.rint(values).astype(np.int64)))
        self._look_up(event)

    def _look_up(self, event: Any) -> None:
        """Report the bound, and interrupt if there is a reason to."""
        bound = self._objective.cost_bound(float(event.data_out.mip_dual_bound))
        self.guard.call(lambda: self._monitor.bound(bound))
        self.out_of_time = time.perf_counter() >= self._deadline
        if self.guard.failure is not None or self.out_of_time or self._monitor.cancelled():
            event.data_in.user_interrupt = True


def _answer(
    highs: Any, objective: ScaledObjective, watch: _Watch, build_s: float, solve_s: float
) -> BackendAnswer:
    import highspy

    status = str(highs.modelStatusToString(highs.getModelStatus()))
    log_tail = "\n".join(watch.log)
    if status not in _LIMITS:
        raise SolverBackendError(f"HiGHS: {status}; log: {log_tail}")
    info = highs.getInfo()
    infeasible = status == "Infeasible"
    feasible = info.primal_solution_status == int(highspy.SolutionStatus.kSolutionStatusFeasible)
    x = None
    if feasible and not infeasible:
        x = np.rint(np.array(highs.getSolution().col_value)).astype(np.int64)
    limit = _LIMITS[status]
    if limit is Limit.INTERRUPTED and watch.out_of_time:
        limit, status = Limit.TIME, "Time limit reached"
    return BackendAnswer(
        x=x,
        dual_bound=-math.inf if infeasible else objective.cost_bound(float(info.mip_dual_bound)),
        infeasible=infeasible,
        limit=limit,
        detail=f"HiGHS: {status}",
        build_s=build_s,
        solve_s=solve_s,
        nodes=max(int(info.mip_node_count), 0),
        log_tail=log_tail,
    )
