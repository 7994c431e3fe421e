"""Rows that follow because counts are whole: none refuses a whole solution, relaxations gain."""

from __future__ import annotations

import dataclasses
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers.integer_scaling import ScaledObjective
from solvers.mixed_programme import MixedProgramme
from solvers.problem import FloatArray
from solvers.rounded_rows import with_rounded_rows
from solvers.small_programme import solve_closely

_MOST = 6


def _cover(cost: list[float], share: list[float], *, whole: bool = True) -> MixedProgramme:
    """Return counts up to 6 whose shares sum to 1 at least."""
    n = len(cost)
    return MixedProgramme(
        objective=ScaledObjective(np.array(cost), 1.0, 0.0, exact=False),
        lower=np.zeros(n),
        upper=np.full(n, float(_MOST)),
        integer=np.full(n, whole),
        rows=np.zeros(n, dtype=np.int64),
        columns=np.arange(n),
        values=np.array(share),
        row_lower=np.ones(1),
        row_upper=np.full(1, np.inf),
    )


def _sums(programme: MixedProgramme, points: FloatArray) -> FloatArray:
    dense = np.zeros((len(programme.row_lower), programme.variables))
    dense[programme.rows, programme.columns] = programme.values
    sums: FloatArray = points @ dense.T
    return sums


@settings(deadline=None, max_examples=40, derandomize=True)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(3, 140)), min_size=1, max_size=4))
def test_whole_solutions_keep_every_row(columns: list[tuple[int, int]]) -> None:
    """All counts that carry the load, even one short by the tolerance, keep what was added."""
    share = [percent / 100 for _, percent in columns]
    programme = _cover([float(cost) for cost, _ in columns], share)
    more = with_rounded_rows(programme, None)
    points = np.array(list(product(range(_MOST + 1), repeat=len(columns))), dtype=np.float64)
    carried = points[points @ np.array(share) >= 1.0 - 5e-8]
    assert (_sums(more, carried) >= 1.0 - 1e-6).all()


def test_a_relaxation_gains_what_counts_are_whole_for() -> None:
    """Units of 0.4 at price 1: 2.5 of them carry the load, 3 are needed, and the row says so."""
    programme = _cover([1.0], [0.4])
    more = with_rounded_rows(programme, None)
    found = []
    for each in (programme, more):
        relaxed = dataclasses.replace(each, integer=np.zeros(1, dtype=np.bool_))
        solved = solve_closely(relaxed)
        assert solved is not None
        found.append(solved[0][0])
    assert found == pytest.approx([2.5, 3.0])


def test_shares_that_need_not_be_whole_are_left_alone() -> None:
    """Rounding says nothing of continuous variables."""
    programme = _cover([1.0], [0.4], whole=False)
    assert with_rounded_rows(programme, None) is programme
