"""Lexicographic stages: proof, time, failure."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from solvers import (
    AllocationProblem,
    Limit,
    Reason,
    SolveParams,
    SolveResult,
    Start,
    Termination,
    check,
    solve,
)
from solvers.priorities import solve_in_stages
from tests.solvers.problems import dense_problem, strict_problem


def scarce(seed: int = 0) -> AllocationProblem:
    """30 dense groups of three priorities that cannot all be served."""
    plain = dense_problem(30, 4, 2, seed)
    first = np.unique(plain.group, return_index=True)[1]
    unserved = np.zeros(plain.columns, dtype=bool)
    unserved[first] = True
    usage = plain.usage.to_dense()
    usage[:, unserved] = 0.0
    cost = np.where(unserved, 0.0, -plain.cost)
    priority = np.random.default_rng(seed).integers(1, 4, 30)
    return AllocationProblem(
        cost, usage, plain.capacity * 0.3, plain.group, priority=priority, unserved=unserved
    )


def no_answer(problem: AllocationProblem, params: SolveParams, start: Start | None) -> SolveResult:
    """A back end that never has the time; it hands back its start."""
    if start is None:
        return SolveResult(termination=Termination(Reason.NO_SOLUTION_FOUND, Limit.TIME))
    return SolveResult(
        termination=Termination(Reason.FEASIBLE, Limit.TIME),
        primal_bound=float(problem.cost @ start.x),
        x=np.array(start.x),
    )


def test_milp_and_cp_sat_agree_on_scarce_problems() -> None:
    """Two unrelated exact solvers prove the same stages and cost."""
    for seed in range(3):
        problem = scarce(seed)
        milp, cp_sat = solve(problem, "milp"), solve(problem, "cp-sat")
        assert milp.termination.reason is cp_sat.termination.reason is Reason.OPTIMAL
        assert milp.stages == cp_sat.stages
        assert milp.primal_bound == cp_sat.primal_bound
        assert any(stage.value > 0 for stage in milp.stages)


def test_greedy_bounds_hold_where_exact_solvers_prove() -> None:
    """greedy's stages and value are no better than the optimum, its first bound no higher."""
    for seed in range(3):
        problem = scarce(seed)
        exact, greedy = solve(problem, "milp"), solve(problem, "greedy")
        optimum = (*(stage.value for stage in exact.stages), exact.primal_bound)
        assert (*(stage.value for stage in greedy.stages), greedy.primal_bound) >= optimum
        assert greedy.stages[0].dual_bound <= exact.stages[0].value


def test_an_open_stage_is_not_called_optimal() -> None:
    """Without proof of a stage the incumbent is FEASIBLE and the stage is shown open."""
    problem = scarce()
    result = solve_in_stages(problem, SolveParams(), None, no_answer)
    assert result.termination.reason is Reason.FEASIBLE
    assert "not proven" in result.termination.detail
    assert result.x is not None
    assert check(problem, result.x).feasible
    open_stages = [stage for stage in result.stages if not stage.optimal]
    assert open_stages
    assert all(stage.dual_bound < stage.value for stage in open_stages)


def test_no_time_at_all_still_returns_the_heuristic_solution() -> None:
    """The regret solution is there before the clock matters."""
    params = dataclasses.replace(SolveParams(), time_limit_s=1e-9)
    result = solve_in_stages(scarce(), params, None, no_answer)
    assert result.termination.reason is Reason.FEASIBLE
    assert result.termination.limit is Limit.TIME
    assert len(result.stages) == 3


def test_a_better_start_is_kept() -> None:
    """The optimum handed in as a start survives stages that prove nothing."""
    problem = scarce()
    optimum = solve(problem, "milp")
    assert optimum.x is not None
    result = solve_in_stages(problem, SolveParams(), Start(optimum.x), no_answer)
    assert result.primal_bound == optimum.primal_bound
    assert [s.value for s in result.stages] == [s.value for s in optimum.stages]


def test_stages_proven_without_search_need_one_solve() -> None:
    """When the heuristic serves everyone, only the cost is left to solve."""
    problem = AllocationProblem(
        [20, 50, 0, 10, 35, 0], [[2, 0, 0, 1, 0, 0], [0, 10, 0, 0, 7, 0]], [2, 100],
        [0, 0, 0, 1, 1, 1], priority=[1, 2], unserved=[0, 0, 1, 0, 0, 1],
    )  # fmt: skip
    result = solve(problem, "milp")
    assert result.primal_bound == 55.0
    assert result.statistics.notes[0] == "1 stage problems solved"


@pytest.mark.parametrize("solver", ["milp", "cp-sat", "auto", "greedy"])
def test_weights_decide_within_a_priority(solver: str) -> None:
    """One group of weight 3 is served before two of weight 1, and the stage says so."""
    problem = AllocationProblem(
        [5, 0, 1, 0, 1, 0], [[2, 0, 1, 0, 1, 0]], [2], [0, 0, 1, 1, 2, 2], priority=[4, 4, 4],
        unserved=[0, 1] * 3, weight=[3, 1, 1],
    )  # fmt: skip
    result = solve(problem, solver)
    assert [(s.priority, s.value) for s in result.stages] == [(4, 2.0)]
    assert result.primal_bound == 5.0


@pytest.mark.parametrize("solver", ["milp", "cp-sat", "auto", "greedy"])
def test_serving_an_important_group_at_any_price(solver: str) -> None:
    """Priority 1 is served although priorities 2 and 3 could be served in its place."""
    result = solve(strict_problem(), solver)
    assert [stage.value for stage in result.stages] == [0.0, 1.0, 1.0]
    assert result.primal_bound == 30.0
