"""Prices of the relaxation are what a little more of each row's limit saves in it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from solvers import (
    AllocationProblem,
    Links,
    ProblemError,
    Reason,
    Split,
    relaxed_prices,
    solve,
    with_stages_frozen,
)
from solvers.convex import ConvexSolver
from tests.solvers.problems import dense_problem, strict_problem


def test_plain_problems_have_the_prices_of_the_convex_solver() -> None:
    """Two ways to the same relaxation: HiGHS on arrays, and cvxpy."""
    problem = dense_problem(20, 6, 4, seed=1)
    prices = solve(problem, ConvexSolver()).prices
    assert prices is not None
    assert relaxed_prices(problem).capacity == pytest.approx(prices.values, rel=1e-6)


def split_problem(cards: float, linked: float) -> AllocationProblem:
    """10 of a load over columns of 8 at 5 and 2 at 1; a row on the second, a link on both."""
    return AllocationProblem(
        [5.0, 1.0],
        [[0.0, 8.0]],
        [cards],
        [0, 0],
        split=Split(
            [True], demand=[10.0], owner=[0], edge_item=[0, 0], edge_column=[0, 1],
            edge_rate=[8.0, 2.0], upper=[9, 9],
        ),
        links=Links([-np.inf], [linked], [[2.0, 1.0]]),
    )  # fmt: skip


def test_rows_and_links_of_a_split_by_hand() -> None:
    """Eight cards per unit of the second: a card is an eighth of a unit, which saves 0.25.

    With 2 a + b <= 4 and 8 a + 2 b = 10 there are a = 0.5, b = 3; one more makes it b = 5.
    """
    assert relaxed_prices(split_problem(24.0, 99.0)).capacity == pytest.approx([0.25 / 8])
    # 3.5 units: fractions of what eight cards carry count, though no whole unit does.
    assert relaxed_prices(split_problem(28.0, 99.0)).capacity == pytest.approx([0.25 / 8])
    loose = relaxed_prices(split_problem(99.0, 4.0))
    assert loose.links == pytest.approx([0.5])
    assert loose.capacity == pytest.approx([0.0])


def test_no_prices_where_there_is_no_relaxation() -> None:
    """Too few for the load; priorities that nobody froze."""
    assert relaxed_prices(split_problem(0.0, 1.0)).reason is Reason.INFEASIBLE
    with pytest.raises(ProblemError, match="with_stages_frozen"):
        relaxed_prices(strict_problem())


def test_frozen_stages_of_a_split_keep_what_was_reached() -> None:
    """Room for half of each of two loads of two priorities, which may stay unserved in part.

    The first is served, half of the second sheds: a cost of 5 + 2.5 + nothing for what is shed.
    """
    problem = AllocationProblem(
        [5.0, 5.0],
        [[1.0, 1.0]],
        [3.0],
        [0, 1],
        priority=[1, 2],
        unserved=[False, False],
        split=Split(
            [True, True], demand=[2.0, 2.0], owner=[0, 1], edge_item=[0, 1], edge_column=[0, 1],
            edge_rate=[1.0, 1.0], unserved_cost=[0.0, 0.0],
        ),
    )  # fmt: skip
    found = solve(problem)
    reached = {stage.priority: stage.value for stage in found.stages}
    assert reached == {1: 0.0, 2: pytest.approx(0.5)}
    frozen = with_stages_frozen(problem, reached)
    assert frozen.priority is None
    again = solve(frozen)
    assert again.primal_bound == pytest.approx(found.primal_bound) == 15.0
    free = dataclasses.replace(problem, priority=None)
    assert solve(free).primal_bound == 0.0
    # One more unit would serve what is shed, which saves nothing but has to be paid.
    assert relaxed_prices(frozen).capacity == pytest.approx([0.0])
