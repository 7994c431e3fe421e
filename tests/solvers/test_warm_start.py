"""Warm starts: any start gives the same proven answers, and a good one less work."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from solvers import AllocationProblem, PriceMeaning, Reason, SolverOptionError, check, solve
from solvers.base import SolveParams, Start
from solvers.dual_ascent import DualAscent
from solvers.grouped_columns import GroupedColumns
from solvers.highs import HighsSolver
from solvers.instances.fleet import fleet, fleet_and_next
from solvers.lagrangian import LagrangianSolver
from solvers.result import SolveResult, relative_gap
from solvers.row_limits import attainable_limits
from solvers.testing import brute_force
from tests.solvers.test_lagrangian import PRICED, random_problem

GAP = 1e-5


def with_priorities(plain: AllocationProblem, seed: int) -> AllocationProblem:
    """A fleet with two priorities; the last column of each service leaves it unserved."""
    unserved = np.zeros(plain.columns, dtype=bool)
    unserved[12::13] = True
    priority = np.random.default_rng(seed).integers(1, 3, plain.groups)
    return AllocationProblem(
        plain.cost, plain.usage, plain.capacity, plain.group, priority=priority, unserved=unserved
    )


@settings(deadline=None, max_examples=80, derandomize=True)
@given(st.integers(0, 10**6), st.sampled_from(["none", "random"]), st.floats(0, 1e12))
@example(0, "none", 2.2250738585072014e-308)  # prices so small that shares of them overflow
def test_any_start_gives_the_optimum(seed: int, kind: str, largest: float) -> None:
    """Random x, feasible or not, and random or huge prices: optimum, bounds, infeasibility stay."""
    problem = random_problem(seed)
    random = np.random.default_rng(seed)
    x = random.integers(0, 2, problem.columns) if kind == "random" else None
    start = Start(x, random.uniform(0, largest, problem.rows) if largest else None)
    result = LagrangianSolver().solve(problem, SolveParams(options=PRICED), start)
    best = brute_force(problem)
    if best is None:
        assert result.termination.reason is Reason.INFEASIBLE
        return
    assert result.termination.reason is Reason.OPTIMAL
    assert result.x is not None
    assert check(problem, result.x).feasible
    assert result.primal_bound == pytest.approx(best[-1], rel=1e-6, abs=1e-9)
    assert result.dual_bound <= best[-1] + 1e-6 * max(1.0, abs(best[-1]))


@pytest.mark.parametrize("seed", range(3))
def test_resolve_after_a_change_of_load(seed: int) -> None:
    """5 % of the demands anew: the result is a start, and both solves prove the same optimum."""
    before, after = fleet_and_next(1_000, seed=seed)
    first = solve(before, "lagrangian", relative_gap=GAP)
    cold = solve(after, "lagrangian", relative_gap=GAP)
    warm = solve(after, "lagrangian", relative_gap=GAP, start=first)
    assert warm.termination.reason is cold.termination.reason is Reason.OPTIMAL
    assert warm.x is not None
    assert check(after, warm.x).feasible
    for one, other in ((warm, cold), (cold, warm)):
        assert one.dual_bound <= other.primal_bound * (1 + 1e-9)


def test_good_prices_need_no_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """A result as start: not one relaxation of a sample is solved, in few boxes of prices."""
    before, after = fleet_and_next(2_000, seed=1)
    first = solve(before, "lagrangian", relative_gap=GAP)

    def no_sample(*_: object) -> None:
        raise AssertionError("a sample was solved")

    monkeypatch.setattr("solvers.dual_ascent.relaxation_prices", no_sample)
    result = solve(after, "lagrangian", relative_gap=GAP, start=first)
    assert result.termination.reason is Reason.OPTIMAL
    assert result.statistics.iterations is not None
    assert result.statistics.iterations <= 3


@pytest.mark.parametrize("factor", [0.0, 0.2, 5.0, 1e9])
def test_bad_prices_are_seen_at_once(factor: float) -> None:
    """Prices far off count for nothing: the search is that without a start, box by box."""
    problem = fleet(2_000, seed=1)
    cold = solve(problem, "lagrangian", relative_gap=GAP)
    assert cold.prices is not None
    columns, _ = GroupedColumns.of(problem)
    limit = attainable_limits(columns.usage, problem.capacity)
    ascent = DualAscent(columns, limit, SolveParams(), lambda: None)
    assert ascent.near(cold.prices.values) is not None
    assert ascent.near(cold.prices.values * factor) is None
    start = Start(None, cold.prices.values * factor)
    again = solve(problem, "lagrangian", relative_gap=GAP, start=start)
    assert again.statistics.iterations == cold.statistics.iterations
    assert np.array_equal(again.x, cold.x)


def test_prices_prove_the_bound() -> None:
    """The prices of a result are multipliers: the dual value there is within the gap."""
    problem = fleet(1_000, seed=2)
    result = solve(problem, "lagrangian", relative_gap=1e-3)
    assert result.prices is not None
    assert result.prices.meaning is PriceMeaning.MULTIPLIER
    columns, _ = GroupedColumns.of(problem)
    value = columns.minimum(result.prices.values).total - result.prices.values @ problem.capacity
    assert value <= result.dual_bound * (1 + 1e-9)
    assert relative_gap(result.primal_bound, value) <= 5e-3


def test_room_for_all_after_a_shortage() -> None:
    """Capacity no longer binds: the old prices mislead nobody, the cheapest columns are optimal."""
    tight = fleet(500, seed=3)
    first = solve(tight, "lagrangian", relative_gap=GAP)
    roomy = AllocationProblem(tight.cost, tight.usage, tight.capacity * 100, tight.group)
    result = solve(roomy, "lagrangian", relative_gap=0.0, start=first)
    cheapest = np.minimum.reduceat(tight.cost, np.arange(0, tight.columns, 13)).sum()
    assert result.primal_bound == result.dual_bound == cheapest
    assert result.prices is not None
    assert not result.prices.values.any()


@pytest.mark.parametrize("solver", ["auto", "highs", "lagrangian"])
def test_a_result_is_a_start_for_every_solver(solver: str) -> None:
    """Its solution bounds the value; a solver without use for prices leaves them."""
    problem = fleet(200, seed=4)
    first = solve(problem, "lagrangian", relative_gap=1e-3)
    result = solve(problem, solver, relative_gap=1e-4, start=first)
    assert result.primal_bound <= first.primal_bound
    assert result.relative_gap <= 1e-4
    assert not any("start" in note for note in result.statistics.notes)


def test_a_result_without_anything_is_no_start() -> None:
    """Neither solution nor prices: as without a start; rows that differ are refused."""
    problem = fleet(100, seed=1)
    nothing = SolveResult(termination=HighsSolver().solve(
        AllocationProblem([1], [[2]], [1], [0]), SolveParams()).termination)  # fmt: skip
    result = solve(problem, "lagrangian", start=nothing)
    assert result.primal_bound == solve(problem, "lagrangian").primal_bound
    other = solve(AllocationProblem([1], [[1]], [1], [0]), "lagrangian")
    with pytest.raises(SolverOptionError, match="start"):
        solve(problem, "lagrangian", start=other)


def test_priorities_keep_prices() -> None:
    """Strict priorities: the cost stage's prices come back, and a re-solve proves the same."""
    before, after = fleet_and_next(150, seed=5)
    first = solve(with_priorities(before, 0), "lagrangian", relative_gap=1e-4)
    assert first.prices is not None
    assert first.prices.values.shape == (before.rows,)
    problem = with_priorities(after, 0)
    warm = solve(problem, "lagrangian", relative_gap=1e-4, start=first)
    cold = solve(problem, "lagrangian", relative_gap=1e-4)
    assert [s.value for s in warm.stages] == [s.value for s in cold.stages]
    assert warm.primal_bound == pytest.approx(cold.primal_bound, rel=2e-4)


def test_prices_survive_copies_of_the_result() -> None:
    """A result that is copied with other statistics keeps its prices."""
    result = solve(fleet(200, seed=1), "lagrangian", relative_gap=1e-3)
    copy = dataclasses.replace(result, statistics=result.statistics)
    assert copy.prices is result.prices
