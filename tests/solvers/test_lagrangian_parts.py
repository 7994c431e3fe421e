"""The parts of the Lagrangian solver: passes over columns, prices, limits, repair, cores."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers import AllocationProblem
from solvers.base import SolveParams
from solvers.cutting_planes import DualFunction
from solvers.dual_ascent import ascend
from solvers.enumeration import brute_force
from solvers.grouped_columns import GroupedColumns
from solvers.highs_arrays import choice_programme, new_highs, run_highs
from solvers.instances.fleet import fleet
from solvers.price_repair import PriceRepair
from solvers.problem import FloatArray
from solvers.reduced_cost_core import nearest_columns
from solvers.row_limits import attainable_limits
from solvers.sampled_prices import draw_groups, relaxation_prices
from tests.solvers.test_lagrangian import random_problem


def slow_reduced_costs(problem: AllocationProblem, prices: FloatArray) -> FloatArray:
    """The definition, in dense form; +inf where a column exceeds a row."""
    usage = problem.usage.to_dense()
    reduced: FloatArray = problem.cost + prices @ usage
    reduced[(usage > problem.capacity[:, None] * (1 + 1e-9)).any(axis=0)] = np.inf
    return reduced


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.integers(0, 10**6))
def test_passes_agree_with_the_definition(seed: int) -> None:
    """Least reduced costs, choice, usage and columns within a distance, in dense arithmetic."""
    problem = random_problem(seed)
    prices = np.random.default_rng(seed).uniform(0, 2, problem.rows)
    columns, order = GroupedColumns.of(problem)
    order = np.arange(problem.columns) if order is None else order
    reduced = slow_reduced_costs(problem, prices)[order]
    least = columns.minimum(prices)
    for group in range(problem.groups):
        mine = reduced[columns.starts[group] : columns.starts[group + 1]]
        assert reduced[least.choice[group]] == pytest.approx(mine.min(), rel=1e-12)
    usage = problem.usage.to_dense()[:, order]
    assert least.usage == pytest.approx(usage[:, least.choice].sum(axis=1))
    if not np.isfinite(reduced[least.choice]).all():
        return  # a group without a usable column: the solver stops before it looks any further
    slack = reduced - reduced[least.choice][columns.group_of(np.arange(columns.size))]
    positions, distance = columns.below(prices, 3.0)
    expected = np.flatnonzero(slack <= 3.0)
    assert positions.tolist() == expected.tolist()
    assert distance == pytest.approx(slack[expected], abs=1e-9)


@settings(deadline=None, max_examples=40, derandomize=True)
@given(st.integers(0, 10**6))
def test_columns_outside_the_box_are_never_least(seed: int) -> None:
    """At random prices in a box each group's least is among its contenders."""
    problem = random_problem(seed)
    random = np.random.default_rng(seed)
    low = random.uniform(0, 1, problem.rows)
    high = low + random.uniform(0, 1, problem.rows)
    columns, _ = GroupedColumns.of(problem)
    alone, several = columns.contenders(low, high)
    kept = np.union1d(alone, several)
    for _ in range(5):
        prices = random.uniform(low, high)
        least = columns.minimum(prices)
        best = np.full(problem.groups, np.inf)
        reduced = np.concatenate([columns.reduced_cost(prices, 0, problem.groups)])
        np.minimum.at(best, columns.group_of(kept), reduced[kept])
        assert best == pytest.approx(reduced[least.choice])


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.integers(0, 10**6), st.floats(0, 10))
def test_any_prices_bound_the_optimum(seed: int, largest: float) -> None:
    """L at random prices, with limits rounded to the rows' steps, is at most the optimum."""
    problem = random_problem(seed)
    best = brute_force(problem)
    columns, _ = GroupedColumns.of(problem)
    limit = attainable_limits(columns.usage, problem.capacity)
    prices = np.random.default_rng(seed).uniform(0, largest, problem.rows)
    prices[~np.isfinite(limit)] = 0.0
    limit[~np.isfinite(limit)] = 0.0
    value, _ = DualFunction(columns, limit).evaluate(prices)
    if best is not None:
        assert value <= best[-1] + 1e-9 * max(1.0, abs(best[-1]))


@pytest.mark.parametrize(
    ("usage", "capacity", "expected"),
    [
        ([8, 16, 24], 20.0, 16.0),
        ([8, 12, 24], 21.0, 20.0),
        ([3, 5, 0], 7.5, 7.0),
        ([0.5, 1.0, 2.0], 3.3, 3.3 * (1 + 1e-9)),
        ([0, 0, 0], 3.3, 3.3 * (1 + 1e-9)),
        ([2, 4, 6], math.inf, math.inf),
        ([4, 8, 4], 12.0 * (1 - 1e-10), 12.0),
    ],
)
def test_limits_are_multiples_of_the_step(
    usage: list[float], capacity: float, expected: float
) -> None:
    """Packs of 8 leave no use for 4 more; fractions keep the row's tolerance, and so do wholes."""
    problem = AllocationProblem([1, 1, 1], [usage], [capacity], [0, 0, 0])
    assert attainable_limits(problem.usage, problem.capacity) == pytest.approx(
        [expected], rel=1e-15
    )


def test_ascent_reaches_the_linear_relaxation() -> None:
    """4 000 services: samples and cutting planes end within 1e-6 of HiGHS' LP optimum, below it."""
    problem = fleet(4_000, seed=2)
    columns, _ = GroupedColumns.of(problem)
    limit = attainable_limits(columns.usage, problem.capacity)
    at_zero = columns.minimum(np.zeros(problem.rows))
    prices = ascend(columns, limit, at_zero, SolveParams(), 1e-8, lambda: None)
    value, _ = DualFunction(columns, limit).evaluate(prices)
    kept = np.setdiff1d(np.arange(problem.columns), columns.barred)
    highs = new_highs(SolveParams(), None)
    highs.passModel(
        choice_programme(
            problem.cost[kept], problem.usage.take(kept), limit, problem.group[kept], binary=False
        )
    )
    assert run_highs(highs) == "Optimal"
    optimum = highs.getInfo().objective_function_value
    assert (prices >= 0).all()
    assert optimum * (1 - 1e-6) <= value <= optimum * (1 + 1e-9)


def test_samples_estimate_the_whole() -> None:
    """A weighted sample's groups stand for all: its total cost at no price is near the whole's."""
    problem = fleet(20_000, seed=1)
    columns, _ = GroupedColumns.of(problem)
    at_zero = columns.minimum(np.zeros(problem.rows))
    size = columns.cost[at_zero.choice]
    sample = draw_groups(columns, size, 1_000, np.random.default_rng(0))
    assert sample.groups == pytest.approx(1_000, rel=0.1)
    total = sample.minimum(np.zeros(problem.rows)).total
    assert total == pytest.approx(at_zero.total, rel=0.1)


def test_relaxation_of_an_overloaded_sample_has_prices() -> None:
    """Where no choice fits, prices are finite and high instead of missing."""
    problem = AllocationProblem([1, 2, 1, 2], [[3, 2, 3, 2]], [3], [0, 0, 1, 1])
    columns, _ = GroupedColumns.of(problem)
    prices = relaxation_prices(columns, problem.capacity, SolveParams(), None)
    assert prices is not None
    assert np.isfinite(prices).all()
    assert prices[0] > 1


def test_repair_unloads_then_fills() -> None:
    """Two of three groups hold the scarce row; the least loss leaves it, the rest is filled."""
    problem = AllocationProblem(
        [1, 5, 1, 9, 1, 7, 4], [[2, 0, 2, 0, 2, 0, 1]], [5], [0, 0, 1, 1, 2, 2, 2]
    )
    columns, _ = GroupedColumns.of(problem)
    choice = np.array([0, 2, 4])
    repair = PriceRepair(columns, problem.capacity, np.zeros(1), choice, np.array([1, 3, 5, 6]))
    assert repair.unload(lambda: False)
    repair.fill(lambda: False)
    assert repair.choice.tolist() == [0, 2, 6]
    assert repair.left.tolist() == [0.0]


def test_repair_says_when_it_is_stuck() -> None:
    """Without a column that frees anything the choice stays and the answer is no."""
    problem = AllocationProblem([1, 5, 1], [[3, 3, 3]], [4], [0, 0, 1])
    columns, _ = GroupedColumns.of(problem)
    repair = PriceRepair(columns, problem.capacity, np.zeros(1), np.array([0, 2]), np.array([1]))
    assert not repair.unload(lambda: False)
    assert repair.choice.tolist() == [0, 2]


def test_exchange_needs_two_swaps() -> None:
    """Neither swap alone fits or saves; together they save 3."""
    problem = AllocationProblem([10, 4, 2, 5], [[1, 3, 3, 1]], [4], [0, 0, 1, 1])
    columns, _ = GroupedColumns.of(problem)
    repair = PriceRepair(columns, problem.capacity, np.ones(1), np.array([0, 2]), np.array([1, 3]))
    repair.fill(lambda: False)
    assert repair.choice.tolist() == [0, 2]
    repair.exchange(lambda: False)
    assert repair.choice.tolist() == [1, 3]


@pytest.mark.parametrize("count", [0, 1, 50, 10**6])
@pytest.mark.parametrize("within", [0.0, 40.0, math.inf])
def test_nothing_outside_a_core_is_nearer_than_its_rest(count: int, within: float) -> None:
    """Whatever is asked for: the core holds each group's least and all columns below its rest."""
    problem = fleet(300, seed=3)
    columns, _ = GroupedColumns.of(problem)
    prices = np.full(problem.rows, 100.0)
    core = nearest_columns(columns, prices, count, within)
    positions, slack = columns.below(prices, math.inf)
    outside = np.setdiff1d(positions[np.isfinite(slack)], core.positions)
    assert np.isin(columns.minimum(prices).choice, core.positions).all()
    if outside.size:
        assert slack[np.searchsorted(positions, outside)].min() >= core.rest
        assert math.isfinite(core.rest)
    else:
        assert core.rest >= within or math.isinf(core.rest)
