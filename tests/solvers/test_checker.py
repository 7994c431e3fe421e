"""The checker finds every kind of violation and recomputes every number."""

from __future__ import annotations

import ast
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import solvers.checker
import solvers.split_checker
from solvers import AllocationProblem, check
from tests.solvers.problems import regret_trap, strict_problem


def test_a_feasible_solution() -> None:
    """Cost and usage are recomputed."""
    report = check(regret_trap(), [0, 1, 1, 0, 1, 0])
    assert report.feasible
    assert report.cost == 70.0
    assert report.usage.tolist() == [2.0, 10.0]
    assert report.violations == ()
    assert report.unserved == {}


@pytest.mark.parametrize(
    ("x", "violation"),
    [
        ([1, 0, 1, 0, 1, 0], "row 0: usage 4 exceeds the capacity 2"),
        ([1, 1, 0, 1, 0, 1], "group 0: 2 columns chosen, exactly 1 is wanted"),
        ([0, 0, 0, 1, 0, 1], "group 0: 0 columns chosen, exactly 1 is wanted"),
    ],
)
def test_broken_rules_in_words(x: list[int], violation: str) -> None:
    """Each broken rule is named with its place, what came and what is wanted."""
    report = check(regret_trap(), x)
    assert not report.feasible
    assert violation in report.violations


@pytest.mark.parametrize(
    ("x", "violation"),
    [
        ([1, 0], r"x: shape (2,), (6,) is wanted"),
        ([0.5, 0.5, 0, 1, 0, 1], "x: every entry must be 0 or 1"),
        ([2, 0, 0, 1, 0, 1], "x: every entry must be 0 or 1"),
        ([-1, 1, 0, 1, 0, 1], "x: every entry must be 0 or 1"),
        ([np.nan, 1, 0, 1, 0, 1], "x: every entry must be 0 or 1"),
        (list("abcdef"), "x: numbers are wanted, not <U1"),
    ],
)
def test_what_is_no_solution_at_all(x: list[object], violation: str) -> None:
    """A wrong shape or other numbers are reported, not raised; no cost is made up."""
    report = check(regret_trap(), x)  # type: ignore[arg-type]
    assert report.violations == (violation,)
    assert math.isnan(report.cost)


def test_the_tolerance_is_relative_to_the_capacity() -> None:
    """A row is kept up to 1e-9 of its capacity, and no further."""
    for capacity in (1e-6, 1.0, 1e12):
        problem = AllocationProblem([1, 1], [[1.0, 1.0]], [1.0], [0, 1])
        inside, outside = (1 + 0.5e-9) / 2, (1 + 3e-9) / 2
        for share, feasible in ((inside, True), (outside, False)):
            usage = [[capacity * share] * 2]
            problem = AllocationProblem([1, 1], usage, [capacity], [0, 1])
            assert check(problem, [1, 1]).feasible is feasible, (capacity, share)


def test_parts_are_paid_and_used_in_proportion() -> None:
    """Two of four replicas cost and use half; a group with parts is served."""
    problem = strict_problem(parts=True)
    x, parts = [1, 0, 0, 1, 0, 1, 1, 0], [1, 0, 0, 1, 0, 1, 2, 0]
    report = check(problem, x, parts)
    assert report.feasible
    assert report.cost == 10.0 + 20.0
    assert report.usage.tolist() == [3.0]
    assert report.unserved == {1: 1.0, 2: 1.0, 3: 0.0}
    assert not check(problem, x).feasible


@pytest.mark.parametrize(
    ("parts", "violation"),
    [
        ([1, 0, 0, 1, 0, 1, 5, 0], "parts[6] = 5: a whole number from 1 to 4 is wanted"),
        ([1, 0, 0, 1, 0, 1, 0, 0], "parts[6] = 0: a whole number from 1 to 4 is wanted"),
        ([1, 0, 0, 1, 0, 1, 1.5, 0], "parts[6] = 1.5: a whole number from 1 to 4 is wanted"),
        ([1, 1, 0, 1, 0, 1, 2, 0], "parts[1] = 1: 0 is wanted, the column is not chosen"),
    ],
)
def test_impossible_parts(parts: list[float], violation: str) -> None:
    """Parts out of range, or of columns that are not chosen, are violations."""
    report = check(strict_problem(parts=True), [1, 0, 0, 1, 0, 1, 1, 0], parts)
    assert violation in report.violations


def test_unserved_weight_without_priorities() -> None:
    """Without priorities all groups are of priority 1."""
    problem = AllocationProblem([1, 0], [[1, 0]], [1], [0, 0], unserved=[0, 1], weight=[2.5])
    assert check(problem, [0, 1]).unserved == {1: 2.5}


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        (
            solvers.checker,
            {
                "solvers.chance",
                "solvers.link_checker",
                "solvers.links",
                "solvers.problem",
                "solvers.split_checker",
            },
        ),
        (solvers.link_checker, {"solvers.links"}),
        (solvers.split_checker, {"solvers.problem", "solvers.split"}),
    ],
)
def test_the_checker_shares_no_code_with_solvers(module: ModuleType, allowed: set[str]) -> None:
    """It imports the problem's definition, its own parts and numpy, nothing else of the package."""
    text = Path(str(module.__file__)).read_text(encoding="utf-8")
    imported = {n.module for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ImportFrom)}
    assert {name for name in imported if name and name.startswith("solvers")} == allowed
    assert ".dot(" not in text
