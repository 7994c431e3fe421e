"""The Lagrangian solver: contract, agreement with exact solvers, bounds, dense and sparse rows."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers import AllocationProblem, CancelFlag, Reason, SolverOptionError, check, solve
from solvers.base import SolveParams, Start
from solvers.highs import HighsSolver
from solvers.instances.fleet import fleet, lumpy
from solvers.lagrangian import LagrangianSolver
from solvers.problem import FloatArray
from solvers.progress import Progress
from solvers.result import Limit, SolveResult
from solvers.testing import ContractCase, brute_force, check_case, check_refusals, contract_cases

# Every problem through prices, repair and cores, however small.
PRICED = {"direct_up_to": 0, "first_core": 1}


class PricedOnly(LagrangianSolver):
    """The solver without its way out for small problems."""

    def solve(
        self, problem: AllocationProblem, params: SolveParams, start: Start | None = None
    ) -> SolveResult:
        options = {**PRICED, **params.options}
        return super().solve(problem, SolveParams(seed=params.seed, options=options), start)


@pytest.mark.parametrize("case", contract_cases(), ids=str)
def test_contract(case: ContractCase) -> None:
    """Value, bounds, stages and termination agree with the optimum, by default."""
    check_case(LagrangianSolver(), case)


@pytest.mark.parametrize("case", contract_cases(), ids=str)
def test_contract_by_prices(case: ContractCase) -> None:
    """The same holds when even two groups go through prices and cores of one more column."""
    check_case(PricedOnly(), case)


def test_refusals() -> None:
    """Unknown options and values out of range are refused by name."""
    check_refusals(LagrangianSolver())
    problem = AllocationProblem([1.0], [[1.0]], [1.0], [0])
    for options in ({"direct_up_to": -1}, {"first_core": 0}):
        with pytest.raises(SolverOptionError, match=next(iter(options))):
            solve(problem, LagrangianSolver(), **options)


def random_problem(seed: int) -> AllocationProblem:
    """Groups of unequal width in any order; dense, sparse or two-resource rows; any sign."""
    random = np.random.default_rng(seed)
    groups, rows = int(random.integers(2, 6)), int(random.integers(1, 5))
    group = random.permutation(
        np.concatenate([np.arange(groups), random.integers(0, groups, int(random.integers(2, 10)))])
    )
    n = len(group)
    usage: FloatArray = random.integers(0, 9, (rows, n)).astype(np.float64)
    if random.random() < 0.3:
        usage *= random.uniform(0.1, 3.0, (rows, 1))
    kept = random.random((rows, n)) < random.choice([0.3, 0.7, 1.0])
    usage = np.where(kept, usage, 0.0)
    cost = random.choice([random.integers(-9, 20, n), random.normal(0, 5, n)])
    capacity = np.floor(usage.sum(axis=1) / n * groups * random.uniform(0.3, 1.2, rows))
    capacity[random.random(rows) < 0.1] = np.inf
    capacity[random.random(rows) < 0.1] = 0.0
    return AllocationProblem(cost, usage, capacity, group)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.integers(0, 10**6))
def test_agrees_with_enumeration(seed: int) -> None:
    """On any small problem: the optimum or infeasible, and no bound passes it."""
    problem = random_problem(seed)
    best = brute_force(problem)
    result = PricedOnly().solve(problem, SolveParams())
    if best is None:
        assert result.termination.reason is Reason.INFEASIBLE
        return
    assert result.termination.reason is Reason.OPTIMAL
    assert result.x is not None
    assert check(problem, result.x).feasible
    assert result.primal_bound == pytest.approx(best[-1], rel=1e-6, abs=1e-9)
    assert result.dual_bound <= best[-1] + 1e-6 * max(1.0, abs(best[-1]))


@pytest.mark.parametrize(
    ("groups", "options", "rows", "density"),
    [(60, 5, 3, 1.0), (40, 5, 12, 0.15), (250, 4, 200, 0.01)],
    ids=["dense", "two resources", "200 rows"],
)
def test_agrees_with_branch_and_cut(groups: int, options: int, rows: int, density: float) -> None:
    """Dense rows, several entries a column and 200 rows: the interval holds HiGHS' optimum."""
    random = np.random.default_rng(groups)
    n = groups * options
    usage = random.integers(1, 9, (rows, n)) * (random.random((rows, n)) < density)
    usage[:, ::options] = 0  # leaving a group out uses nothing
    cost = random.integers(10, 99, n).astype(np.float64)
    cost[::options] = 200.0
    capacity = np.floor(usage.sum(axis=1) / options * 0.7)
    problem = AllocationProblem(cost, usage, capacity, np.repeat(np.arange(groups), options))
    exact = HighsSolver().solve(problem, SolveParams(relative_gap=1e-3))
    result = LagrangianSolver().solve(problem, SolveParams(relative_gap=1e-3))
    assert result.termination.reason is Reason.OPTIMAL
    assert result.relative_gap <= 1e-3
    assert result.x is not None
    assert check(problem, result.x).feasible
    assert result.dual_bound <= exact.primal_bound * (1 + 1e-9)
    assert exact.dual_bound <= result.primal_bound * (1 + 1e-9)


@pytest.mark.parametrize(("family", "gap"), [(fleet, 1e-5), (lumpy, 1e-4)])
def test_certifies_large_fleets(family: Callable[..., AllocationProblem], gap: float) -> None:
    """2 000 services: the gap that was asked for is proven, and the checker agrees."""
    problem = family(2_000, seed=3)
    result = LagrangianSolver().solve(problem, SolveParams(relative_gap=gap))
    assert result.termination.reason is Reason.OPTIMAL
    assert result.relative_gap <= gap
    assert result.x is not None
    report = check(problem, result.x)
    assert report.feasible
    assert report.cost == pytest.approx(result.primal_bound, rel=1e-12)


def test_boxes_and_samples_agree_with_the_whole() -> None:
    """40 000 groups of three columns, through samples and boxes of prices: a proven small gap."""
    random = np.random.default_rng(5)
    groups = 40_000
    cost = np.stack(
        [np.full(groups, 90.0), random.integers(10, 40, groups), random.integers(20, 60, groups)],
        axis=1,
    )
    size = random.integers(1, 6, (groups, 2))
    rows = np.stack([np.zeros(groups, int), 1 + random.integers(0, 2, groups)], axis=1)
    usage = np.zeros((3, groups, 3))
    for place in range(2):
        usage[rows[:, place], np.arange(groups), place + 1] = size[:, place]
    capacity = np.floor(usage.sum(axis=(1, 2)) * 0.4)
    problem = AllocationProblem(
        cost.ravel(), usage.reshape(3, -1), capacity, np.repeat(np.arange(groups), 3)
    )
    result = LagrangianSolver().solve(problem, SolveParams(relative_gap=1e-5))
    assert result.termination.reason is Reason.OPTIMAL
    assert result.x is not None
    assert check(problem, result.x).feasible


def test_unsorted_groups_and_scaled_numbers_change_nothing() -> None:
    """Column order, cost unit and usage unit do not change the proven optimum."""
    problem = fleet(150, seed=1)
    base = LagrangianSolver().solve(problem, SolveParams(relative_gap=0.0))
    order = np.random.default_rng(0).permutation(problem.columns)
    other = AllocationProblem(
        problem.cost[order] * 1e-9,
        problem.usage.to_dense()[:, order] * 1e6,
        problem.capacity * 1e6,
        problem.group[order],
    )
    result = LagrangianSolver().solve(other, SolveParams(relative_gap=0.0))
    assert result.termination.reason is Reason.OPTIMAL
    assert result.primal_bound == pytest.approx(base.primal_bound * 1e-9, rel=1e-9)


def test_infeasible_together_is_proven() -> None:
    """200 groups that need more than there is in every choice: infeasible, by proof."""
    groups = 200
    usage = np.tile([3.0, 5.0], groups)[None, :]
    problem = AllocationProblem(
        np.tile([2.0, 1.0], groups), usage, [3.0 * groups - 1], np.repeat(np.arange(groups), 2)
    )
    result = LagrangianSolver().solve(problem, SolveParams())
    assert result.termination.reason is Reason.INFEASIBLE


def test_infeasible_by_prices_needs_no_search() -> None:
    """Far too little of everything: the price bound alone proves it, without branch and cut."""
    groups = 5_000
    random = np.random.default_rng(0)
    usage = random.integers(2, 9, (3, groups * 4)).astype(np.float64)
    problem = AllocationProblem(
        random.integers(1, 9, groups * 4), usage, np.full(3, 1.5 * groups),
        np.repeat(np.arange(groups), 4),
    )  # fmt: skip
    result = LagrangianSolver().solve(problem, SolveParams())
    assert result.termination.reason is Reason.INFEASIBLE
    assert not any("core" in note for note in result.statistics.notes)


def test_start_is_kept_or_improved() -> None:
    """A feasible start bounds the value; an infeasible one is named in the notes."""
    problem = fleet(150, seed=2)
    unserved = np.zeros(problem.columns, dtype=np.int64)
    unserved[12::13] = 1
    params = SolveParams(relative_gap=1e-4)
    result = LagrangianSolver().solve(problem, params, Start(unserved))
    assert result.primal_bound <= problem.cost @ unserved
    assert result.relative_gap <= 1e-4
    nothing = Start(np.zeros(problem.columns, dtype=np.int64))
    again = LagrangianSolver().solve(problem, params, nothing)
    assert any("start" in note for note in again.statistics.notes)


def test_a_limit_returns_a_solution_and_a_bound() -> None:
    """A hard dense problem within 0.5 s: feasible, with an honest interval, in time."""
    random = np.random.default_rng(1)
    n = 200 * 10
    problem = AllocationProblem(
        -random.integers(1, 100, n), random.integers(1, 10, (10, n)), np.full(10, 850.0),
        np.repeat(np.arange(200), 10),
    )  # fmt: skip
    result = LagrangianSolver().solve(problem, SolveParams(time_limit_s=0.5, relative_gap=0.0))
    assert result.termination.reason is Reason.FEASIBLE
    assert result.termination.limit is Limit.TIME
    assert result.x is not None
    assert check(problem, result.x).feasible
    assert result.relative_gap < 0.05


def test_progress_never_worsens_and_ends_at_the_result() -> None:
    """Reports: incumbents fall, bounds rise, and the last of them is the result."""
    reports: list[Progress] = []
    problem = fleet(600, seed=4)
    params = SolveParams(relative_gap=1e-5, progress=reports.append)
    result = LagrangianSolver().solve(problem, params)
    incumbents, bounds = [r.incumbent for r in reports], [r.bound for r in reports]
    assert incumbents == sorted(incumbents, reverse=True)
    assert bounds == sorted(bounds)
    assert (incumbents[-1], bounds[-1]) == (result.primal_bound, result.dual_bound)


def test_cancelled_before_it_begins() -> None:
    """A set flag: whatever there is comes back as interrupted, never as proven infeasible."""
    cancel = CancelFlag()
    cancel.set()
    problem = fleet(300, seed=1)
    result = LagrangianSolver().solve(problem, SolveParams(cancel=cancel))
    assert result.termination.reason in (Reason.FEASIBLE, Reason.NO_SOLUTION_FOUND)
    assert result.termination.limit is Limit.INTERRUPTED


def test_same_seed_same_answer_other_seed_same_proof() -> None:
    """One seed gives one solution; another seed's interval overlaps."""
    problem = fleet(3_000, seed=6)
    runs = [
        LagrangianSolver().solve(problem, SolveParams(relative_gap=1e-4, seed=seed))
        for seed in (0, 0, 1)
    ]
    assert np.array_equal(runs[0].x, runs[1].x)
    assert runs[2].dual_bound <= runs[0].primal_bound
    assert runs[0].dual_bound <= runs[2].primal_bound


def test_strict_priorities_by_stages() -> None:
    """Two priorities, 120 groups: stages and cost are those that HiGHS proves."""
    plain = fleet(120, seed=7)
    unserved = np.zeros(plain.columns, dtype=bool)
    unserved[12::13] = True
    priority = np.random.default_rng(0).integers(1, 3, plain.groups)
    problem = AllocationProblem(
        plain.cost, plain.usage, plain.capacity, plain.group, priority=priority, unserved=unserved
    )
    params = SolveParams(relative_gap=1e-4)
    mine = LagrangianSolver().solve(problem, params)
    theirs = HighsSolver().solve(problem, params)
    assert mine.termination.reason is theirs.termination.reason is Reason.OPTIMAL
    assert [s.value for s in mine.stages] == [s.value for s in theirs.stages]
    assert mine.primal_bound == pytest.approx(theirs.primal_bound, rel=2e-4)


def test_time_limit_is_honoured_between_steps() -> None:
    """A limit too short for anything: an answer without a claim, not an exception."""
    problem = lumpy(5_000, seed=1)
    began = time.perf_counter()
    result = LagrangianSolver().solve(problem, SolveParams(time_limit_s=1e-3))
    assert result.termination.reason in (Reason.FEASIBLE, Reason.NO_SOLUTION_FOUND)
    assert result.statistics.total_s is not None
    assert result.statistics.total_s <= time.perf_counter() - began
