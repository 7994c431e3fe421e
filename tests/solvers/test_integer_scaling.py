"""Whole numbers stand for the numbers exactly, or err on the stated side."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers import AllocationProblem
from solvers.integer_scaling import exact_scaling, scale_objective, scale_row


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([0.25, 1.0, -2.75], 0.25),
        ([4.0, 8.0, -12.0], 4.0),
        ([0.1, 0.2, 0.3], 0.1),
        ([0.125, 0.1], 0.025),
        ([0.0, 0.0], 1.0),
        ([8e9, 16e9], 8e9),
        ([1e-9, 3e-9], 1e-9),
    ],
)
def test_the_common_step(values: list[float], step: float) -> None:
    """The largest step of which all are whole multiples is found, signs kept."""
    scaling = exact_scaling(np.array(values))
    assert scaling is not None
    assert scaling.step == pytest.approx(step, rel=1e-15)
    assert scaling.integers * scaling.step == pytest.approx(values, rel=1e-15)


@pytest.mark.parametrize("values", [[np.pi, 1.0], [1e16, 0.5], [1 / 3]])
def test_no_common_step(values: list[float]) -> None:
    """Irrational ratios and ranges beyond exact numbers have none."""
    assert exact_scaling(np.array(values)) is None


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=6),
    st.lists(st.integers(0, 1), min_size=3, max_size=3),
    st.sampled_from([1e3, 1e6, 2.0**40]),
)
@settings(deadline=None, max_examples=150, derandomize=True)
def test_the_scaled_objective_is_the_cost(
    cost: list[float], pick: list[int], largest: float
) -> None:
    """Offset and scaled coefficients of any choice give its cost; bounds never pass it."""
    group = np.repeat(np.arange(3), 2)
    problem = AllocationProblem(cost, np.zeros((0, 6)), [], group)
    objective = scale_objective(problem, largest=largest)
    x = np.zeros(6)
    x[np.arange(3) * 2 + pick] = 1
    units = float(objective.coefficients @ x)
    noise = 1e-12 * (1.0 + np.abs(cost).sum())
    assert objective.offset + objective.unit * units == pytest.approx(problem.cost @ x, abs=noise)
    assert objective.coefficients.min() == 0.0
    assert objective.coefficients.max() <= largest
    assert objective.cost_bound(np.floor(units)) <= problem.cost @ x + noise


@given(
    st.lists(st.floats(1e-6, 1.0), min_size=4, max_size=4),
    st.floats(1.0, 3.0),
    st.lists(st.booleans(), min_size=4, max_size=4),
    st.sampled_from([1e2, 1e6, 2.0**40]),
)
@settings(deadline=None, max_examples=150, derandomize=True)
def test_a_scaled_row_loses_no_solution(
    values: list[float], capacity: float, chosen: list[bool], largest: float
) -> None:
    """Whatever keeps the true row keeps the scaled one."""
    row = scale_row(np.array(values), capacity, largest=largest)
    x = np.array(chosen)
    if np.array(values)[x].sum() <= capacity:
        assert row.usage[x].sum() <= row.capacity
    assert row.usage.max() <= largest


def test_an_exact_row_allows_nothing_more() -> None:
    """0.1 + 0.2 <= 0.3 becomes 1 + 2 <= 3; four tenths do not fit."""
    row = scale_row(np.array([0.1, 0.2]), 0.3, largest=1e6)
    assert row.exact
    assert (row.usage.tolist(), row.capacity) == ([1, 2], 3)
