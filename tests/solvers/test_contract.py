"""Every registered solver keeps the contract of solvers.testing."""

from __future__ import annotations

import pytest

from solvers import Feature
from solvers.auto import AutoSolver
from solvers.convex import ConvexSolver
from solvers.cp_sat import CpSatSolver
from solvers.greedy import GreedySolver
from solvers.highs import HighsSolver
from solvers.milp import MilpSolver
from solvers.testing import (
    ContractCase,
    brute_force,
    check_case,
    check_refusals,
    check_while_running,
    contract_cases,
)

CASES = contract_cases()
OURS = {
    solver.name: solver
    for solver in (
        AutoSolver(),
        ConvexSolver(),
        CpSatSolver(),
        GreedySolver(),
        HighsSolver(),
        MilpSolver(),
    )
}


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_contract(name: str, case: ContractCase) -> None:
    """Value, bounds, stages and termination agree with the optimum known by hand or enumeration."""
    check_case(OURS[name], case)


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_reports_and_cancelling(name: str, case: ContractCase) -> None:
    """Reports only get better and end at the result; a solve that is cancelled says so."""
    check_while_running(OURS[name], case)


@pytest.mark.parametrize("name", OURS)
def test_refusals(name: str) -> None:
    """Unknown options are refused by name, never taken in silence."""
    check_refusals(OURS[name])


@pytest.mark.parametrize("case", [c for c in CASES if not c.name.startswith("random")], ids=str)
def test_hand_made_optima_agree_with_enumeration(case: ContractCase) -> None:
    """The optima written by hand are those that enumeration finds."""
    found = brute_force(case.problem)
    if case.optimum is None:
        assert found is None
    else:
        # Rates are found by linear programmes, which end within tolerances of their own.
        exact = case.problem.split is None and case.problem.links is None
        close = 1e-12 if exact else 1e-7
        assert found == pytest.approx(case.optimum, rel=close, abs=close)


def test_cases_cover_both_outcomes_of_random_problems() -> None:
    """Random cases include strict and plain ones, and feasible ones of each."""
    random = [case for case in CASES if case.name.startswith("random")]
    for kind in ("whole", "real", "sparse", "strict"):
        assert any(kind in c.name and c.optimum is not None for c in random), kind


def test_features_say_who_is_exact() -> None:
    """greedy and convex are heuristics, the others are exact; only greedy takes parts."""
    exact = {name for name, solver in OURS.items() if Feature.EXACT in solver.features}
    assert exact == {"auto", "cp-sat", "highs", "milp"}
    partial = {name for name, solver in OURS.items() if Feature.PARTIAL in solver.features}
    assert partial == {"greedy"}
    for solver in OURS.values():
        assert {Feature.PROGRESS, Feature.CANCEL} <= solver.features
