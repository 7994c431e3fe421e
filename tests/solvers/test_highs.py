"""highs: arrays straight into HiGHS."""

from __future__ import annotations

import numpy as np
import pytest

from solvers import AllocationProblem, Reason, SolverOptionError, check, solve
from solvers.exact import BackendRequest
from solvers.highs import HighsSolver, highs_backend
from solvers.scaled_model import scale_model
from tests.solvers.problems import dense_problem, regret_trap

HIGHS = HighsSolver()


def test_the_result_says_what_ran() -> None:
    """Version, nodes, times and, from 1.14 on, the end of HiGHS' log."""
    result = solve(dense_problem(20, 6, 4, seed=1), HIGHS)
    statistics = result.statistics
    assert statistics.solver == "highs"
    assert statistics.version.startswith("HiGHS 1.")
    hands_out_log = statistics.version.startswith("HiGHS 1.14")
    assert ("Solving report" in statistics.log_tail) or not hands_out_log
    assert statistics.nodes is not None
    assert statistics.nodes >= 1
    assert result.termination.detail == "HiGHS: Optimal"


def test_it_agrees_with_cp_sat() -> None:
    """Two unrelated exact solvers prove the same value, on whole and on real numbers."""
    for seed in range(3):
        whole = dense_problem(25, 6, 3, seed)
        random = np.random.default_rng(seed)
        real = AllocationProblem(
            random.normal(size=whole.columns), random.uniform(size=(3, whole.columns)), [9.0] * 3,
            whole.group,
        )  # fmt: skip
        for problem in (whole, real):
            mine, theirs = solve(problem, HIGHS), solve(problem, "cp-sat")
            assert mine.termination.reason is Reason.OPTIMAL
            assert mine.primal_bound == pytest.approx(theirs.primal_bound, rel=1e-6)
            assert mine.x is not None
            assert check(problem, mine.x).feasible


def test_a_start_saves_the_search_for_one() -> None:
    """HiGHS takes the optimum as its first solution and only proves it."""
    problem = dense_problem(20, 6, 4, seed=1)
    cold = solve(problem, HIGHS)
    reports = []
    warm = solve(problem, HIGHS, start=cold.x, progress=reports.append)
    assert warm.primal_bound == cold.primal_bound
    assert {report.incumbent for report in reports} == {cold.primal_bound}


@pytest.mark.parametrize("solver", ["highs", "milp"])
def test_the_presolve_fault_of_highs_1_14_does_not_show(solver: str) -> None:
    """Enumerated, the best cost is 126.3; HiGHS 1.14.0 with presolve breaks a row at 82.26.

    Two rows of ones, as stages of strict priorities leave them, beside four of cards.
    """
    cards = [
        (2, 4), (3, 6), (4, 1), (2, 4), (3, 4), (4, 1), (2, 4), (4, 1), (3, 2), (0, 8), (2, 4),
        (1, 8), (5, 1), (2, 4), (3, 4), (0, 16), (1, 12), (5, 1), (3, 5), (5, 1), (0, 8), (3, 3),
        (2, 4), (1, 8), (2, 3), (0, 8), (1, 8),
    ]  # fmt: skip
    usage = np.zeros((6, 28))
    for column, (row, used) in enumerate(cards):
        usage[row, column] = used
    problem = AllocationProblem(
        [18, 34.5, 0, 18, 23, 0, 18, 0, 11.5, 14.88, 18, 29.36, 0, 18, 23, 29.76, 44.04, 0, 28.75,
         0, 14.88, 17.25, 18, 29.36, 13.5, 14.88, 29.36, 0],
        usage,
        [16, 12, 4, 6, 1, 1],
        [0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 5, 5, 6, 6, 6, 6, 7, 7, 7, 8],
    )  # fmt: skip
    best = solve(problem, "cp-sat").primal_bound
    result = solve(problem, solver)
    assert result.termination.reason is Reason.OPTIMAL
    assert result.primal_bound == pytest.approx(best)


def test_infeasible_is_proven_by_search() -> None:
    """Columns that fit alone but not together: INFEASIBLE, not "nothing found"."""
    problem = AllocationProblem([1, 2, 1, 2], [[2, 3, 2, 4]], [3], [0, 0, 1, 1])
    result = solve(problem, HIGHS)
    assert result.termination.reason is Reason.INFEASIBLE
    assert result.dual_bound == np.inf


def test_settings_of_its_own_reach_highs() -> None:
    """An option of HiGHS' own changes what it does: its log shows no presolve."""
    asked = BackendRequest(
        problem=dense_problem(20, 6, 4, seed=1), time_limit_s=None, relative_gap=1e-6,
        absolute_gap=0.0, start=None,
    )  # fmt: skip
    stopped = highs_backend({"mip_max_nodes": 1}, threads=1, seed=0)(asked)
    assert stopped.nodes <= 1
    assert solve(asked.problem, HIGHS, settings={"presolve": "off"}).termination.reason is (
        Reason.OPTIMAL
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"time_limit": 3}, "time_limit come from time_limit_s"),
        ({"no_such_thing": 1}, "HiGHS refuses no_such_thing = 1"),
        ({"presolve": "perhaps"}, "HiGHS refuses presolve = 'perhaps'"),
        (7, "settings = 7: must be a mapping"),
    ],
)
def test_settings_that_are_refused(
    settings: object, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Common parameters have one name; what HiGHS does not know is told, not printed."""
    with pytest.raises(SolverOptionError, match=message):
        solve(regret_trap(), HIGHS, settings=settings)
    assert capfd.readouterr() == ("", "")


def test_whole_numbers_stay_whole_and_others_are_scaled() -> None:
    """Rows with a common step become integers; the others keep their largest entry near one."""
    problem = AllocationProblem(
        [0.25, 1.5, 0.5, 2], [[0.2, 0.1, 0.3, 0.1], [np.pi * 1e7, 0, np.e * 1e7, 1]], [0.4, 5e7],
        [0, 0, 1, 1],
    )  # fmt: skip
    scaled = scale_model(problem)
    usage = scaled.usage.to_dense()
    assert usage[0].tolist() == [2.0, 1.0, 3.0, 1.0]
    assert scaled.limit[0] == 4.0
    assert 1.0 <= usage[1].max() < 2.0
    assert usage[1] / scaled.limit[1] == pytest.approx(
        problem.usage.to_dense()[1] / problem.capacity[1], rel=1e-8
    )
    assert scaled.objective.exact
