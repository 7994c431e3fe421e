"""highs, milp, cp-sat and auto: limits, threads, silence, temporary files, choices."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import solvers.auto
from solvers import (
    AllocationProblem,
    CancelFlag,
    Feature,
    Limit,
    Reason,
    SolveParams,
    Solver,
    SolverOptionError,
    check,
    registry,
    solve,
)
from solvers.auto import AutoSolver
from solvers.highs import HighsSolver
from tests.solvers.problems import (
    ScriptedSolver,
    dense_problem,
    regret_trap,
    strict_problem,
)

BACKENDS: dict[str, tuple[str | Solver, dict[str, Any]]] = {
    "highs": (HighsSolver(), {}),
    "milp HiGHS": ("milp", {"backend": "HiGHS"}),
    "milp CBC": ("milp", {"backend": "CBC"}),
    "cp-sat": ("cp-sat", {}),
}


@pytest.mark.parametrize("backend", BACKENDS)
def test_stopped_early_the_bound_is_real(backend: str) -> None:
    """Out of time: FEASIBLE, the limit named, a checked value, and a bound that holds."""
    solver, options = BACKENDS[backend]
    problem = dense_problem(100, 10, 10, seed=4)
    result = solve(problem, solver, time_limit_s=0.6, **options)
    assert result.termination.reason in (Reason.FEASIBLE, Reason.NO_SOLUTION_FOUND)
    assert result.termination.limit is Limit.TIME
    # The optimum lies between -8227 (HiGHS's bound after a minute) and -8184 (a known solution).
    assert result.dual_bound < -8184
    if result.x is not None:
        assert check(problem, result.x).feasible
        assert result.primal_bound > -8228


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_wide_gap_is_enough_when_asked_for(backend: str) -> None:
    """Stopping within the asked gap is OPTIMAL with that tolerance, the gap reported as it is."""
    solver, options = BACKENDS[backend]
    problem = dense_problem(30, 10, 5, seed=2)
    result = solve(problem, solver, relative_gap=0.05, **options)
    assert result.termination.reason is Reason.OPTIMAL
    assert result.relative_gap <= 0.05
    assert result.tolerance == 0.05


@pytest.mark.parametrize("backend", BACKENDS)
def test_more_threads_give_the_same_value(backend: str) -> None:
    """One, two and again one thread in one process all work and prove the same optimum."""
    solver, options = BACKENDS[backend]
    values = [solve(regret_trap(), solver, threads=t, **options).primal_bound for t in (1, 2, 1)]
    assert values == [70.0, 70.0, 70.0]


@pytest.mark.parametrize("backend", ["highs", "milp HiGHS"])
def test_solves_run_side_by_side(backend: str) -> None:
    """Solves in several threads, with one or two threads each, do not disturb each other."""
    solver, _ = BACKENDS[backend]
    with ThreadPoolExecutor(4) as pool:
        results = list(
            pool.map(
                lambda t: solve(regret_trap(), solver, threads=t).primal_bound, [1, 2, 1, 2, 1]
            )
        )
    assert results == [70.0] * 5


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_is_printed_and_nothing_left_behind(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Library code is silent, and its temporary files are gone, also after being stopped."""
    for variable in ("TMPDIR", "TMP", "TEMP"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    solver, options = BACKENDS[backend]
    solve(strict_problem(), solver, **options)
    solve(dense_problem(60, 8, 8, seed=1), solver, time_limit_s=0.2, **options)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_back_ends_by_name() -> None:
    """Names are matched without regard to case; the version names what ran."""
    assert "HiGHS" in solve(regret_trap(), "milp").statistics.version
    for name in ("cbc", "CBC", "PULP_CBC_CMD"):
        assert "CBC" in solve(regret_trap(), "milp", backend=name).statistics.version
    assert "HiGHS" in solve(regret_trap(), "milp", backend="highs").statistics.version


def test_unknown_and_missing_back_ends() -> None:
    """The message says whether PuLP knows the name, and lists what is installed."""
    with pytest.raises(SolverOptionError, match="'nonsense' is unknown to PuLP; available: CBC"):
        solve(regret_trap(), "milp", backend="nonsense")
    with pytest.raises(SolverOptionError, match="'mosek' is not installed; available: CBC"):
        solve(regret_trap(), "milp", backend="mosek")
    with pytest.raises(SolverOptionError, match="backend = 3: must be a name"):
        solve(regret_trap(), "milp", backend=3)


def test_cp_sat_records_its_scale() -> None:
    """The step of whole-number costs stands in the notes; so does rounding."""
    quarters = AllocationProblem([0.25, 1.5, 0.5, 2], [[2, 1, 2, 1]], [3], [0, 0, 1, 1])
    exact = solve(quarters, "cp-sat")
    assert any("0.75 + 0.25 * whole number, exactly" in note for note in exact.statistics.notes)
    rounded = solve(
        AllocationProblem([np.pi, 9, np.e, 8], [[1 / 3, 0, 0.7, 0]], [1], [0, 0, 1, 1]), "cp-sat"
    )
    assert any("rounded down" in note for note in rounded.statistics.notes)
    assert any("rounded outwards" in note for note in rounded.statistics.notes)
    assert rounded.relative_gap < 1e-9


@pytest.mark.parametrize("backend", BACKENDS)
def test_tolerances_of_back_ends_do_not_leak(backend: str) -> None:
    """One unit too many in 2e8, inside the tolerance of a back end, is still too many."""
    solver, options = BACKENDS[backend]
    usage = [[1e12 / 3 + 2000.1, 0, 1e12 / 3 + 2000.3, 0, 1e12 / 3 + 2000.7, 0]]
    problem = AllocationProblem([1, 2, 1, 3, 1, 4], usage, [1e12], [0, 0, 1, 1, 2, 2])
    result = solve(problem, solver, **options)
    assert result.primal_bound == 4.0
    assert result.termination.reason is Reason.OPTIMAL


class PricedSolver(ScriptedSolver):
    """Stands for `lagrangian`, able to cancel or not."""

    name = "lagrangian"
    features = frozenset({Feature.TIME_LIMIT})


class CancellablePricedSolver(PricedSolver):
    features = frozenset({Feature.TIME_LIMIT, Feature.CANCEL})


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> dict[str, Solver]:
    """What auto finds in the registry: a test may add to it."""
    known: dict[str, Solver] = {
        "highs": HighsSolver(),
        **{name: registry.get(name) for name in ("cp-sat", "greedy", "milp")},
    }
    monkeypatch.setattr(solvers.auto.registry, "names", lambda: tuple(known))
    monkeypatch.setattr(solvers.auto.registry, "get", lambda name: known[name])
    return known


def test_auto_says_what_it_chose_and_why(registered: dict[str, Solver]) -> None:
    """greedy where every cheapest column has room, branch and cut elsewhere; with reasons."""
    roomy = AllocationProblem([20, 50, 10, 35], [[2, 0, 1, 0]], [3], [0, 0, 1, 1])
    easy = AutoSolver().solve(roomy, SolveParams())
    assert easy.statistics.solver == "auto -> greedy"
    assert "without a search" in easy.statistics.notes[0]
    hard = AutoSolver().solve(regret_trap(), SolveParams())
    assert hard.statistics.solver == "auto -> highs"
    assert "HiGHS is installed" in hard.statistics.notes[0]
    assert hard.primal_bound == 70.0
    del registered["highs"]
    assert AutoSolver().solve(regret_trap(), SolveParams()).statistics.solver == "auto -> milp"


@pytest.mark.parametrize(
    ("missing", "chosen", "reason"),
    [
        ({"highspy"}, "cp-sat", "HiGHS is not installed, OR-Tools is"),
        ({"highspy", "ortools"}, "milp", "neither HiGHS nor OR-Tools is installed"),
        ({"highspy", "ortools", "pulp"}, "greedy", "no exact solver is installed"),
    ],
)
def test_auto_without_back_ends(
    monkeypatch: pytest.MonkeyPatch, missing: set[str], chosen: str, reason: str
) -> None:
    """What is not installed is not chosen, and the result says so."""
    find_spec = solvers.auto.find_spec
    monkeypatch.setattr(
        solvers.auto, "find_spec", lambda name: None if name in missing else find_spec(name)
    )
    result = solve(regret_trap())
    assert result.statistics.solver == f"auto -> {chosen}"
    assert reason in result.statistics.notes[0]


def test_auto_leaves_large_problems_to_prices(registered: dict[str, Solver]) -> None:
    """From 150 groups `lagrangian`, where it is registered and can do what is asked."""
    large, small = (dense_problem(groups, 2, 1, seed=0) for groups in (150, 149))
    registered["lagrangian"] = PricedSolver()
    chosen = AutoSolver().solve(large, SolveParams())
    assert chosen.statistics.solver == "auto -> lagrangian"
    assert "from 150 groups" in chosen.statistics.notes[0]
    asked = SolveParams(cancel=CancelFlag(), time_limit_s=1e-3)
    assert AutoSolver().solve(large, asked).statistics.solver == "auto -> highs"
    registered["lagrangian"] = CancellablePricedSolver()
    assert AutoSolver().solve(large, asked).statistics.solver == "auto -> lagrangian"
    assert AutoSolver().solve(small, asked).statistics.solver == "auto -> highs"


def test_auto_has_an_answer_when_there_is_no_time(registered: dict[str, Solver]) -> None:
    """With less time than branch and cut takes to its first solution, greedy's is the start."""
    problem = dense_problem(100, 10, 2, seed=1)
    result = AutoSolver().solve(problem, SolveParams(time_limit_s=0.001))
    assert result.statistics.solver == "auto -> highs"
    assert result.termination.reason is Reason.FEASIBLE
    assert result.termination.limit is Limit.TIME


@pytest.mark.parametrize("door", ["solvers.highs.HighsSolver", "solvers.milp.MilpSolver"])
@pytest.mark.parametrize("highs_first", [True, False])
def test_both_libraries_live_in_one_process(door: str, highs_first: bool) -> None:
    """HiGHS, by arrays or through PuLP, and OR-Tools load in either order, and both solve."""
    libraries = ["import highspy", "from ortools.sat.python import cp_model"]
    solving = ["solve(trap, HiGHS())", "solve(trap, CpSatSolver())"]
    if not highs_first:
        libraries, solving = libraries[::-1], solving[::-1]
    module, name = door.rsplit(".", 1)
    code = "; ".join(
        [
            *libraries,
            "from tests.solvers.problems import regret_trap",
            "from solvers import solve",
            f"from {module} import {name} as HiGHS",
            "from solvers.cp_sat import CpSatSolver",
            "trap = regret_trap()",
            f"print({', '.join(f'{call}.primal_bound' for call in solving)})",
        ]
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True,
        cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    assert run.stdout.split() == ["70.0", "70.0"]
