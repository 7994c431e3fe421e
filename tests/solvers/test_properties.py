"""What must hold for any problem: scaling, permuting, more capacity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers import AllocationProblem, Reason, check, solve
from solvers.enumeration import brute_force

SETTINGS = settings(deadline=None, max_examples=25, derandomize=True)


def random_problem(seed: int, capacity_factor: float = 1.0) -> AllocationProblem:
    random = np.random.default_rng(seed)
    groups, options, rows = 4, 4, 2
    n = groups * options
    usage = random.integers(0, 5, (rows, n)).astype(float)
    capacity = np.floor(usage.sum(axis=1) / options * 0.9) * capacity_factor
    cost = random.integers(-20, 40, n) * 0.25
    return AllocationProblem(cost, usage, capacity, np.repeat(np.arange(groups), options))


def value(problem: AllocationProblem, solver: str) -> float:
    """Optimum, +inf when infeasible."""
    return solve(problem, solver).primal_bound


@pytest.mark.parametrize("solver", ["milp", "cp-sat"])
@given(seed=st.integers(0, 10**6), factor=st.sampled_from([1e-6, 3.0, 1e6]))
@SETTINGS
def test_scaling_costs_scales_the_optimum(solver: str, seed: int, factor: float) -> None:
    """The unit of money does not matter."""
    problem = random_problem(seed)
    scaled = AllocationProblem(
        problem.cost * factor, problem.usage, problem.capacity, problem.group
    )
    assert value(scaled, solver) == pytest.approx(value(problem, solver) * factor, rel=1e-9)


@pytest.mark.parametrize("solver", ["milp", "cp-sat"])
@given(seed=st.integers(0, 10**6))
@SETTINGS
def test_the_order_of_columns_does_not_matter(solver: str, seed: int) -> None:
    """Columns in another order, groups renumbered: the same optimum, and x in input order."""
    problem = random_problem(seed)
    random = np.random.default_rng(seed + 1)
    columns, names = random.permutation(problem.columns), random.permutation(problem.groups)
    permuted = AllocationProblem(
        problem.cost[columns],
        problem.usage.take(columns),
        problem.capacity,
        names[problem.group[columns]],
    )
    result = solve(permuted, solver)
    assert result.primal_bound == value(problem, solver)
    if result.x is not None:
        assert check(permuted, result.x).feasible


@pytest.mark.parametrize("solver", ["milp", "cp-sat"])
@given(seed=st.integers(0, 10**6))
@SETTINGS
def test_more_capacity_never_hurts(solver: str, seed: int) -> None:
    """A larger capacity costs no more."""
    assert value(random_problem(seed, 1.5), solver) <= value(random_problem(seed), solver)


@given(seed=st.integers(0, 10**6))
@SETTINGS
def test_solvers_agree_with_enumeration(seed: int) -> None:
    """milp with both back ends, cp-sat and auto find the enumerated optimum or infeasibility."""
    problem = random_problem(seed)
    optimum = brute_force(problem)
    for solver, options in (
        ("milp", {}),
        ("milp", {"backend": "CBC"}),
        ("cp-sat", {}),
        ("auto", {}),
    ):
        result = solve(problem, solver, **options)
        if optimum is None:
            assert result.termination.reason is Reason.INFEASIBLE
        else:
            assert result.termination.reason is Reason.OPTIMAL
            assert result.primal_bound == optimum[-1]
            assert result.relative_gap == 0.0
    greedy = solve(problem, "greedy")
    if optimum is not None:
        assert greedy.dual_bound <= optimum[-1] <= greedy.primal_bound


@pytest.mark.parametrize("seed", range(4))
def test_exact_solvers_agree_beyond_enumeration(seed: int) -> None:
    """On 40 groups of 8 columns and 4 rows, milp with both back ends and cp-sat prove one value."""
    random = np.random.default_rng(seed)
    n = 320
    usage = random.integers(0, 9, (4, n)) * (random.random((4, n)) < 0.5)
    cost = random.integers(1, 400, n) * 0.25
    capacity = np.floor(usage.sum(axis=1) / 8 * 0.5)
    problem = AllocationProblem(cost, usage, capacity, np.repeat(np.arange(40), 8))
    values = {
        solve(problem, solver, **options).primal_bound  # type: ignore[arg-type]
        for solver, options in (("milp", {}), ("milp", {"backend": "CBC"}), ("cp-sat", {}))
    }
    assert len(values) == 1
    assert np.isfinite(values.pop())
