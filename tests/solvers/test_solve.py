"""One call: parameters, starts, refusals, notes."""

from __future__ import annotations

import numpy as np
import pytest

import solvers
from solvers import (
    AllocationProblem,
    Feature,
    SolverOptionError,
    Start,
    UnsupportedFeatureError,
    solve,
)
from tests.solvers.problems import ScriptedSolver, regret_trap, strict_problem


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("time_limit_s", 0.0, "time_limit_s = 0.0: must be greater than 0 seconds"),
        ("relative_gap", -1.0, "relative_gap = -1.0: must be at least 0"),
        ("seed", -1, "seed = -1: must be between 0"),
        ("threads", 0, "threads = 0: must be at least 1"),
    ],
)
def test_parameters_out_of_range(name: str, value: float, message: str) -> None:
    """Each common parameter is refused by name, with what came and what is wanted."""
    with pytest.raises(SolverOptionError, match=message):
        solve(regret_trap(), "greedy", **{name: value})  # type: ignore[arg-type]


def test_unknown_options_are_named() -> None:
    """The message names the option and those that exist."""
    with pytest.raises(SolverOptionError, match="no option 'backnd'; it has: backend"):
        solve(regret_trap(), "milp", backnd="CBC")


@pytest.mark.parametrize("solver", ["auto", "cp-sat", "greedy", "milp"])
def test_a_start_is_never_lost(solver: str) -> None:
    """Every solver of ours returns something at least as good as a feasible start."""
    problem = regret_trap()
    assert solve(problem, solver, start=np.array([0, 1, 1, 0, 1, 0])).primal_bound == 70.0
    assert solve(problem, solver, start=Start(np.array([1, 0, 0, 1, 0, 1]))).primal_bound <= 90.0


@pytest.mark.parametrize("solver", ["cp-sat", "greedy", "milp"])
def test_an_infeasible_start_is_noted(solver: str) -> None:
    """A start that breaks a row is not used, and the notes say so."""
    result = solve(regret_trap(), solver, start=[1, 0, 1, 0, 1, 0])
    assert any("start" in note and "not" in note for note in result.statistics.notes)


@pytest.mark.parametrize(
    ("start", "message"),
    [([1, 0], r"shape \(2,\), \(6,\) is wanted"), ([2, 0, 1, 0, 1, 0], "must be 0 or 1")],
)
def test_starts_of_the_wrong_kind(start: list[int], message: str) -> None:
    """A start of another shape or with other numbers is refused."""
    with pytest.raises(SolverOptionError, match=message):
        solve(regret_trap(), "greedy", start=start)


def test_a_guest_without_warm_start_or_threads_is_noted() -> None:
    """What a solver cannot use is not passed on, and noted instead of ignored in silence."""
    guest = ScriptedSolver()
    problem = AllocationProblem([1, 2], [[1, 1]], [1], [0, 0])
    result = solve(problem, guest, start=[0, 1], threads=4)
    assert guest.starts == [None]
    assert "no warm start" in result.statistics.notes[0]
    assert "uses one thread, 4 were offered" in result.statistics.notes[1]


def test_missing_features_are_refused_by_name() -> None:
    """A strict problem given to a solver without strict priorities is not solved as another."""
    with pytest.raises(UnsupportedFeatureError, match="'scripted' lacks strict_priorities"):
        solve(strict_problem(), ScriptedSolver())


@pytest.mark.parametrize("solver", ["auto", "cp-sat", "greedy", "milp"])
def test_options_of_ours_have_a_summary_and_features(solver: str) -> None:
    """What `fleetopt solvers` shows is there; all of ours solve strict priorities."""
    ours = solvers.get(solver)
    assert ours.name == solver
    assert ours.summary
    assert Feature.STRICT_PRIORITIES in ours.features
