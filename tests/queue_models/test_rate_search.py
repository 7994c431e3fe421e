"""The bracketing search that inverts metrics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queue_models.rate_search import increasing_root, largest_rate


@given(
    roots=st.lists(st.floats(1e-6, 1 - 1e-6), min_size=1, max_size=30),
    power=st.sampled_from([0.2, 1.0, 3.0, 9.0]),
)
@settings(deadline=None, max_examples=60, derandomize=True)
def test_roots_of_smooth_functions(roots: list[float], power: float) -> None:
    """Each pair's root is found among others, steep or flat."""
    wanted = np.array(roots)

    def function(pairs: np.ndarray, x: np.ndarray) -> np.ndarray:
        return x**power / wanted[pairs] ** power - 1.0

    ends = np.zeros(len(roots)), np.ones(len(roots))
    assert increasing_root(function, *ends) == pytest.approx(wanted, rel=1e-8, abs=2e-11)


def test_a_jump_is_located_from_below() -> None:
    """Where the function jumps over 0 the answer is the last point before the jump."""
    jumps = np.array([0.1, 0.7, 1 / 3])

    def function(pairs: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.where(x > jumps[pairs], 5.0, -1e-3)

    found = increasing_root(function, np.zeros(3), np.ones(3))
    assert np.all(found <= jumps)
    assert found == pytest.approx(jumps, abs=3e-11)


def test_converged_pairs_are_not_evaluated_again() -> None:
    """A pair whose function is 0 at the first point leaves the working set."""
    asked: list[int] = []

    def function(pairs: np.ndarray, x: np.ndarray) -> np.ndarray:
        asked.append(len(pairs))
        return np.where(pairs == 0, x - 0.5, np.exp(9 * x) - 7.0)

    increasing_root(function, np.zeros(2), np.ones(2))
    assert asked[-1] == 1


def test_smooth_functions_need_few_evaluations() -> None:
    """Interpolation beats bisection: 37 halvings would be needed, 15 evaluations suffice."""
    calls = 0

    def function(pairs: np.ndarray, x: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        return np.log(x / (1 - x + 1e-9) + 0.01) - 1.0

    increasing_root(function, np.zeros(1), np.ones(1))
    assert calls <= 15


def test_ends_of_the_range_decide_where_they_can() -> None:
    """A bound that holds everywhere gives the highest rate, one that holds nowhere gives 0."""
    bound = np.array([10.0, 0.5, 2.0])

    def excess(pairs: np.ndarray, rate: np.ndarray) -> np.ndarray:
        return np.log(1.0 / (1.0 - rate) / bound[pairs])

    rates = largest_rate(excess, np.full(3, 0.1), np.full(3, 0.8), np.ones(3))
    assert rates == pytest.approx([0.8, 0.0, 0.5], rel=1e-10)


def test_an_end_is_the_answer_where_the_function_keeps_its_sign() -> None:
    """Not positive at the upper end gives it; positive at the lower end gives that one."""

    def function(pairs: np.ndarray, x: np.ndarray) -> np.ndarray:
        return x + np.array([-5.0, 5.0])[pairs]

    assert increasing_root(function, np.zeros(2), np.ones(2)).tolist() == [1.0, 0.0]


def test_no_pairs_are_no_work() -> None:
    """An empty problem has an empty answer."""
    none = np.empty(0)
    assert increasing_root(lambda pairs, x: x, none, none).shape == (0,)
