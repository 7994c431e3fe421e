"""The layout of Khan's instances I01-I13."""

from __future__ import annotations

from solvers.instances.number_reader import NumberReader
from solvers.instances.profits import problem_from_items
from solvers.problem import AllocationProblem

__all__ = ["parse_khan", "read_numbered_groups"]


def parse_khan(text: str, where: str = "text") -> AllocationProblem:
    """Return the problem of a file such as `I07`.

    Parameters
    ----------
    text
        `groups items rows`; the capacities; per group its number, from 1, and a line per item:
        profit, then consumptions. What follows the last group (the public files list solutions
        there) is not read.
    where
        Named in errors.

    Returns
    -------
    AllocationProblem
        Cost is minus profit; columns in the order of the file.

    Raises
    ------
    ProblemError
        If the text is something else; says in which line.

    References
    ----------
    .. [1] Khan, S., Li, K. F., Manning, E. G., Akbar, M. M. (2002). Solving the knapsack problem
       for adaptive multimedia systems. *Studia Informatica Universalis* 2(1), 157-178.
    """
    return read_numbered_groups(NumberReader(text, where), where)


def read_numbered_groups(numbers: NumberReader, where: str) -> AllocationProblem:
    """Read sizes, capacities and numbered groups of equally many items."""
    groups = numbers.whole("number of groups")
    items = numbers.whole("items per group", least=1)
    rows = numbers.whole("number of capacity rows")
    capacity = numbers.numbers(rows, "capacities")
    tables = []
    for group in range(1, groups + 1):
        numbers.expect(group, "the group's number")
        what = f"profits and consumptions of group {group}"
        tables.append(numbers.numbers(items * (1 + rows), what).reshape(items, 1 + rows))
    return problem_from_items(tables, capacity, where)
