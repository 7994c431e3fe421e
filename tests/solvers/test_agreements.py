"""Choices of two groups that agree, as links and as capacities."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers import (
    AllocationProblem,
    Feature,
    Links,
    SolveParams,
    UnsupportedFeatureError,
    solve,
)
from solvers import get as get_solver
from solvers.agreements import are_agreements, as_capacities
from solvers.base import EXACT_FEATURES
from solvers.enumeration import brute_force


def pairs(rng: np.random.Generator, groups: int = 4) -> AllocationProblem:
    """Return groups of three columns; the last two of each agree with those of the group before."""
    columns = 3 * groups
    of_x = np.zeros((2 * (groups - 1), columns))
    for g in range(1, groups):
        for k in (1, 2):
            of_x[2 * (g - 1) + k - 1, [3 * (g - 1) + k, 3 * g + k]] = 1.0, -1.0
    zero = np.zeros(len(of_x))
    return AllocationProblem(
        cost=rng.integers(-5, 20, columns).astype(float),
        usage=rng.integers(0, 4, (2, columns)).astype(float),
        capacity=[2.0 * groups, 2.0 * groups],
        group=np.repeat(np.arange(groups), 3),
        links=Links(zero, zero, of_x),
    )


@given(seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=15, derandomize=True)
def test_capacities_say_the_same(seed: int) -> None:
    """The problem with capacities in place of agreements has the same optimum, for every solver."""
    problem = pairs(np.random.default_rng(seed))
    assert are_agreements(problem)
    expected = brute_force(problem)[0]
    assert brute_force(as_capacities(problem))[0] == expected
    for name in ("highs", "lagrangian", "cp-sat"):
        assert solve(problem, name, relative_gap=0.0).primal_bound == pytest.approx(expected)


def test_other_links_are_no_agreements() -> None:
    """Other coefficients, other right-hand sides or further columns are links in general."""
    problem = pairs(np.random.default_rng(1), 2)
    links = problem.links
    assert links is not None
    of_x, zero = links.of_x.to_dense(), np.zeros(2)
    for other in (
        Links(zero, zero, 2.0 * of_x),
        Links(zero - 1.0, zero, of_x),
        Links(zero, zero, of_x, np.ones((2, 1))),
        Links(zero, zero, np.abs(of_x)),
    ):
        changed = AllocationProblem(
            problem.cost, problem.usage, problem.capacity, problem.group, links=other
        )
        assert not are_agreements(changed)
        with pytest.raises(UnsupportedFeatureError, match="links"):
            solve(changed, "cp-sat")


def test_who_takes_links_takes_agreements() -> None:
    """A solver that declares links alone is asked about agreements, too."""

    class Linked(get_solver("highs").__class__):  # type: ignore[misc]
        features = EXACT_FEATURES | {Feature.LINKS}

    problem = pairs(np.random.default_rng(2))
    Linked().require(problem, SolveParams())
    with pytest.raises(UnsupportedFeatureError, match="lacks agreements"):
        get_solver("greedy").require(problem, SolveParams())
