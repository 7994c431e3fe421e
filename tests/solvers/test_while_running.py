"""Progress, cancelling and limits of running solvers."""

from __future__ import annotations

import pickle
import threading
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import solvers.greedy
from solvers import (
    CancelFlag,
    Feature,
    Limit,
    Progress,
    Reason,
    SolveParams,
    Solver,
    SolveResult,
    check,
    solve,
)
from solvers.auto import AutoSolver
from solvers.cp_sat import CpSatSolver
from solvers.highs import HighsSolver
from solvers.milp import MilpSolver
from solvers.progress import ProgressSeries
from tests.solvers.problems import ScriptedSolver, dense_problem, regret_trap, strict_problem
from tests.solvers.test_priorities import scarce

LONG = dense_problem(100, 10, 10, seed=4)  # open after a minute with every back end
SEARCHES: dict[str, tuple[Solver, dict[str, Any]]] = {
    "highs": (HighsSolver(), {}),
    "milp HiGHS": (MilpSolver(), {"backend": "HiGHS"}),
    "milp CBC": (MilpSolver(), {"backend": "CBC"}),
    "cp-sat": (CpSatSolver(), {}),
    "auto": (AutoSolver(), {}),
}
# CBC reports nothing while it runs, only the start that it was given.
REPORTING = [name for name in SEARCHES if name != "milp CBC"]


def solve_until(name: str, enough: int) -> tuple[SolveResult, list[Progress]]:
    """Solve a long problem; cancel from another thread after so many reports."""
    solver, options = SEARCHES[name]
    cancel, ready = CancelFlag(), threading.Event()
    reports: list[Progress] = []

    def report(progress: Progress) -> None:
        reports.append(progress)
        if len(reports) >= enough:
            ready.set()

    threading.Thread(target=lambda: ready.wait() and cancel.set(), daemon=True).start()
    start = solve(LONG, "greedy").x
    return solve(LONG, solver, progress=report, cancel=cancel, start=start, **options), reports


@pytest.mark.parametrize("name", REPORTING)
def test_a_cancel_from_another_thread_returns_the_incumbent(name: str) -> None:
    """FEASIBLE, interrupted, checked; the last report is the result."""
    result, reports = solve_until(name, enough=3)
    assert result.termination.reason is Reason.FEASIBLE
    assert result.termination.limit is Limit.INTERRUPTED
    assert result.x is not None
    assert check(LONG, result.x).feasible
    assert reports[-1].incumbent == result.primal_bound
    assert reports[-1].bound == result.dual_bound


def test_cbc_is_stopped_with_its_incumbent() -> None:
    """Cancelled once it has its start, it returns that or something better."""
    result, reports = solve_until("milp CBC", enough=1)
    assert result.termination.limit is Limit.INTERRUPTED
    assert result.primal_bound <= reports[0].incumbent


@pytest.mark.parametrize("name", REPORTING)
def test_reports_of_a_search_only_get_better(name: str) -> None:
    """Incumbents never rise, bounds never fall, time never goes back."""
    _, reports = solve_until(name, enough=4)
    assert len(reports) >= 4
    for earlier, later in pairwise(reports):
        assert later.incumbent <= earlier.incumbent
        assert later.bound >= earlier.bound
        assert later.elapsed_s >= earlier.elapsed_s
        assert (later.incumbent, later.bound) != (earlier.incumbent, earlier.bound)


@pytest.mark.parametrize("name", REPORTING)
def test_an_error_in_a_report_comes_out_of_the_solve(name: str) -> None:
    """Back ends in other languages survive the caller's exception, and it is not lost."""
    solver, options = SEARCHES[name]
    reports: list[Progress] = []

    def refuse(progress: Progress) -> None:
        reports.append(progress)
        if len(reports) == 3:
            raise ZeroDivisionError("in the callback")

    with pytest.raises(ZeroDivisionError, match="in the callback"):
        solve(LONG, solver, progress=refuse, start=solve(LONG, "greedy").x, **options)
    assert len(reports) == 3


@pytest.mark.parametrize("name", SEARCHES)
def test_a_flag_set_before_the_start(name: str) -> None:
    """Nothing is searched: no solution, or the start, and the limit says why."""
    solver, options = SEARCHES[name]
    cancel = CancelFlag()
    cancel.set()
    nothing = solve(regret_trap(), solver, cancel=cancel, **options)
    assert nothing.termination.reason is Reason.NO_SOLUTION_FOUND
    assert nothing.termination.limit is Limit.INTERRUPTED
    kept = solve(regret_trap(), solver, cancel=cancel, start=[0, 1, 1, 0, 1, 0], **options)
    assert kept.termination.limit is Limit.INTERRUPTED
    assert kept.primal_bound == 70.0


def test_a_cancel_between_stages_keeps_what_is_proven() -> None:
    """Stages that were not solved are open, the limit is INTERRUPTED, the solution is checked."""
    problem = scarce()
    cancel = CancelFlag()

    def stop_after_first(progress: Progress) -> None:
        if progress.priority == 1:
            cancel.set()

    result = solve(problem, HighsSolver(), cancel=cancel, progress=stop_after_first)
    assert result.termination.reason is Reason.FEASIBLE
    assert result.termination.limit is Limit.INTERRUPTED
    assert len(result.stages) == 3
    assert not all(stage.optimal for stage in result.stages)
    assert result.x is not None
    assert check(problem, result.x).feasible


def test_stages_are_series_of_their_own() -> None:
    """Each priority is reported as unserved weight, the cost apart from them."""
    reports: list[Progress] = []
    result = solve(strict_problem(), HighsSolver(), progress=reports.append)
    last = {report.priority: report.incumbent for report in reports}
    assert last == {None: 30.0, 1: 0.0, 2: 1.0, 3: 1.0}
    assert [stage.value for stage in result.stages] == [0.0, 1.0, 1.0]


@pytest.mark.parametrize("cancelled", [True, False])
def test_greedy_begins_no_further_order_when_stopped(
    cancelled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By flag or by the clock: the first order is finished, the limit named."""
    cancel = CancelFlag()
    if cancelled:
        cancel.set()
    problem = dense_problem(30, 5, 3, seed=0)
    clock = iter(np.arange(0.0, 1e6, 10.0))
    if not cancelled:
        monkeypatch.setattr(solvers.greedy.time, "perf_counter", lambda: float(next(clock)))
    result = solve(problem, "greedy", cancel=cancel, time_limit_s=None if cancelled else 15.0)
    assert result.termination.limit is (Limit.INTERRUPTED if cancelled else Limit.TIME)
    assert result.x is not None
    assert "best of 1 orders" in result.statistics.notes[0]


def test_a_guest_without_these_features_is_noted() -> None:
    """What the guest cannot do is not hidden."""
    result = solve(regret_trap(), ScriptedSolver(), progress=lambda _: None, cancel=CancelFlag())
    assert "solver 'scripted' has no progress" in result.statistics.notes
    assert "solver 'scripted' has no cancel" in result.statistics.notes
    assert Feature.CANCEL not in ScriptedSolver.features


def test_callback_and_flag_are_no_part_of_the_parameters() -> None:
    """They count for nothing in comparisons and do not leave the process."""
    params = SolveParams(seed=3, progress=print, cancel=CancelFlag())
    assert params == SolveParams(seed=3)
    copy = pickle.loads(pickle.dumps(params))
    assert copy == params
    assert (copy.progress, copy.cancel) == (None, None)
    assert "cancel" not in repr(params)


def test_a_series_reports_improvements_only() -> None:
    """Worse values and equal ones are dropped; a bound above the incumbent is the incumbent."""
    reports: list[Progress] = []
    series = ProgressSeries(reports.append, priority=2, began=0.0)
    series.update(incumbent=10.0)
    series.update(incumbent=12.0)
    series.update(bound=4.0)
    series.update(bound=3.0, incumbent=10.0)
    series.update(bound=11.0)
    assert [(r.incumbent, r.bound) for r in reports] == [
        (10.0, -np.inf), (10.0, 4.0), (10.0, 10.0)
    ]  # fmt: skip
    assert {r.priority for r in reports} == {2}
    assert [r.relative_gap for r in reports] == [np.inf, 0.6, 0.0]
