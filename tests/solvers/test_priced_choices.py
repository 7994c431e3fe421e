"""Choices by capacity prices: the prices, scarce fleets against their optima, honesty."""

from __future__ import annotations

import numpy as np
import pytest

from solvers import AllocationProblem, Reason, check, solve
from solvers.grouped_columns import GroupedColumns
from solvers.instances import generate
from solvers.lexicographic import lexicographic_value
from solvers.priced_choices import PricedChoice, priced_choices
from solvers.row_limits import attainable_limits
from solvers.smoothed_dual import smoothed_prices


def strict_fleet(groups: int, seed: int) -> AllocationProblem:
    """A generated fleet in three strict priorities, its unserved columns free of cost."""
    plain = generate("fleet", groups, seed=seed)
    unserved = np.diff(plain.usage.indptr) == 0
    return AllocationProblem(
        np.where(unserved, 0.0, plain.cost),
        plain.usage,
        plain.capacity,
        plain.group,
        unserved=unserved,
        priority=np.random.default_rng(seed).integers(1, 4, groups),
    )


def choices(problem: AllocationProblem) -> list[PricedChoice]:
    return list(priced_choices(problem, 0, lambda: False))


def indicator(problem: AllocationProblem, choice: PricedChoice) -> np.ndarray:
    x = np.zeros(problem.columns, dtype=np.int64)
    x[choice.columns] = 1
    return x


@pytest.mark.parametrize(
    ("family", "groups"), [("fleet", 1_000), ("two-resource", 1_000), ("lumpy", 300)]
)
@pytest.mark.parametrize("seed", range(3))
def test_prices_nearly_attain_the_linear_relaxation(family: str, groups: int, seed: int) -> None:
    """The dual value at the prices is within 0.2 % of the bound, and never above the optimum."""
    problem = generate(family, groups, seed=seed)
    columns, order = GroupedColumns.of(problem)
    assert order is None
    limit = attainable_limits(problem.usage, problem.capacity)
    prices = smoothed_prices(columns, limit)
    assert (prices >= 0).all()
    value = columns.minimum(prices).total - float(prices @ limit)
    optimum = solve(problem, "lagrangian", relative_gap=1e-3)
    assert value <= optimum.primal_bound
    assert value >= 0.998 * linear_relaxation(problem, limit)


def linear_relaxation(problem: AllocationProblem, limit: np.ndarray) -> float:
    from scipy.optimize import linprog
    from scipy.sparse import csr_array

    columns = np.arange(problem.columns)
    choose = csr_array((np.ones(problem.columns), (problem.group, columns)))
    result = linprog(
        problem.cost,
        A_ub=problem.usage.to_scipy(),
        b_ub=limit,
        A_eq=choose,
        b_eq=np.ones(problem.groups),
        bounds=(0, None),
    )
    return float(result.fun)


def test_rows_that_cannot_bind_have_no_price() -> None:
    """Infinite and zero capacities get price 0; a scarce row gets one that balances it."""
    problem = AllocationProblem(
        [1, 5, 1, 5], [[1, 0, 1, 0], [1, 0, 1, 0], [0, 0, 0, 0]], [1, np.inf, 0], [0, 0, 1, 1]
    )
    columns, _ = GroupedColumns.of(problem)
    prices = smoothed_prices(columns, problem.capacity)
    assert prices[1:].tolist() == [0.0, 0.0]
    assert prices[0] == pytest.approx(4.0, rel=1e-2)


# Services left unserved at the last priority by `lagrangian` in stages; nobody at the others.
# Seed 8 of 1 000 is open: greedy found 102, less than the 114 of the stages within 30 s.
LEAST_UNSERVED = {
    200: [8, 6, 15, 19, 32, 29, 33, 10, 28, 12],
    1_000: [26, 41, 57, 76, 58, 56, 123, 27, None, 49],
}


@pytest.mark.parametrize(
    ("groups", "seed", "least"),
    [
        (groups, seed, least)
        for groups, values in LEAST_UNSERVED.items()
        for seed, least in enumerate(values)
        if least is not None
    ],
)
def test_strict_scarcity_is_met_nearly_as_well_as_can_be(
    groups: int, seed: int, least: int
) -> None:
    """Greedy leaves at most a tenth and one service more than the exact stages, none before."""
    problem = strict_fleet(groups, seed)
    result = solve(problem, "greedy")
    assert result.x is not None
    assert check(problem, result.x).feasible
    values = [stage.value for stage in result.stages]
    assert values[:2] == [0.0, 0.0]
    assert least <= values[2] <= 1.1 * least + 1


@pytest.mark.parametrize(
    ("family", "groups", "share"),
    [("fleet", 1_000, 0.005), ("two-resource", 1_000, 0.005), ("lumpy", 200, 0.06)],
)
@pytest.mark.parametrize("seed", range(3))
def test_finite_penalties_are_weighed_nearly_optimally(
    family: str, groups: int, share: float, seed: int
) -> None:
    """Where leaving services unserved has a price, greedy costs little more than the optimum."""
    problem = generate(family, groups, seed=seed)
    result = solve(problem, "greedy")
    assert result.x is not None
    assert check(problem, result.x).feasible
    proven = solve(problem, "lagrangian", relative_gap=1e-3)
    assert result.primal_bound <= (1 + share) * proven.primal_bound


def test_a_more_important_priority_is_never_traded() -> None:
    """One large important service goes before any number of small ones."""
    cost = [1.0, 0.0] * 301
    units = [300.0, 0.0] + [1.0, 0.0] * 300
    problem = AllocationProblem(
        cost,
        [units],
        [300],
        np.repeat(np.arange(301), 2),
        priority=[1] + [2] * 300,
        unserved=[False, True] * 301,
    )
    best = min(lexicographic_value(problem, indicator(problem, c)) for c in choices(problem))
    assert best[:2] == (0.0, 300.0)
    assert [stage.value for stage in solve(problem, "greedy").stages] == [0.0, 300.0]


@pytest.mark.parametrize("family", ["fleet", "lumpy", "many-rows", "two-resource", "classical"])
def test_every_choice_is_feasible_and_the_same_each_time(family: str) -> None:
    """Whatever the family and the order of the columns, choices keep the rows and repeat."""
    plain = generate(family, 120, seed=4)
    shuffled = np.random.default_rng(0).permutation(plain.columns)
    problem = AllocationProblem(
        plain.cost[shuffled],
        plain.usage.take(shuffled),
        plain.capacity,
        plain.group[shuffled],
    )
    first, second = choices(problem), choices(problem)
    assert first
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.columns, other.columns)
        assert np.array_equal(problem.group[one.columns], np.arange(problem.groups))
        assert check(problem, indicator(problem, one)).feasible


def test_where_the_repair_is_stuck_groups_are_seated_by_the_prices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a repair, a feasible choice is still found, and says that it was seated."""
    monkeypatch.setattr("solvers.price_repair.PriceRepair.unload", lambda *_: False)
    problem = generate("many-rows", 200, seed=1)
    (choice,) = choices(problem)
    assert not choice.repaired
    assert check(problem, indicator(problem, choice)).feasible


def test_no_choice_without_a_column_or_when_stopped() -> None:
    """A group without a column that fits, and a stop, end the search with nothing."""
    alone = AllocationProblem([1, 2], [[3, 4]], [2], [0, 0])
    assert choices(alone) == []
    assert list(priced_choices(strict_fleet(20, 0), 0, lambda: True)) == []


def test_a_large_fleet_is_not_left_to_regret() -> None:
    """6 000 services: within 1 % of the proven bound where regret alone is off by a factor."""
    problem = generate("fleet", 6_000, seed=2)
    result = solve(problem, "greedy")
    assert result.termination.reason is Reason.FEASIBLE
    bound = solve(problem, "lagrangian", relative_gap=1e-3).dual_bound
    assert result.primal_bound <= 1.01 * bound
