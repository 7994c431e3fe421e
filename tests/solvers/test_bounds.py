"""Bounds and reductions keep the optimum, on hundreds of random problems."""

from __future__ import annotations

import math

import numpy as np
import pytest

from solvers import AllocationProblem
from solvers.bounds import (
    capacity_free_bound,
    conditional_cost_bound,
    partial_bound,
    relaxed_solution,
    unservable_weight,
)
from solvers.contract_cases import contract_cases
from solvers.enumeration import brute_force
from solvers.exact import is_feasible
from solvers.lexicographic import is_better, lexicographic_value
from solvers.presolve import reduce_problem
from tests.solvers.problems import regret_trap, strict_problem

CASES = [c for c in contract_cases() if c.problem.split is None and c.problem.links is None]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_bound_passes_the_optimum(case: object) -> None:
    """Capacity-free, conditional and stage bounds hold for every contract case."""
    problem, optimum = case.problem, case.optimum  # type: ignore[attr-defined]
    if optimum is None:
        return
    levels = [] if problem.priority is None else np.unique(problem.priority).tolist()
    counts = dict(zip(levels, optimum[:-1], strict=True))
    noise = 1e-12 * (1.0 + np.abs(problem.cost).sum())
    assert capacity_free_bound(problem) <= optimum[-1] + noise
    assert partial_bound(problem) <= optimum[-1] + noise
    assert conditional_cost_bound(problem, counts) <= optimum[-1] + noise
    for level, weight in unservable_weight(problem).items():
        assert weight <= counts[level] + noise


def test_bounds_by_hand() -> None:
    """The trap's bound is 40; a group without a column that fits alone proves infeasibility."""
    assert capacity_free_bound(regret_trap()) == 40.0
    assert capacity_free_bound(AllocationProblem([1, 2], [[3, 4]], [2], [0, 0])) == math.inf
    assert relaxed_solution(AllocationProblem([1, 2], [[3, 4]], [2], [0, 0])) is None


def test_the_conditional_bound_by_hand() -> None:
    """All served costs 90; each priority's budget takes off what saves most per weight."""
    problem = strict_problem()
    assert conditional_cost_bound(problem, {1: 0, 2: 0, 3: 0}) == 90.0
    assert conditional_cost_bound(problem, {1: 1, 2: 0, 3: 1}) == 30.0
    assert conditional_cost_bound(problem, {1: 0.5, 2: 0, 3: 0}) == pytest.approx(80.0)


def test_unservable_groups() -> None:
    """Groups whose serving columns all exceed a row count; with parts, one part has to exceed."""
    problem = AllocationProblem(
        [4, 0, 4, 0], [[8, 0, 8, 0]], [3], [0, 0, 1, 1], priority=[1, 5],
        unserved=[0, 1, 0, 1], weight=[1, 2.5], parts=[4, 1, 2, 1],
    )  # fmt: skip
    assert unservable_weight(problem) == {1: 1.0, 5: 2.5}
    assert unservable_weight(problem, part=True) == {1: 0.0, 5: 2.5}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_presolve_keeps_the_optimum(case: object) -> None:
    """The smaller problem has the same optimum, and its solutions are solutions of the larger."""
    problem = case.problem  # type: ignore[attr-defined]
    plain = AllocationProblem(problem.cost, problem.usage, problem.capacity, problem.group)
    reduction = reduce_problem(plain)
    optimum = brute_force(plain)
    if reduction.problem is None:
        assert optimum is None
        return
    smaller = brute_force(reduction.problem)
    assert (smaller is None) == (optimum is None)
    if optimum is not None:
        assert smaller == pytest.approx(optimum, rel=1e-12, abs=1e-12)


def test_presolve_drops_what_cannot_matter() -> None:
    """Too large, dearer and larger, equal and later columns go; the first of equals stays."""
    problem = AllocationProblem(
        [1, 2, 2, 3, 3, 9, 1, 0, 0], [[9, 2, 2, 2, 1, 0, 0, 5, 4], [0] * 9], [4, 1],
        [0, 0, 0, 0, 0, 0, 1, 1, 1],
    )  # fmt: skip
    reduction = reduce_problem(problem)
    assert reduction.kept.tolist() == [1, 4, 5, 6, 8]
    assert reduction.stand_in.tolist() == [-1, 1, 1, 4, 4, 5, 6, -1, 8]
    assert reduction.problem is not None
    assert reduction.problem.rows == 1
    dominated = np.array([0, 0, 1, 0, 0, 0, 1, 0, 0])
    assert reduction.restore(reduction.reduce(dominated)).tolist() == [0, 1, 0, 0, 0, 0, 1, 0, 0]


def test_presolve_drops_rows_that_cannot_bind() -> None:
    """A row that even the largest choices keep is not looked at any more; nor an unlimited one."""
    problem = AllocationProblem(
        [1, 2, 1, 2], [[3, 1, 3, 1], [3, 1, 3, 1], [9, 9, 9, 9]], [6, 5.9, np.inf], [0, 0, 1, 1]
    )
    reduction = reduce_problem(problem)
    assert reduction.problem is not None
    assert reduction.problem.capacity.tolist() == [5.9]


def test_presolve_on_many_random_problems() -> None:
    """A feasible solution reduced and restored stays feasible and costs no more."""
    random = np.random.default_rng(11)
    for _ in range(200):
        groups, n = 5, 25
        usage = random.integers(0, 4, (2, n)).astype(float)
        group = np.concatenate([np.arange(groups), random.integers(0, groups, n - groups)])
        problem = AllocationProblem(random.integers(0, 5, n), usage, [9, 9], group)
        x = np.zeros(n, dtype=np.int64)
        for g in range(groups):
            x[random.choice(np.flatnonzero(group == g))] = 1
        if not is_feasible(problem, x):
            continue
        reduction = reduce_problem(problem)
        back = reduction.restore(reduction.reduce(x))
        assert is_feasible(problem, back)
        assert problem.cost @ back <= problem.cost @ x


def test_lexicographic_order() -> None:
    """Earlier entries decide; differences in the last bit do not."""
    assert is_better((0.0, 9.0), (1.0, 0.0))
    assert not is_better((1.0, 0.0), (0.0, 9.0))
    assert is_better((0.1 + 0.2, 1.0), (0.3, 2.0))
    assert not is_better((0.3, 2.0), (0.1 + 0.2, 2.0))
    assert lexicographic_value(strict_problem(), np.array([1, 0, 0, 1, 1, 0, 0, 1])) == (
        1.0, 0.0, 1.0, 30.0,
    )  # fmt: skip
