"""The contract of a solver as cases that anyone can run, on our solvers or their own.

With pytest, for a solver of your own::

    import pytest
    from solvers.testing import check_case, check_refusals, check_while_running, contract_cases
    from my_package import MySolver

    @pytest.mark.parametrize("case", contract_cases(), ids=str)
    def test_contract(case):
        check_case(MySolver(), case)
        check_while_running(MySolver(), case)

    def test_refusals():
        check_refusals(MySolver())
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvers.base import Feature, SolveParams, Solver, required_features
from solvers.cancellation import CancelFlag
from solvers.chance import Chance
from solvers.checker import check
from solvers.contract_cases import ContractCase, contract_cases
from solvers.enumeration import brute_force
from solvers.errors import SolverOptionError, UnsupportedFeatureError
from solvers.links import Links
from solvers.problem import AllocationProblem
from solvers.progress import Progress
from solvers.result import Limit, Reason, SolveResult
from solvers.split import Split

__all__ = [
    "ContractCase",
    "brute_force",
    "check_case",
    "check_refusals",
    "check_while_running",
    "contract_cases",
]

# Values of exact solvers agree with the optimum to this, relative: what back ends resolve.
_EXACT_TOLERANCE = 1e-6


def check_case(solver: Solver, case: ContractCase, *, seed: int = 0) -> SolveResult | None:
    """Solve one case and compare everything the result says with the optimum.

    Returns
    -------
    SolveResult | None
        None when the solver lacks a feature the case needs, and said so.

    Raises
    ------
    AssertionError
        If the contract is broken; the message says how.
    """
    problem, params = case.problem, SolveParams(seed=seed)
    if required_features(problem, params) - solver.features:
        _assert_refused(solver, problem, params)
        return None
    result = solver.solve(problem, params)
    again = solver.solve(problem, params)
    assert _same(result.x, again.x), f"{case}: two runs with one seed differ"
    assert _same(result.parts, again.parts), f"{case}: two runs with one seed differ in parts"
    assert _same(result.rates, again.rates), f"{case}: two runs with one seed differ in rates"
    assert _same(result.z, again.z), f"{case}: two runs with one seed differ in z"
    _check_reason(solver, case, result)
    if result.x is not None:
        _check_solution(case, result)
    _check_bounds(case, result)
    return result


def check_while_running(solver: Solver, case: ContractCase) -> None:
    """Check what the solver tells while it runs, and that it heeds a cancel; as far as it can.

    Raises
    ------
    AssertionError
        If reports get worse or contradict the result, or a cancelled solve does not say so.
    """
    if required_features(case.problem, SolveParams()) - solver.features:
        return
    if Feature.PROGRESS in solver.features:
        reports: list[Progress] = []
        result = solver.solve(case.problem, SolveParams(progress=reports.append))
        _check_reports(case, reports, result)
    if Feature.CANCEL in solver.features:
        cancel = CancelFlag()
        cancel.set()
        result = solver.solve(case.problem, SolveParams(cancel=cancel))
        if result.x is not None:
            _check_solution(case, result)
        _check_bounds(case, result)
        ended = result.termination.limit in (None, Limit.INTERRUPTED, Limit.COMPLETED)
        assert ended, f"{case}: cancelled, but {result!r}"


def check_refusals(solver: Solver) -> None:
    """Check that the solver refuses what it cannot do instead of doing something else.

    Raises
    ------
    AssertionError
        If it does not.
    """
    problem = AllocationProblem([1.0], [[1.0]], [1.0], [0])
    message = None
    try:
        solver.solve(problem, SolveParams(options={"no_such_option": 1}))
    except SolverOptionError as error:
        message = str(error)
    assert message is not None, f"solver '{solver.name}' took an unknown option in silence"
    assert "no_such_option" in message, f"the option is not named: {message}"
    strict = AllocationProblem([1.0, 0.0], [[1.0, 0.0]], [1.0], [0, 0], priority=[1],
                               unserved=[False, True])  # fmt: skip
    one = Split([True], demand=[1.0], owner=[0], edge_item=[0], edge_column=[0], edge_rate=[1.0])
    split = AllocationProblem([1.0], [[1.0]], [1.0], [0], split=one)
    linked = AllocationProblem([1.0], [[1.0]], [1.0], [0], links=Links([0.0], [1.0], [[1.0]]))
    chance = Chance([[1.0]], [0])
    uncertain = AllocationProblem([1.0], [[1.0]], [2.0], [0], chance=chance)
    for asked, params in (
        (uncertain, SolveParams()),
        (strict, SolveParams()),
        (split, SolveParams()),
        (linked, SolveParams()),
        (problem, SolveParams(time_limit_s=60.0)),
    ):
        if required_features(asked, params) - solver.features:
            _assert_refused(solver, asked, params)


def _check_reports(case: ContractCase, reports: list[Progress], result: SolveResult) -> None:
    """Series by series: incumbents fall, bounds rise, and neither passes what the result says."""
    reached = {stage.priority: stage.value for stage in result.stages}
    for priority in {report.priority for report in reports}:
        series = [report for report in reports if report.priority == priority]
        for earlier, later in pairwise(series):
            assert later.incumbent <= earlier.incumbent, f"{case}: the incumbent rose: {series}"
            assert later.bound >= earlier.bound, f"{case}: the bound fell: {series}"
            assert later.elapsed_s >= earlier.elapsed_s, f"{case}: time went back: {series}"
        last = series[-1]
        value = result.primal_bound if priority is None else reached.get(priority, math.nan)
        if math.isfinite(last.incumbent):
            assert _close(last.incumbent, value, 1e-9), f"{case}: {last}, but the value is {value}"
            over = last.bound - last.incumbent
            assert over <= _noise(value), f"{case}: bound above incumbent in {last}"


def _same(mine: NDArray[Any] | None, theirs: NDArray[Any] | None) -> bool:
    if mine is None or theirs is None:
        return mine is theirs
    return np.array_equal(mine, theirs)


def _assert_refused(solver: Solver, problem: AllocationProblem, params: SolveParams) -> None:
    try:
        solver.solve(problem, params)
    except UnsupportedFeatureError:
        return
    raise AssertionError(f"solver '{solver.name}' solved a problem that needs features it lacks")


def _check_reason(solver: Solver, case: ContractCase, result: SolveResult) -> None:
    reason = result.termination.reason
    if case.optimum is None:
        allowed = {Reason.INFEASIBLE}
        if Feature.EXACT not in solver.features:
            allowed.add(Reason.NO_SOLUTION_FOUND)
        assert reason in allowed, f"{case} is infeasible, not {reason}"
        return
    if Feature.EXACT in solver.features:
        assert reason is Reason.OPTIMAL, f"{case}: {result!r}, OPTIMAL is wanted"
    assert reason in (Reason.OPTIMAL, Reason.FEASIBLE, Reason.NO_SOLUTION_FOUND), (
        f"{case} is feasible, not {reason}"
    )


def _check_solution(case: ContractCase, result: SolveResult) -> None:
    problem = case.problem
    assert case.optimum is not None, f"{case}: a solution of an infeasible problem"
    assert result.x is not None
    assert np.issubdtype(result.x.dtype, np.integer), f"{case}: x is {result.x.dtype}"
    report = check(problem, result.x, result.parts, result.rates, result.z)
    assert report.feasible, f"{case}: {'; '.join(report.violations)}"
    assert _close(report.cost, result.primal_bound, 1e-9), (
        f"{case}: primal bound {result.primal_bound}, the checker says {report.cost}"
    )
    if problem.priority is not None:
        stages = {stage.priority: stage.value for stage in result.stages}
        for level, weight in report.unserved.items():
            assert _close(stages.get(level, math.nan), weight, 1e-9), (
                f"{case}: priority {level}: {stages.get(level)} unserved, the checker says {weight}"
            )
    if result.parts is not None:
        return  # parts make other solutions possible than those that were enumerated
    value = (*(stage.value for stage in result.stages), result.primal_bound)
    order = _compare(value, case.optimum)
    assert order >= 0, f"{case}: value {value} is better than the optimum {case.optimum}"
    if result.termination.reason is Reason.OPTIMAL:
        assert order == 0, f"{case}: {value} called optimal, {case.optimum} is"


def _check_bounds(case: ContractCase, result: SolveResult) -> None:
    """No bound passes the optimum, as far as the earlier stages reached theirs."""
    if case.optimum is None or result.x is None or result.parts is not None:
        return  # without a solution there are no stages to be conditional on
    for stage, best in zip(result.stages, case.optimum[:-1], strict=True):
        assert stage.dual_bound <= best + _noise(best), f"{case}: priority {stage.priority}'s bound"
        if not _close(stage.value, best, _EXACT_TOLERANCE):
            return  # the next bounds are conditional on a value that is not the optimum
    best = case.optimum[-1]
    assert result.dual_bound <= best + _noise(best), (
        f"{case}: bound {result.dual_bound} above the optimum {best}"
    )


def _compare(value: tuple[float, ...], other: tuple[float, ...]) -> int:
    assert len(value) == len(other), f"{len(value) - 1} stages, {len(other) - 1} are wanted"
    for mine, theirs in zip(value, other, strict=True):
        if not _close(mine, theirs, _EXACT_TOLERANCE):
            return -1 if mine < theirs else 1
    return 0


def _noise(value: float) -> float:
    return _EXACT_TOLERANCE * max(abs(value), 1e-6)


def _close(mine: float, theirs: float, tolerance: float) -> bool:
    return math.isclose(mine, theirs, rel_tol=tolerance, abs_tol=1e-9)
