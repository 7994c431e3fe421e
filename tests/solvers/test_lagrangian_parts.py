"""The parts of the Lagrangian solver: passes over columns, prices, limits, repair, cores."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers import AllocationProblem
from solvers.base import SolveParams
from solvers.dual_ascent import DualAscent
from solvers.enumeration import brute_force
from solvers.grouped_columns import GroupedColumns
from solvers.highs_arrays import choice_programme, new_highs, run_highs
from solvers.instances.fleet import fleet
from solvers.price_box import PriceBox, best_prices
from solvers.price_repair import PriceRepair
from solvers.priced_columns import PricedColumns
from solvers.problem import FloatArray
from solvers.reduced_cost_core import nearest_columns, rows_changed
from solvers.row_columns import RowColumns
from solvers.row_limits import attainable_limits
from solvers.sampled_prices import draw_groups, relaxation_prices
from solvers.swap_model import SwapModel
from tests.solvers.test_lagrangian import random_problem


def dual_value(columns: GroupedColumns, limit: FloatArray, prices: FloatArray) -> float:
    """L at some prices."""
    return columns.minimum(prices).total - float(prices @ limit)


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
    value = dual_value(columns, limit, prices)
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
    """4 000 services: samples and boxes end within 1e-6 of HiGHS' LP optimum, below it."""
    problem = fleet(4_000, seed=2)
    columns, _ = GroupedColumns.of(problem)
    limit = attainable_limits(columns.usage, problem.capacity)
    prices = DualAscent(columns, limit, SolveParams(), lambda: None).cold(1e-8)
    value = dual_value(columns, limit, prices)
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


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.integers(0, 10**6))
def test_best_prices_of_a_box_are_best_there(seed: int) -> None:
    """The value at the prices found is the value told, and none of 20 others in the box is more."""
    problem = random_problem(seed)
    random = np.random.default_rng(seed)
    columns, _ = GroupedColumns.of(problem)
    limit = np.where(np.isfinite(problem.capacity), problem.capacity, 0.0)
    priced = limit > 0
    middle = np.where(priced, random.uniform(0, 3, problem.rows), 0.0)
    box = PriceBox.around(middle, np.where(priced, random.uniform(0, 2, problem.rows), 0.0))
    if not np.isfinite(columns.minimum(middle).total):
        return  # a group without a usable column: the solver stops before it looks for prices
    best = best_prices(columns, limit, box, SolveParams(), None)
    assert best is not None
    assert (box.low <= best.prices).all()
    assert (best.prices <= box.high).all()
    value = dual_value(columns, limit, best.prices)
    scale = 1e-6 * (1.0 + abs(value) + float(best.prices @ limit))
    assert value == pytest.approx(best.value, abs=scale)
    for _ in range(20):
        other = random.uniform(box.low, box.high)
        assert dual_value(columns, limit, other) <= value + scale


def test_sides_are_touched_within_rounding() -> None:
    """A price that is the last bit away from a side touches it; 0 and fixed prices touch none."""
    box = PriceBox(np.array([1.0, 0.0, 5.0]), np.array([3.0, 2.0, 5.0]))
    assert box.sides(np.array([3.0 * (1 - 1e-15), 0.0, 5.0])) == 1
    assert box.sides(np.array([1.0 + 1e-15, 2.0, 5.0])) == 2
    assert box.sides(np.array([2.0, 1.0, 5.0])) == 0


@settings(deadline=None, max_examples=40, derandomize=True)
@given(st.integers(0, 10**6), st.booleans())
def test_swaps_are_the_same_problem(seed: int, merged: bool) -> None:
    """From any base choice, any whole numbers of swaps mean a choice of that cost and usage."""
    problem = random_problem(seed)
    random = np.random.default_rng(seed)
    order = random.permutation(problem.columns)
    _, first = np.unique(problem.group[order], return_index=True)
    base = order[first]
    model = SwapModel.of(
        problem.cost, problem.usage, problem.capacity, problem.group, base, merged=merged
    )
    y = np.zeros(len(model.cost), dtype=np.int64)
    for member in np.unique(model.member):
        mine = np.flatnonzero(model.member == member)
        if member < 0:
            y[mine] = random.integers(0, model.most[mine] + 1)
        else:
            y[random.choice(mine)] = random.integers(0, 2)
    x = model.solution(y, problem.columns)
    assert (np.bincount(problem.group[x > 0], minlength=problem.groups) == 1).all()
    assert model.offset + model.cost @ y == pytest.approx(problem.cost @ x, abs=1e-9)
    left = model.limit - model.usage.dot(y)
    finite = np.isfinite(problem.capacity)
    expected = problem.capacity - problem.usage.dot(x)
    assert left[finite] == pytest.approx(expected[finite], abs=1e-9)


def test_equal_swaps_are_one_variable() -> None:
    """Five groups with the same one way out are one whole number; a sixth differs in cost."""
    problem = AllocationProblem([0, 3] * 5 + [0, 4], [[1, 0] * 6], [3], np.repeat(np.arange(6), 2))
    base = np.arange(0, 12, 2)
    model = SwapModel.of(
        problem.cost, problem.usage, problem.capacity, problem.group, base, merged=True
    )
    assert sorted(model.most.tolist()) == [1, 5]
    assert model.usage.to_dense().tolist() == [[-1.0, -1.0]]
    assert model.limit.tolist() == [-3.0]


def test_a_core_reaches_for_what_is_left_over() -> None:
    """The only column that fits into the unused row is far away: it joins the core, in place."""
    usage = np.zeros((2, 12))
    usage[1, 11] = 2.0
    usage[1, 7] = 5.0
    problem = AllocationProblem([0, 1] * 5 + [0, 50], usage, [9.0, 3.0], np.repeat(np.arange(6), 2))
    columns, _ = GroupedColumns.of(problem)
    priced = PricedColumns(columns, np.zeros(2))
    core = nearest_columns(priced, 2, math.inf)
    assert 11 not in core.positions
    near = RowColumns(priced, np.arange(0, 12, 2), math.inf)
    wider = near.added_to(core, 1, left=3.0, count=5)
    assert wider.positions.tolist() == sorted({*core.positions.tolist(), 11})
    assert wider.slack[wider.positions.tolist().index(11)] == 50.0
    assert wider.rest == core.rest
    assert rows_changed(priced, wider).tolist() == [0, 1]
    both = near.added_to(core, 1, left=0.0, count=5)
    assert {7, 11} <= set(both.positions.tolist())


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
    core = nearest_columns(PricedColumns(columns, prices), count, within)
    positions, slack = columns.below(prices, math.inf)
    outside = np.setdiff1d(positions[np.isfinite(slack)], core.positions)
    assert np.isin(columns.minimum(prices).choice, core.positions).all()
    if outside.size:
        assert slack[np.searchsorted(positions, outside)].min() >= core.rest
        assert math.isfinite(core.rest)
    else:
        assert core.rest >= within or math.isinf(core.rest)
