"""The layouts of Khan and of Hiremath and Hill, whose groups carry numbers."""

from __future__ import annotations

import pytest

from solvers import AllocationProblem, ProblemError
from solvers.instances import parse_hiremath_hill, parse_khan
from tests.solvers.instances.layouts import HIREMATH_HILL, KHAN


def test_a_khan_file_written_by_hand_reads_as_its_arrays() -> None:
    """Blank lines before and solutions after the problem are no part of it."""
    assert parse_khan(KHAN) == AllocationProblem(
        [-4.5, -10, -10, -6, 0, -8],
        [[1, 3, 3, 2, 0, 3], [0, 2, 2, 5, 0, 6]],
        [5, 7],
        [0, 0, 0, 1, 1, 1],
    )


def test_a_test_set_reads_as_its_problems_in_order() -> None:
    """Two problems of different sizes, with tabs and carriage returns."""
    assert parse_hiremath_hill(HIREMATH_HILL) == (
        AllocationProblem([-3, -9], [[1, 3], [0, 2]], [5, 7], [0, 0]),
        AllocationProblem([-7, -8], [[2, 2]], [4], [0, 1]),
    )


def test_a_group_with_another_number_is_refused() -> None:
    """A shifted file is noticed at the first group that is out of place."""
    with pytest.raises(ProblemError, match=r"text:8: '3': 2 is wanted \(the group's number\)"):
        parse_khan(KHAN.replace("\n 2\n 6.00", "\n 3\n 6.00"))


def test_a_test_set_that_ends_early_names_its_problem() -> None:
    """The second problem of two is cut off."""
    with pytest.raises(ProblemError, match=r"set#2: ends after 1 of 2 number"):
        parse_hiremath_hill(HIREMATH_HILL.rstrip()[:-2], "set#2")


def test_a_test_set_counts_its_problems() -> None:
    """A problem that is missing in the middle is noticed."""
    with pytest.raises(ProblemError, match=r"'3': 2 is wanted \(the problem's number\)"):
        parse_hiremath_hill(HIREMATH_HILL.replace("2\t2\t1\t1", "3\t2\t1\t1"))
