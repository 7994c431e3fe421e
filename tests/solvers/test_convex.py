"""The convex solver: bounds that hold whatever cvxpy answers, prices, rounding, infeasibility."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import highspy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers import (
    AllocationProblem,
    CancelFlag,
    Feature,
    Limit,
    Reason,
    SolveParams,
    SolverBackendError,
    SolveResult,
    SolverOptionError,
    Start,
    check,
    solve,
)
from solvers.convex import ConvexSolver
from solvers.convex_search import ConvexSearch
from solvers.cvxpy_relaxation import _ONE_AT_A_TIME, LEAST_COST, LEAST_OVERLOAD, cvxpy_backend
from solvers.exact import Backend, BackendAnswer, BackendRequest, Relaxation
from solvers.highs import HighsSolver
from solvers.highs_arrays import choice_programme, new_highs, run_highs
from solvers.instances.fleet import fleet, lumpy
from solvers.problem import CAPACITY_TOLERANCE, FloatArray
from solvers.result import PriceMeaning
from solvers.search_monitor import SearchMonitor
from solvers.testing import brute_force
from tests.solvers.problems import dense_problem, regret_trap, strict_problem
from tests.solvers.test_lagrangian import random_problem
from tests.solvers.test_priorities import scarce

CONVEX = ConvexSolver()
# An exact and an interior-point method, which run in this process.
BACKENDS = ("HIGHS", "CLARABEL")


def check_against_enumeration(problem: AllocationProblem, result: SolveResult) -> None:
    """Nothing that a result claims is contradicted by the optimum."""
    best = brute_force(problem)
    if best is None:
        assert result.termination.reason in (Reason.INFEASIBLE, Reason.NO_SOLUTION_FOUND)
        return
    assert result.termination.reason is not Reason.INFEASIBLE
    scale = max(1.0, abs(best[-1]))
    assert result.dual_bound <= best[-1] + 1e-9 * scale
    assert result.primal_bound >= best[-1] - 1e-9 * scale
    if result.x is not None:
        assert check(problem, result.x).feasible


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.integers(0, 10**6), st.sampled_from(BACKENDS))
def test_bound_and_value_enclose_the_optimum(seed: int, backend: str) -> None:
    """On any small problem: bound <= optimum <= value, and infeasible only what is."""
    problem = random_problem(seed)
    result = solve(problem, CONVEX, backend=backend)
    check_against_enumeration(problem, result)
    if result.prices is not None:
        assert result.prices.values.shape == (problem.rows,)
        assert (result.prices.values >= 0).all()


def liar(seed: int, *, infeasible: bool, fractions: bool) -> Backend:
    """A back end whose prices and fractions are noise, some of it no numbers at all."""

    def ask(request: BackendRequest) -> BackendAnswer:
        random = np.random.default_rng(seed)
        odd = [-1.0, 0.0, np.nan, np.inf, 1e-300, 1e6, 1.0, 3.0]
        relaxation = Relaxation(
            random.choice([-1.0, 0.0, 0.5, 1.0, 7.0], request.problem.columns),
            random.choice(odd, request.problem.rows),
        )
        return BackendAnswer(
            infeasible=infeasible,
            detail="trust me",
            relaxation=relaxation if fractions else None,
        )

    return ask


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.integers(0, 10**6), st.booleans(), st.booleans())
def test_nothing_that_a_back_end_claims_is_believed(
    seed: int, infeasible: bool, fractions: bool
) -> None:
    """Noise for prices, noise for fractions, infeasible at random: bound and value still hold."""
    problem = random_problem(seed)
    relax = liar(seed, infeasible=infeasible, fractions=fractions)
    overload = liar(seed + 1, infeasible=False, fractions=True)
    result = ConvexSearch(problem, SolveParams(), relax, overload).run(None)
    check_against_enumeration(problem, result)


def relaxation_duals(problem: AllocationProblem) -> FloatArray:
    """The duals of the rows by HiGHS itself."""
    highs = new_highs(SolveParams(), None)
    limit = problem.capacity * (1 + CAPACITY_TOLERANCE)
    highs.passModel(
        choice_programme(problem.cost, problem.usage, limit, problem.group, binary=False)
    )
    assert run_highs(highs) == "Optimal"
    assert highs.getInfo().primal_solution_status == int(
        highspy.SolutionStatus.kSolutionStatusFeasible
    )
    return -np.array(highs.getSolution().row_dual)[: problem.rows]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("backend", "tolerance"), [("HIGHS", 1e-7), ("CLARABEL", 1e-5)])
def test_prices_are_the_duals_of_the_relaxation(backend: str, tolerance: float, seed: int) -> None:
    """Where the numbers are generic the duals are unique, and the same as those of HiGHS."""
    random = np.random.default_rng(seed)
    groups, options, rows = 40, 6, 5
    usage = random.uniform(1.0, 5.0, (rows, groups * options))
    problem = AllocationProblem(
        random.uniform(1.0, 100.0, groups * options),
        usage,
        usage.sum(axis=1) / options * random.uniform(0.8, 1.5, rows),
        random.permutation(np.repeat(np.arange(groups), options)),
    )
    result = solve(problem, CONVEX, backend=backend)
    duals = relaxation_duals(problem)
    assert result.prices is not None
    assert result.prices.meaning is PriceMeaning.RELAXATION_DUAL
    assert (duals > 0).any()
    assert result.prices.values == pytest.approx(duals, rel=tolerance, abs=tolerance)


def test_a_price_by_hand() -> None:
    """Two units are asked for at 1.1 and 1.3 of a row of 2; the cheaper to do without pays.

    Group 0 saves 4 by using 1.1, group 1 saves 10 by using 1.3: the relaxation gives group 1 all it
    needs and group 0 the rest, 0.7, so one more unit of the row saves 4 / 1.1.
    """
    problem = AllocationProblem(
        [0, 4, 0, 10], [[1.1, 0, 1.3, 0], [1, 1, 1, 1], [0, 1, 0, 1]], [2.0, np.inf, 9.0],
        [0, 0, 1, 1],
    )  # fmt: skip
    result = solve(problem, CONVEX)
    assert result.prices is not None
    assert result.prices.values == pytest.approx([4 / 1.1, 0.0, 0.0], rel=1e-7)
    assert result.primal_bound == 4.0
    # 4 * (1 - 0.7 / 1.1) = 1.45; no cost but multiples of 2 exists.
    assert result.dual_bound == 2.0
    assert result.termination.reason is Reason.FEASIBLE
    assert result.termination.limit is Limit.COMPLETED


def test_capacity_that_does_not_bind_has_no_price() -> None:
    """Every cheapest column has room: optimal at prices 0."""
    problem = AllocationProblem([20, 50, 10, 35], [[2, 0, 1, 0]], [3], [0, 0, 1, 1])
    result = solve(problem, CONVEX)
    assert result.termination.reason is Reason.OPTIMAL
    assert result.primal_bound == 30.0
    assert result.prices is not None
    assert result.prices.values.tolist() == [0.0]


@pytest.mark.parametrize(("family", "gap"), [(fleet, 2e-3), (lumpy, 3e-2)])
def test_rounding_of_fleets(family: Callable[..., AllocationProblem], gap: float) -> None:
    """500 services: a checked plan within the gap that is usual, and HiGHS' optimum between."""
    problem = family(500, seed=1)
    result = solve(problem, CONVEX)
    exact = solve(problem, HighsSolver(), relative_gap=1e-4)
    assert result.relative_gap <= gap
    assert result.dual_bound <= exact.primal_bound
    assert result.primal_bound >= exact.dual_bound
    assert result.x is not None
    assert check(problem, result.x).feasible
    assert solve(problem, CONVEX, relative_gap=gap).termination.reason is Reason.OPTIMAL


def test_infeasible_together_is_proven_by_prices() -> None:
    """200 groups that need more than there is in every choice."""
    groups = 200
    usage = np.vstack([np.tile([3.0, 5.0], groups), np.tile([1.0, 0.0], groups)])
    problem = AllocationProblem(
        np.tile([2.0, 1.0], groups), usage, [3.0 * groups - 1, groups],
        np.repeat(np.arange(groups), 2),
    )  # fmt: skip
    for backend in BACKENDS:
        result = solve(problem, CONVEX, backend=backend)
        assert result.termination.reason is Reason.INFEASIBLE
        assert "prices prove it" in result.termination.detail
        assert result.dual_bound == np.inf


def test_infeasible_by_a_hair_is_proven_and_feasible_by_one_is_solved() -> None:
    """One unit in a thousand million too few, and just enough, are told apart."""
    cost, usage, group = [1, 2, 1, 3], [[6e8 + 0.25, 4e8, 7e8, 6e8]], [0, 0, 1, 1]
    short = solve(AllocationProblem(cost, usage, [1e9 - 8], group), CONVEX)
    assert short.termination.reason in (Reason.INFEASIBLE, Reason.NO_SOLUTION_FOUND)
    enough = solve(AllocationProblem(cost, usage, [1e9], group), CONVEX)
    assert enough.primal_bound == 5.0


def test_no_whole_columns_is_no_proof_of_infeasibility() -> None:
    """The relaxation has room, nothing whole has: nothing found, with a bound, and it says so."""
    usage = [[2.1, 0, 2.2, 0, 2.1, 0], [0, 2.2, 0, 2.1, 0, 2.1]]
    problem = AllocationProblem([1] * 6, usage, [3.5, 3.5], [0, 0, 1, 1, 2, 2])
    assert brute_force(problem) is None
    result = solve(problem, CONVEX)
    assert result.termination.reason is Reason.NO_SOLUTION_FOUND
    assert result.termination.limit is Limit.COMPLETED
    assert "an exact solver may" in result.termination.detail
    assert result.dual_bound == pytest.approx(3.0, rel=1e-9)


def test_a_claim_of_infeasibility_without_proof() -> None:
    """Prices that prove nothing: nothing is called infeasible, and the detail says why."""

    def claims(request: BackendRequest) -> BackendAnswer:
        return BackendAnswer(infeasible=True)

    def no_proof(request: BackendRequest) -> BackendAnswer:
        none = np.zeros(request.problem.rows)
        return BackendAnswer(relaxation=Relaxation(np.zeros(request.problem.columns), none))

    impossible = AllocationProblem([1, 2, 1, 2], [[2, 3, 2, 4]], [3], [0, 0, 1, 1])
    result = ConvexSearch(impossible, SolveParams(), claims, no_proof).run(None)
    assert result.termination.reason is Reason.NO_SOLUTION_FOUND
    assert "without a proof" in result.termination.detail
    assert result.dual_bound == pytest.approx(2.0, rel=1e-9)


def test_a_relaxation_that_is_stopped_leaves_a_solution_and_a_bound() -> None:
    """The process of its own is ended from outside; what needs no relaxation is there."""
    problem = dense_problem(300, 10, 10, seed=4)
    result = solve(problem, CONVEX, backend="SCS", time_limit_s=0.05)
    assert result.termination.limit is Limit.TIME
    assert result.prices is None
    assert any("stopped from outside" in note for note in result.statistics.notes)
    assert np.isfinite(result.dual_bound)


def silent(request: BackendRequest) -> BackendAnswer:
    """A back end that never has the time."""
    return BackendAnswer(limit=Limit.TIME)


def test_prices_of_a_start_prove_a_bound_without_a_relaxation() -> None:
    """What an earlier solve left is used: prices for the bound, x for the value."""
    problem = fleet(200, seed=0)
    before = solve(problem, CONVEX)
    assert before.prices is not None
    start = Start(before.x, before.prices.values)
    result = ConvexSearch(problem, SolveParams(), silent, silent).run(start)
    assert result.termination.limit is Limit.TIME
    assert result.primal_bound <= before.primal_bound
    assert result.dual_bound == pytest.approx(before.dual_bound, rel=1e-9)
    without = ConvexSearch(problem, SolveParams(), silent, silent).run(None)
    assert without.dual_bound < result.dual_bound


def test_cancelled_before_the_relaxation() -> None:
    """A flag set by the first report: no relaxation, and the limit says why."""
    cancel = CancelFlag()
    problem = regret_trap()
    result = solve(problem, CONVEX, cancel=cancel, progress=lambda _: cancel.set())
    assert result.termination.reason is Reason.NO_SOLUTION_FOUND
    assert result.termination.limit is Limit.INTERRUPTED
    assert result.prices is None


def test_one_relaxation_at_a_time() -> None:
    """While another solve in this process holds cvxpy, clock and flag are still heeded."""
    problem = regret_trap()
    cancel = CancelFlag()
    cancel.set()
    ask = cvxpy_backend("HIGHS", 0, LEAST_COST)
    answers = []
    with _ONE_AT_A_TIME:
        for limit, params in ((0.01, SolveParams()), (None, SolveParams(cancel=cancel))):
            monitor = SearchMonitor(problem, params, bound=-np.inf, began=0.0)
            answers.append(
                ask(
                    BackendRequest(
                        problem=problem, time_limit_s=limit, relative_gap=0.0, absolute_gap=0.0,
                        start=None, monitor=monitor,
                    )
                )
            )  # fmt: skip
    assert [answer.limit for answer in answers] == [Limit.TIME, Limit.INTERRUPTED]


def test_strict_priorities_by_stages() -> None:
    """Stages and bounds enclose what HiGHS proves; what is open is open because it completed."""
    for seed in range(3):
        problem = scarce(seed)
        result, exact = solve(problem, CONVEX), solve(problem, HighsSolver())
        mine = (*(stage.value for stage in result.stages), result.primal_bound)
        theirs = (*(stage.value for stage in exact.stages), exact.primal_bound)
        assert mine >= theirs
        assert result.stages[0].dual_bound <= exact.stages[0].value
        assert result.x is not None
        assert check(problem, result.x).feasible
        assert result.termination.limit in (None, Limit.COMPLETED)
        assert result.prices is not None
        assert result.prices.values.shape == (problem.rows,)


def test_serving_an_important_group_at_any_price() -> None:
    """Priority 1 is served although priorities 2 and 3 could be served in its place."""
    result = solve(strict_problem(), CONVEX)
    assert [stage.value for stage in result.stages] == [0.0, 1.0, 1.0]
    assert result.primal_bound == 30.0


def test_a_start_is_never_lost_and_an_infeasible_one_is_noted() -> None:
    """A feasible start bounds the value; another is named in the notes."""
    problem = regret_trap()
    assert solve(problem, CONVEX, start=[0, 1, 1, 0, 1, 0]).primal_bound == 70.0
    odd = solve(problem, CONVEX, start=[1, 0, 1, 0, 1, 0])
    assert any("start is not feasible" in note for note in odd.statistics.notes)


def test_low_accuracy_is_called_a_multiplier(capfd: pytest.CaptureFixture[str]) -> None:
    """Iterations run out: no warning, no output, prices of another name, a bound that holds."""
    problem = lumpy(300, seed=2)
    result = solve(problem, CONVEX, backend="OSQP")
    assert capfd.readouterr() == ("", "")
    assert result.prices is not None
    assert result.prices.meaning is PriceMeaning.MULTIPLIER
    exact = solve(problem, HighsSolver(), relative_gap=1e-3)
    assert result.dual_bound <= exact.primal_bound


@pytest.mark.parametrize("backend", [*BACKENDS, "SCS"])
def test_nothing_is_printed_and_no_warning_leaks(
    backend: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Library code is silent; warnings are errors in this suite."""
    solve(dense_problem(30, 5, 5, seed=1), CONVEX, backend=backend)
    assert capfd.readouterr() == ("", "")


def test_importing_and_asking_for_it_import_no_cvxpy() -> None:
    """cvxpy takes most of a second to import: only solving does."""
    code = (
        "import sys; from solvers.convex import ConvexSolver; assert ConvexSolver.is_available(); "
        "print([m for m in ('cvxpy', 'scipy', 'highspy') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_back_ends_by_name() -> None:
    """Names are matched without regard to case; an unknown one is refused with what there is."""
    assert solve(regret_trap(), CONVEX, backend="clarabel").statistics.notes[0].startswith("CLARA")
    with pytest.raises(SolverOptionError, match=r"'nonsense': .* available: .*HIGHS"):
        solve(regret_trap(), CONVEX, backend="nonsense")
    with pytest.raises(SolverOptionError, match="backend = 3: must be a name"):
        solve(regret_trap(), CONVEX, backend=3)


def test_a_process_of_its_own_gives_the_same_answer() -> None:
    """Under a limit Clarabel runs apart: prices, solution and errors come through."""
    problem = fleet(60, seed=3)
    here = solve(problem, CONVEX, backend="CLARABEL")
    apart = solve(problem, CONVEX, backend="CLARABEL", time_limit_s=60.0)
    assert here.prices is not None
    assert apart.prices is not None
    assert apart.prices.values.tolist() == here.prices.values.tolist()
    assert (apart.primal_bound, apart.dual_bound) == (here.primal_bound, here.dual_bound)
    with pytest.raises(SolverOptionError, match="'nonsense'"):
        solve(problem, CONVEX, backend="nonsense", time_limit_s=60.0)


def test_under_a_short_limit_cvxpy_is_not_imported_here() -> None:
    """The import takes longer than the limit: it is left to a process that can be stopped."""
    code = (
        "import sys; from solvers import solve; from solvers.convex import ConvexSolver; "
        "from tests.solvers.problems import regret_trap; "
        "result = solve(regret_trap(), ConvexSolver(), time_limit_s=0.1); "
        "print('cvxpy' in sys.modules, result.termination.limit)"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True,
        cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip
    assert run.stdout.split() == ["False", "time"]


def test_solves_run_side_by_side() -> None:
    """Solves in several threads do not disturb each other, nor do filters of warnings leak."""
    before = list(warnings.filters)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda seed: solve(fleet(40, seed=seed), CONVEX), [0, 1, 0, 1]))
    assert results[0].primal_bound == results[2].primal_bound
    assert results[1].dual_bound == results[3].dual_bound
    assert list(warnings.filters) == before


def test_a_back_end_that_fails_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cvxpy raises comes out as an error of the back end, with its name."""
    import cvxpy

    def fail(*_: object, **__: object) -> None:
        raise cvxpy.error.SolverError("numbers ran out")

    monkeypatch.setattr(cvxpy.Problem, "solve", fail)
    with pytest.raises(SolverBackendError, match="cvxpy with HIGHS: numbers ran out"):
        solve(regret_trap(), CONVEX)


def test_overload_of_a_feasible_problem_is_zero() -> None:
    """The phase that looks for a proof finds no overload where there need be none."""
    problem = dense_problem(50, 5, 4, seed=0)
    answer = cvxpy_backend("HIGHS", 0, LEAST_OVERLOAD)(
        BackendRequest(
            problem=problem, time_limit_s=None, relative_gap=0.0, absolute_gap=0.0, start=None
        )
    )
    assert answer.relaxation is not None
    used = problem.usage.dot(answer.relaxation.x)
    assert (used <= problem.capacity * (1 + 1e-6)).all()


def test_it_is_a_heuristic_with_a_bound() -> None:
    """Its features say what it is."""
    assert Feature.EXACT not in CONVEX.features
    assert {Feature.DUAL_BOUND, Feature.TIME_LIMIT, Feature.CANCEL} <= CONVEX.features
