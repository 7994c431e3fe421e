"""The price bound: never above the dual function in exact arithmetic, whatever the prices."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers.grouped_columns import GroupedColumns
from solvers.price_bound import price_bound, valid_prices
from solvers.problem import FloatArray
from solvers.row_limits import attainable_limits
from solvers.testing import brute_force
from tests.solvers.test_lagrangian import random_problem


def exact_dual(columns: GroupedColumns, limit: FloatArray, prices: FloatArray) -> Fraction:
    """The Lagrangian dual function in rational numbers."""
    usage = columns.usage.to_dense()
    barred = set(columns.barred.tolist())
    total = Fraction(0)
    for row in np.flatnonzero(np.isfinite(limit)):
        total -= Fraction(float(prices[row])) * Fraction(float(limit[row]))
    for first, last in zip(columns.starts[:-1], columns.starts[1:], strict=True):
        total += min(
            Fraction(float(columns.cost[k]))
            + sum(
                Fraction(float(prices[row])) * Fraction(float(usage[row, k]))
                for row in np.flatnonzero(usage[:, k])
            )
            for k in range(first, last)
            if k not in barred
        )
    return total


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.integers(0, 10**6), st.sampled_from([1e-9, 1.0, 1e9]))
def test_the_bound_survives_rounding(seed: int, scale: float) -> None:
    """Below the exact dual function, by no more than rounding explains, and below the optimum."""
    problem = random_problem(seed)
    columns, _ = GroupedColumns.of(problem)
    limit = attainable_limits(columns.usage, problem.capacity)
    random = np.random.default_rng(seed)
    prices = valid_prices(random.exponential(scale, problem.rows), limit)
    least = columns.minimum(prices)
    if np.isinf(least.total):
        return  # some group has no column
    bound = price_bound(columns, limit, least, prices)
    exact = exact_dual(columns, limit, prices)
    assert Fraction(bound) <= exact
    size = least.magnitude + float(np.abs(columns.cost).sum())
    finite = np.isfinite(limit)
    size += float(prices[finite] @ limit[finite])
    assert float(exact) - bound <= 1e-12 * size
    best = brute_force(problem)
    if best is not None:
        assert bound <= best[-1]


def test_prices_that_prove_nothing_become_ones_that_do() -> None:
    """Negative, missing and infinite prices are 0, and so are those of rows that cannot bind."""
    limit = np.array([1.0, 1.0, 1.0, 1.0, np.inf, 0.0])
    claimed = np.array([2.0, -1e-9, np.nan, np.inf, 3.0, 3.0])
    assert valid_prices(claimed, limit).tolist() == [2.0, 0.0, 0.0, 0.0, 0.0, 0.0]
