"""Generated hard instances: consumptions follow profits, and groups resemble one another."""

from __future__ import annotations

import numpy as np

from solvers.errors import ProblemError
from solvers.problem import AllocationProblem

__all__ = ["correlated"]

_LARGEST_PROFIT = 1000

# Largest distance of a consumption from its profit.
_SPREAD = {"weak": _LARGEST_PROFIT // 10, "strong": _LARGEST_PROFIT // 100}
_CORRELATIONS = ("none", *_SPREAD)
_CLASSES = ("similar", "independent")


def correlated(
    groups: int,
    *,
    seed: int = 0,
    items: int = 10,
    rows: int = 10,
    correlation: str = "strong",
    classes: str = "similar",
) -> AllocationProblem:
    """Return an MMKP along the two directions in which Han, Leblet and Simon found hardness.

    They report that instances whose consumptions correlate with the profits are harder than
    uncorrelated ones, and the hardest are those whose groups hold similar sets of profits besides
    [1]_. Both are parameters here. The draws are ours, not their generator:

    Parameters
    ----------
    groups, items, rows
        Groups, items per group and capacity rows, each at least 1.
    seed
        Of `numpy.random.default_rng`, >= 0.
    correlation
        With p the item's profit, each consumption, independently per row, is a whole number
        uniform on 1..1000 ("none"), p + uniform on -100..100 ("weak") or p + uniform on -10..10
        ("strong"), at least 1.
    classes
        "similar": every group has the same profits; "independent": each draws its own.

    Raises
    ------
    ProblemError
        If a parameter is none of these words.

    Notes
    -----
    Drawn in this order: profits, whole, uniform on 1..1000, (items,) or (groups, items);
    consumptions (rows, groups, items); a hidden selection, uniform. Capacity of a row: halfway
    between the least and the largest use that one item per group can make of it, rounded down, or
    the use of the hidden selection where that is more. Cost is minus profit.

    References
    ----------
    .. [1] Han, B., Leblet, J., Simon, G. (2010). Hard multidimensional multiple choice knapsack
       problems, an empirical study. *Computers & Operations Research* 37(1), 172-181.
    """
    _refuse("correlation", correlation, _CORRELATIONS)
    _refuse("classes", classes, _CLASSES)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(1, _LARGEST_PROFIT + 1, items if classes == "similar" else (groups, items))
    profit = np.broadcast_to(drawn, (groups, items)).astype(np.float64)
    shape = (rows, groups, items)
    if correlation == "none":
        usage = rng.integers(1, _LARGEST_PROFIT + 1, shape).astype(np.float64)
    else:
        spread = _SPREAD[correlation]
        usage = np.maximum(profit + rng.integers(-spread, spread + 1, shape), 1.0)
    hidden = rng.integers(0, items, groups)
    least, most = usage.min(axis=2).sum(axis=1), usage.max(axis=2).sum(axis=1)
    capacity = np.maximum(
        np.floor((least + most) / 2), usage[:, np.arange(groups), hidden].sum(axis=1)
    )
    group = np.repeat(np.arange(groups), items)
    return AllocationProblem(-profit.ravel(), usage.reshape(rows, -1), capacity, group)


def _refuse(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ProblemError(f"{name} = '{value}': {' or '.join(known)} is wanted")
