"""The layout of Hiremath and Hill's test sets: many problems in one file."""

from __future__ import annotations

from solvers.instances.khan import read_numbered_groups
from solvers.instances.number_reader import NumberReader
from solvers.problem import AllocationProblem

__all__ = ["parse_hiremath_hill"]


def parse_hiremath_hill(text: str, where: str = "text") -> tuple[AllocationProblem, ...]:
    """Return the problems of a test set, in the order of the file.

    Parameters
    ----------
    text
        Problems one after another: `problem groups items rows` (problems counted from 1), the
        capacities, per group its number, from 1, and a line per item: profit, then consumptions.
    where
        Named in errors.

    Returns
    -------
    tuple[AllocationProblem, ...]
        Cost is minus profit; columns in the order of the file.

    Raises
    ------
    ProblemError
        If the text is something else; says in which line.

    References
    ----------
    .. [1] Hiremath, C. S., Hill, R. R. (2007). New greedy heuristics for the multiple-choice
       multi-dimensional knapsack problem. *International Journal of Operational Research* 2(4),
       495-512.
    """
    numbers = NumberReader(text, where)
    problems: list[AllocationProblem] = []
    while not numbers.at_end:
        number = len(problems) + 1
        numbers.expect(number, "the problem's number")
        problems.append(read_numbered_groups(numbers, f"{where}#{number}"))
    return tuple(problems)
