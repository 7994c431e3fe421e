"""The optimum of small problems whose groups split: every choice of counts, rates by scipy."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvers.problem import CAPACITY_TOLERANCE, AllocationProblem
from solvers.split import Split

__all__ = ["enumerate_split"]

FloatArray = NDArray[np.float64]

_MOST_CHOICES = 20_000
# Linear programmes are solved about this closely, and their values repeat to the second.
_CLOSE = 1e-7
_NOISE = 1e-9


def enumerate_split(problem: AllocationProblem, split: Split) -> tuple[float, ...] | None:
    """Return the lexicographic optimum; None when nothing is feasible.

    Raises
    ------
    ValueError
        If more than twenty thousand choices of counts would have to be looked at.
    """
    choices = [x for x in _counts(problem, split) if _keeps_rules(problem, split, x)]
    choices.sort(key=lambda x: float(problem.cost @ x))
    levels = [] if problem.priority is None else np.unique(problem.priority).tolist()
    best: tuple[float, ...] | None = None
    for x in choices:
        if best is not None and not levels and float(problem.cost @ x) >= best[-1]:
            break  # unserved load costs nothing less than nothing
        value = _value(problem, split, x, levels)
        if value is not None and (best is None or _precedes(value, best)):
            best = value
    return best


def _precedes(value: tuple[float, ...], than: tuple[float, ...]) -> bool:
    for mine, other in zip(value, than, strict=True):
        if not math.isclose(mine, other, rel_tol=_CLOSE, abs_tol=_CLOSE):
            return mine < other
    return False


def _counts(problem: AllocationProblem, split: Split) -> list[FloatArray]:
    """Return every x worth looking at: more units than the whole demand takes never are."""
    n = problem.columns
    load = np.bincount(
        split.edge_column, weights=split.demand[split.edge_item] / split.edge_rate, minlength=n
    )
    ranges = []
    for column, group in enumerate(problem.group.tolist()):
        drops = problem.unserved is not None and bool(problem.unserved[column])
        if not split.groups[group] or drops:
            ranges.append(range(2))
            continue
        spares = 0 if split.spares is None else int(split.spares[column])
        lower = 0 if split.lower is None else int(split.lower[column])
        total = 0 if split.lower_total is None else int(split.lower_total[group])
        most = max(math.ceil(load[column] * (1 + _CLOSE)) + spares, lower, total)
        if split.upper is not None:
            stated = float(split.upper[column])
            most = int(stated) if problem.cost[column] < 0 else int(min(most, stated))
        ranges.append(range(lower, most + 1))
    if math.prod(len(r) for r in ranges) > _MOST_CHOICES:
        raise ValueError("too large for enumeration")
    return [np.array(x, dtype=np.float64) for x in product(*ranges)]


def _keeps_rules(problem: AllocationProblem, split: Split, x: FloatArray) -> bool:
    dense = problem.usage.to_dense()
    if (dense @ x > problem.capacity * (1.0 + CAPACITY_TOLERANCE)).any():
        return False
    for group in range(problem.groups):
        mine = problem.group == group
        if not split.groups[group]:
            if x[mine].sum() != 1:
                return False
            continue
        drops = mine & (False if problem.unserved is None else problem.unserved)
        units = x[mine & ~drops]
        least = 0 if split.lower_total is None else split.lower_total[group]
        most = np.inf if split.upper_total is None else split.upper_total[group]
        kinds = np.inf if split.most_different is None else split.most_different[group]
        dropped = x[drops].sum()
        if dropped > 1 or (units.sum() < least and not dropped):
            return False
        if units.sum() > most or (units > 0).sum() > kinds:
            return False
    return True


def _value(
    problem: AllocationProblem, split: Split, x: FloatArray, levels: list[int]
) -> tuple[float, ...] | None:
    """Return the best lexicographic value with these counts, by one programme per entry."""
    groups = problem.groups
    weight = np.ones(groups) if problem.weight is None else problem.weight
    flagged = np.zeros(problem.columns, bool) if problem.unserved is None else problem.unserved
    dropped = np.zeros(groups, dtype=bool)
    dropped[problem.group[flagged & (x > 0)]] = True
    demand = np.where(dropped[split.owner], 0.0, split.demand)
    price = np.zeros(split.items) + np.inf if split.unserved_cost is None else split.unserved_cost
    total = np.bincount(split.owner, weights=split.demand, minlength=groups)[split.owner]
    per_rate = weight[split.owner] / np.where(total > 0, total, 1.0)
    stages = []
    for level in levels:
        assert problem.priority is not None
        left = float(weight[dropped & (problem.priority == level)].sum())
        stages.append((np.where(problem.priority[split.owner] == level, per_rate, 0.0), left))
    finite = np.where(np.isfinite(price), price, 0.0)
    stages.append((finite, float(problem.cost @ x)))
    least: list[tuple[FloatArray, float]] = []
    values = []
    for objective, constant in stages:
        reached = _least(split, x, demand, price, objective, least)
        if reached is None:
            return None
        least.append((objective, reached))
        values.append(constant + reached)
    return tuple(values)


def _least(
    split: Split,
    x: FloatArray,
    demand: FloatArray,
    price: FloatArray,
    objective: FloatArray,
    kept: list[tuple[FloatArray, float]],
) -> float | None:
    """Return the least `objective @ unserved rate`, earlier objectives kept; None: infeasible."""
    from scipy.optimize import linprog

    items, edges = split.items, split.edges
    spares = np.zeros(len(x)) if split.spares is None else split.spares
    room = np.maximum(x - spares, 0.0)
    served = np.zeros((items, edges + items))
    served[split.edge_item, np.arange(edges)] = 1.0
    served[:, edges:] = np.eye(items)
    load = np.zeros((len(x) + len(kept), edges + items))
    load[split.edge_column, np.arange(edges)] = 1.0 / split.edge_rate
    limits = [*room, *(limit + _NOISE for _, limit in kept)]
    for row, (earlier, _) in enumerate(kept):
        load[len(x) + row, edges:] = earlier
    bounds: list[Any] = [(0, None)] * edges
    bounds += [(0, None if np.isfinite(p) else 0.0) for p in price]
    answer = linprog(
        np.concatenate([np.zeros(edges), objective]),
        A_ub=load, b_ub=limits, A_eq=served, b_eq=demand, bounds=bounds, method="highs",
    )  # fmt: skip
    return None if answer.fun is None or answer.status != 0 else float(answer.fun)
