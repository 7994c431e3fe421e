"""The layout of Hifi's INST01-INST20 and of the irregular INST21-INST30, read and written."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from solvers.errors import ProblemError
from solvers.instances.number_reader import NumberReader
from solvers.instances.profits import problem_from_items, profits
from solvers.problem import AllocationProblem

__all__ = ["inst_text", "parse_inst", "write_inst"]


def parse_inst(text: str, where: str = "text") -> AllocationProblem:
    """Return the problem of a file such as `INST01.txt`.

    Parameters
    ----------
    text
        `groups rows`; the capacities; per group its number of items and a line per item: profit,
        then consumptions.
    where
        Named in errors.

    Returns
    -------
    AllocationProblem
        Cost is minus profit; columns in the order of the file.

    Raises
    ------
    ProblemError
        If the text is something else, or goes on after the last group; says in which line.

    References
    ----------
    .. [1] Hifi, M., Michrafy, M., Sbihi, A. (2006). A reactive local search-based algorithm for the
       multiple-choice multi-dimensional knapsack problem. *Computational Optimization and
       Applications* 33, 271-285.
    """
    numbers = NumberReader(text, where)
    groups = numbers.whole("number of groups")
    rows = numbers.whole("number of capacity rows")
    capacity = numbers.numbers(rows, "capacities")
    tables = []
    for group in range(1, groups + 1):
        items = numbers.whole(f"number of items of group {group}", least=1)
        what = f"profits and consumptions of group {group}"
        tables.append(numbers.numbers(items * (1 + rows), what).reshape(items, 1 + rows))
    if not numbers.at_end:
        raise ProblemError(f"{where}: goes on after the last of its {groups} groups")
    return problem_from_items(tables, capacity, where)


def inst_text(problem: AllocationProblem) -> str:
    """Return the problem in this layout; profit is minus cost.

    `parse_inst` gives every number back exactly. Columns are written group by group, in their order
    within the group: an equal problem comes back where `group` is sorted.

    Raises
    ------
    ProblemError
        If the problem has what the layout cannot say: unlimited rows, priorities, columns that
        mean unserved, weights or parts.
    """
    _refuse_unsayable(problem)
    order = np.argsort(problem.group, kind="stable")
    table = np.column_stack([profits(problem)[order], problem.usage.take(order).to_dense().T])
    ends = np.cumsum(np.bincount(problem.group, minlength=problem.groups))
    lines = [f"{problem.groups} {problem.rows}", _line(problem.capacity.tolist())]
    for items in np.split(table, ends[:-1]) if problem.groups else []:
        lines.append(str(len(items)))
        lines += [_line(item) for item in items.tolist()]
    return "\n".join(lines) + "\n"


def write_inst(problem: AllocationProblem, path: str | Path) -> None:
    """Write `inst_text` to a file.

    Raises
    ------
    ProblemError
        See `inst_text`.
    """
    Path(path).write_text(inst_text(problem), encoding="utf-8")


def _refuse_unsayable(problem: AllocationProblem) -> None:
    unsayable = [
        name
        for name in ("priority", "unserved", "weight", "parts")
        if getattr(problem, name) is not None
    ]
    if not np.isfinite(problem.capacity).all():
        unsayable.append("unlimited rows")
    if unsayable:
        raise ProblemError(
            f"the inst layout has no place for {', '.join(unsayable)}; "
            f"solvers.write_problem writes them to .json or .npz"
        )


def _line(values: list[float]) -> str:
    """Shortest digits that read back as the same numbers."""
    return " ".join(str(int(v)) if v.is_integer() else repr(v) for v in values)
