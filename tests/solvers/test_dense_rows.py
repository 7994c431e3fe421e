"""Dense rows: relaxation, branch and bound by prices, lists of partial choices and their pairs."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest

from solvers import AllocationProblem, CancelFlag, Reason, check, solve
from solvers.base import SolveParams
from solvers.dense_backend import dense_backend
from solvers.dense_search import compilable_in, has_many_priced_rows, is_dense
from solvers.exact import solve_exactly
from solvers.grouped_columns import GroupedColumns
from solvers.highs import HighsSolver
from solvers.lagrangian import LagrangianSolver
from solvers.problem import FloatArray, IntArray
from solvers.progress import Progress
from solvers.result import Limit
from solvers.testing import brute_force
from tests.solvers.problems import dense_problem

pytest.importorskip("numba")


def small_dense(seed: int) -> AllocationProblem:
    """Up to six groups of unequal width in up to seven full rows; sometimes infeasible."""
    random = np.random.default_rng(seed)
    groups, rows = int(random.integers(2, 7)), int(random.integers(4, 8))
    group = np.concatenate([np.arange(groups), random.integers(0, groups, 10)])
    usage = random.integers(1, 9, (rows, len(group))).astype(float)
    if seed % 3 == 0:
        usage *= random.uniform(0.1, 3.0, (rows, 1))
    cost = random.normal(0, 5, len(group)) if seed % 2 else random.integers(-9, 20, len(group))
    capacity = usage.mean(axis=1) * groups * random.uniform(0.8, 1.3, rows)
    return AllocationProblem(cost, usage, capacity, group)


def dense_parts(
    problem: AllocationProblem,
) -> tuple[GroupedColumns, FloatArray, FloatArray]:
    """The columns by group, their dense usage and the limits."""
    columns, _ = GroupedColumns.of(problem)
    return columns, columns.usage.to_dense(), problem.capacity * (1.0 + 1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_relaxation_has_the_best_prices(seed: int) -> None:
    """The dual value at its prices is the optimum of the linear relaxation, by scipy."""
    from scipy.optimize import linprog

    from solvers.choice_relaxation import relaxation_prices

    problem = small_dense(seed)
    columns, usage, limit = dense_parts(problem)
    group = columns.group_of(np.arange(columns.size))
    one_of = (group == np.arange(columns.groups)[:, None]).astype(float)
    relaxed = linprog(
        columns.cost, A_ub=usage, b_ub=limit, A_eq=one_of, b_eq=np.ones(columns.groups)
    )
    prices = relaxation_prices(columns.cost, usage, limit, columns.starts)
    if prices is None:
        assert relaxed.status == 2
        return
    assert (prices >= 0).all()
    dual = columns.minimum(prices).total - prices @ limit
    # Columns that are too large alone are barred in `minimum`, and not in the relaxation.
    assert columns.barred.size or dual == pytest.approx(relaxed.fun, abs=1e-6)
    assert dual >= relaxed.fun - 1e-6


@pytest.mark.parametrize("seed", range(40))
def test_branch_and_bound_agrees_with_enumeration(seed: int) -> None:
    """It finds the optimum and says so, or proves that there is no choice."""
    from solvers.price_branching import branch_by_prices

    problem = small_dense(seed)
    columns, usage, limit = dense_parts(problem)
    dearest = float(np.maximum.reduceat(columns.cost, columns.starts[:-1]).sum())
    stop = np.zeros(1, dtype=np.bool_)
    answer = branch_by_prices(columns.cost, usage, limit, columns.starts, dearest, 0.0, 10**6, stop)
    optimum = brute_force(problem)
    assert answer.complete
    if optimum is None:
        assert answer.choice is None
    else:
        assert answer.choice is not None
        assert (columns.used(answer.choice) <= limit).all()
        assert columns.cost[answer.choice].sum() == pytest.approx(optimum[0])


def test_branch_and_bound_stops_when_told() -> None:
    """A flag or too few nodes end it, without a claim."""
    from solvers.price_branching import branch_by_prices

    problem = dense_problem(20, 5, 5, 1)
    columns, usage, limit = dense_parts(problem)
    for nodes, flag in ((10, False), (10**6, True)):
        stop = np.array([flag])
        answer = branch_by_prices(columns.cost, usage, limit, columns.starts, 0.0, 1.0, nodes, stop)
        assert not answer.complete
        assert answer.nodes <= 10


def listed(distance: FloatArray, group: IntArray, within: float) -> list[float]:
    """The distances of all choices within one, by enumeration."""
    per_group = [distance[group == g] for g in range(int(group.max()) + 1)]
    sums = (sum(chosen) for chosen in itertools.product(*per_group))
    return sorted(total for total in sums if total <= within + 1e-12)


@pytest.mark.parametrize("most", [1, 10, 100, 10**6])
def test_lists_hold_the_nearest_choices(most: int) -> None:
    """All choices within the list's distance are in it once, with their usage and loss."""
    from solvers.partial_choices import nearest_partial_choices

    random = np.random.default_rng(most)
    group = np.repeat(np.arange(5), 4)
    distance = random.integers(0, 30, 20).astype(float)
    base = np.arange(5) * 4
    distance[base] = 0.0
    loss, usage = random.normal(0, 1, 20), random.integers(0, 9, (20, 3)).astype(float)
    part = nearest_partial_choices(distance, loss, usage, group, base, most, 5.0)
    assert len(part.loss) <= most
    found = []
    for which in range(len(part.loss)):
        chosen = base.copy()
        differing = part.differing(which)
        chosen[group[differing]] = differing
        assert len(differing) == len(set(group[differing].tolist()))
        assert part.used[which] == pytest.approx(usage[chosen].sum(axis=0))
        assert part.loss[which] == pytest.approx(loss[chosen].sum())
        found.append(float(distance[chosen].sum()))
    if part.within >= 0:
        assert sorted(found) == pytest.approx(listed(distance, group, part.within))
    else:
        assert found == [0.0]


@pytest.mark.parametrize("seed", range(6))
def test_best_pair_is_the_best_of_all(seed: int) -> None:
    """Of two lists the pair that fits with the least loss, as when all pairs are tried."""
    from solvers.pair_matching import BoxTree, best_pair

    random = np.random.default_rng(seed)
    prices = random.uniform(0, 2, 4)
    lists = [(random.integers(0, 20, (200, 4)).astype(float), random.uniform(0, 9, 200))
             for _ in range(2)]  # fmt: skip
    limit = np.full(4, 18.0)
    trees = [BoxTree.of(used, loss, prices, np.ones(4)) for used, loss in lists]
    (used_a, loss_a), (used_b, loss_b) = lists
    left = limit - used_a[:, None, :] - used_b[None, :, :]
    total = np.where((left >= 0).all(axis=2), loss_a[:, None] + loss_b + left @ prices, np.inf)
    pair = best_pair(trees[0], trees[1], limit, prices, np.inf, 10**9)
    assert pair is not None
    assert total[pair] == total.min()
    assert best_pair(trees[0], trees[1], limit, prices, float(total.min()) - 1e-9, 10**9) is None


@pytest.mark.parametrize("seed", range(3))
def test_rounds_of_lists_reach_the_optimum(seed: int) -> None:
    """From the greedy's choice, rounds find what HiGHS proves; each choice is better and keeps."""
    from solvers.choice_relaxation import relaxation_prices
    from solvers.two_list_search import TwoListSearch

    problem = dense_problem(12, 5, 5, seed)
    optimum = solve(problem, HighsSolver(), relative_gap=0.0).primal_bound
    columns, usage, limit = dense_parts(problem)
    prices = relaxation_prices(columns.cost, usage, limit, columns.starts)
    assert prices is not None
    dual = float(columns.minimum(prices).total - prices @ limit)
    start = solve(problem, "greedy")
    assert start.x is not None
    search = TwoListSearch(columns, limit, prices, dual, np.flatnonzero(start.x), seed)
    value = start.primal_bound
    for _ in range(60):
        choice = search.round()
        if choice is not None:
            assert (columns.used(choice) <= limit).all()
            assert columns.cost[choice].sum() < value
            value = float(columns.cost[choice].sum())
    assert value == pytest.approx(optimum)


def test_equal_seeds_give_equal_rounds() -> None:
    """Two searches with one seed return the same choices, round by round."""
    from solvers.choice_relaxation import relaxation_prices
    from solvers.two_list_search import TwoListSearch

    problem = dense_problem(30, 5, 5, 4)
    columns, usage, limit = dense_parts(problem)
    prices = relaxation_prices(columns.cost, usage, limit, columns.starts)
    start = solve(problem, "greedy").x
    assert prices is not None
    assert start is not None
    dual = float(columns.minimum(prices).total - prices @ limit)
    runs = []
    for _ in range(2):
        search = TwoListSearch(columns, limit, prices, dual, np.flatnonzero(start), 7)
        rounds = [search.round() for _ in range(15)]
        runs.append([None if choice is None else choice.tolist() for choice in rounds])
    assert runs[0] == runs[1]
    assert any(runs[0])


@pytest.mark.parametrize("seed", range(4))
def test_few_groups_are_proven(seed: int) -> None:
    """The back end for few groups proves what HiGHS proves, after its probe or without it."""
    problem = dense_problem(9, 6, 6, seed)
    backend = dense_backend({"mip_max_nodes": 1}, 1, 0)
    result = solve_exactly(problem, SolveParams(relative_gap=0.0), None, backend)
    reference = solve(problem, HighsSolver(), relative_gap=0.0)
    assert result.termination.reason is reference.termination.reason
    assert result.primal_bound == pytest.approx(reference.primal_bound)
    assert result.dual_bound == pytest.approx(reference.dual_bound)


def test_lagrangian_reaches_the_optimum_of_dense_rows() -> None:
    """More groups than go to branch and cut directly: the optimum, proven."""
    problem = dense_problem(24, 5, 5, 3)
    result = solve(problem, LagrangianSolver(), relative_gap=0.0, direct_up_to=0)
    reference = solve(problem, HighsSolver(), relative_gap=0.0)
    assert result.termination.reason is Reason.OPTIMAL
    assert result.primal_bound == pytest.approx(reference.primal_bound)
    assert result.x is not None
    assert check(problem, result.x).feasible


def test_many_priced_rows_are_searched_by_branch_and_cut_first() -> None:
    """With sixteen rows the optimum is proven as well, or that there is none."""
    prices = np.zeros(20)
    prices[:12] = 1.0
    assert not has_many_priced_rows(prices)
    assert has_many_priced_rows(np.ones(13))
    tight = dense_problem(10, 5, 16, 1)
    roomy = AllocationProblem(tight.cost, tight.usage, tight.capacity * 1.25, tight.group)
    for problem in (tight, roomy):
        result = solve(problem, LagrangianSolver(), relative_gap=0.0, direct_up_to=0)
        reference = solve(problem, HighsSolver(), relative_gap=0.0)
        assert result.termination.reason is reference.termination.reason
        assert result.primal_bound == pytest.approx(reference.primal_bound)


def test_limit_on_dense_rows_leaves_value_and_bound() -> None:
    """Out of time: a feasible choice, and a bound that a longer search does not pass."""
    problem = dense_problem(60, 10, 10, 5)
    result = solve(problem, LagrangianSolver(), relative_gap=0.0, time_limit_s=1.0)
    assert result.termination.limit is Limit.TIME
    assert result.x is not None
    assert check(problem, result.x).feasible
    assert result.dual_bound <= result.primal_bound
    # The best value known is no lower than the bound.
    longer = solve(problem, "greedy")
    assert result.dual_bound <= longer.primal_bound


def test_cancel_ends_the_rounds() -> None:
    """Cancelled at the first report, a search without a time limit returns what it has."""
    problem = dense_problem(60, 10, 10, 6)
    cancel = CancelFlag()

    def stop(progress: Progress) -> None:
        cancel.set()

    result = solve(problem, LagrangianSolver(), relative_gap=0.0, cancel=cancel, progress=stop)
    assert result.termination.limit is Limit.INTERRUPTED


def test_without_numba_branch_and_cut_does_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same optimum is proven where nothing can be compiled."""
    monkeypatch.setitem(sys.modules, "numba", None)
    assert not compilable_in(None)
    problem = dense_problem(12, 5, 5, 2)
    result = solve(problem, LagrangianSolver(), relative_gap=0.0)
    reference = solve(problem, HighsSolver(), relative_gap=0.0)
    assert result.primal_bound == pytest.approx(reference.primal_bound)
    assert result.termination.reason is Reason.OPTIMAL


def test_dense_is_more_than_a_few_entries_a_column() -> None:
    """Three entries a column are sparse, five are dense; `auto` takes `lagrangian` for dense."""
    problem = dense_problem(6, 4, 5, 0)
    assert is_dense(problem.usage)
    assert not is_dense(dense_problem(6, 4, 3, 0).usage)
    tight = AllocationProblem(problem.cost, problem.usage, problem.capacity * 0.7, problem.group)
    result = solve(tight)
    assert result.statistics.solver == "auto -> lagrangian"
    assert "dense rows" in result.statistics.notes[0]
