"""A back end's claims are checked: solutions, bounds, infeasibility."""

from __future__ import annotations

import dataclasses
import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from solvers import (
    AllocationProblem,
    Limit,
    Reason,
    SolveParams,
    SolverBackendError,
    Start,
    read_problem,
)
from solvers.exact import BackendAnswer, BackendRequest, solve_exactly, tightened_bound
from tests.solvers.problems import regret_trap

BEST = np.array([0, 1, 1, 0, 1, 0])


def answering(**claims: object) -> Callable[[BackendRequest], BackendAnswer]:
    def backend(_: BackendRequest) -> BackendAnswer:
        return BackendAnswer(**claims)  # type: ignore[arg-type]

    return backend


def test_a_true_claim() -> None:
    """A verified solution that meets its bound is optimal, at the caller's cost."""
    result = solve_exactly(
        regret_trap(), SolveParams(), None, answering(x=BEST.copy(), dual_bound=70.0)
    )
    assert result.termination.reason is Reason.OPTIMAL
    assert (result.primal_bound, result.dual_bound) == (70.0, 70.0)


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"x": np.array([0, 1, 1, 1, 1, 0])}, "chose 1 to 2 columns of a group"),
        ({"x": BEST, "dual_bound": 71.0}, "bound 71 passes the value 70"),
    ],
)
def test_false_claims_are_errors(
    claims: dict[str, object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Groups broken or a bound above a verified value: the back end failed, no result."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(SolverBackendError, match=message):
        solve_exactly(regret_trap(), SolveParams(), None, answering(**claims))


def test_a_contradiction_leaves_what_asks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The problem, exactly and as MPS, and the solution that the bound passes; where it says."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(SolverBackendError, match="passes the value") as raised:
        solve_exactly(regret_trap(), SolveParams(), None, answering(x=BEST.copy(), dual_bound=71.0))
    (folder,) = tmp_path.iterdir()
    assert f"the problem in {folder};" in str(raised.value)
    assert read_problem(folder / "problem.json") == regret_trap()
    assert json.loads((folder / "solution.json").read_text()) == BEST.tolist()
    assert "ROWS" in (folder / "model.mps").read_text()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with pytest.raises(SolverBackendError, match="could not be written"):
        solve_exactly(regret_trap(), SolveParams(), None, answering(x=BEST.copy(), dual_bound=71.0))


def test_the_answers_bound_goes_before_those_told_on_the_way() -> None:
    """A bound told too high is not kept where the answer has one; without one it is all there is.

    Such as of a model that a restart has made smaller, whose costs are other ones for a moment.
    """

    def backend(final: float) -> Callable[[BackendRequest], BackendAnswer]:
        def ask(request: BackendRequest) -> BackendAnswer:
            request.monitor.incumbent(BEST)
            request.monitor.bound(71.0 if math.isfinite(final) else 65.0)
            return BackendAnswer(x=BEST.copy(), dual_bound=final)

        return ask

    result = solve_exactly(regret_trap(), SolveParams(), None, backend(70.0))
    assert result.termination.reason is Reason.OPTIMAL
    assert solve_exactly(regret_trap(), SolveParams(), None, backend(60.0)).dual_bound == 60.0
    assert solve_exactly(regret_trap(), SolveParams(), None, backend(-math.inf)).dual_bound == 65.0


def test_infeasible_against_a_known_solution_is_an_error() -> None:
    """A claim of infeasibility is refuted by a feasible start."""
    with pytest.raises(SolverBackendError, match="a solution of cost 70 is known"):
        solve_exactly(regret_trap(), SolveParams(), Start(BEST), answering(infeasible=True))


def test_optimal_is_not_believed_without_a_bound() -> None:
    """A solution without a bound of its own is FEASIBLE with the capacity-free bound."""
    result = solve_exactly(regret_trap(), SolveParams(), None, answering(x=BEST.copy()))
    assert result.termination.reason is Reason.FEASIBLE
    assert result.termination.limit is Limit.GAP
    assert result.dual_bound == 40.0


def test_nothing_found() -> None:
    """No solution and no proof is NO_SOLUTION_FOUND with the limit; a start is kept."""
    stopped = answering(limit=Limit.NODES, dual_bound=50.0)
    result = solve_exactly(regret_trap(), SolveParams(), None, stopped)
    assert result.termination.reason is Reason.NO_SOLUTION_FOUND
    assert result.termination.limit is Limit.NODES
    assert result.dual_bound == 50.0
    kept = solve_exactly(regret_trap(), SolveParams(), Start(BEST), stopped)
    assert kept.termination.reason is Reason.FEASIBLE
    assert kept.primal_bound == 70.0


def test_solutions_that_exceed_a_row_are_cut_off() -> None:
    """A back end with wide tolerances is asked again with cover cuts until its answer holds."""
    problem = AllocationProblem([1, 4, 1, 9], [[6, 0, 6, 1]], [10], [0, 0, 1, 1])
    offered = [[1, 0, 1, 0], [0, 1, 1, 0]]
    asked: list[AllocationProblem] = []

    def careless(request: BackendRequest) -> BackendAnswer:
        asked.append(request.problem)
        return BackendAnswer(
            x=np.array(offered[len(asked) - 1]), dual_bound=[2.0, 5.0][len(asked) - 1]
        )

    result = solve_exactly(problem, SolveParams(), None, careless)
    assert result.primal_bound == 5.0
    assert result.termination.reason is Reason.OPTIMAL
    assert [p.rows for p in asked] == [1, 2]
    assert asked[1].usage.to_dense()[1].tolist() == [1, 0, 1, 0]
    assert asked[1].capacity[1] == 1.0
    assert "1 cover cuts added" in result.statistics.notes


def test_a_back_end_that_never_learns_is_given_up() -> None:
    """After a stated number of cuts the answer is: no solution, the bound, and why."""
    problem = AllocationProblem([1, 4, 1, 9], [[6, 0, 6, 1]], [10], [0, 0, 1, 1])
    result = solve_exactly(
        problem, SolveParams(), None, answering(x=np.array([1, 0, 1, 0]), dual_bound=2.0)
    )
    assert result.termination.reason is Reason.NO_SOLUTION_FOUND
    assert result.termination.limit is Limit.ITERATIONS
    assert "tolerance is too wide" in result.termination.detail


def test_no_time_is_left() -> None:
    """With the time used up the back end is not asked at all."""
    params = dataclasses.replace(SolveParams(), time_limit_s=1e-9)

    def never(_: BackendRequest) -> BackendAnswer:
        raise AssertionError("asked")

    result = solve_exactly(regret_trap(), params, None, never)
    assert result.termination.reason is Reason.NO_SOLUTION_FOUND
    assert result.termination.limit is Limit.TIME


def test_bounds_round_up_to_costs_that_exist() -> None:
    """With costs in quarters 9.1 is 9.25; nothing is rounded past the value; -inf stays."""
    problem = AllocationProblem([0.25, 2.5], np.zeros((0, 2)), [], [0, 0])
    assert tightened_bound(problem, 9.1, 20.0, 20.0) == 9.25
    assert tightened_bound(problem, 9.25 + 1e-9, 20.0, 20.0) == 9.25
    assert tightened_bound(problem, 9.9, 10.0, 10.0) == 10.0
    assert tightened_bound(problem, -math.inf, 10.0, 10.0) == -math.inf


def test_bounds_snap_to_a_value_of_zero_within_the_noise_of_its_terms() -> None:
    """Costs of a million that cancel: -1e-4 is no gap, -1 is."""
    problem = AllocationProblem([-1e6 - np.pi, 1e6 + np.pi], np.zeros((0, 2)), [], [0, 1])
    assert tightened_bound(problem, -1e-4, 0.0, 2e6) == 0.0
    assert tightened_bound(problem, -1.0, 0.0, 2e6) == -1.0
