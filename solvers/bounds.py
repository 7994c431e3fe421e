"""Bounds that need no capacity row: each group on its own."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from solvers.problem import (
    CAPACITY_TOLERANCE,
    AllocationProblem,
    BoolArray,
    FloatArray,
    IntArray,
)

__all__ = [
    "capacity_free_bound",
    "conditional_cost_bound",
    "fits_alone",
    "group_minimum",
    "partial_bound",
    "relaxed_solution",
    "unservable_weight",
]


def fits_alone(problem: AllocationProblem, *, part: bool = False) -> BoolArray:
    """Return which columns (n,) exceed no row by themselves; with `part`, of which one part does.

    A column that does not fit alone is in no feasible solution.
    """
    matrix = problem.usage
    columns = matrix.columns
    values = matrix.values
    if part and problem.parts is not None:
        values = values / problem.parts[columns]
    over = values > problem.capacity[matrix.rows] * (1.0 + CAPACITY_TOLERANCE)
    fits = np.ones(problem.columns, dtype=bool)
    fits[columns[over]] = False
    return fits


def group_minimum(problem: AllocationProblem, value: FloatArray, among: BoolArray) -> FloatArray:
    """Return the least `value` (n,) of each group among some columns, as (G,); inf where none."""
    least = np.full(problem.groups, np.inf)
    np.minimum.at(least, problem.group[among], value[among])
    return least


def capacity_free_bound(problem: AllocationProblem) -> float:
    """Return the sum over groups of the cheapest column that fits alone.

    Returns
    -------
    float
        A lower bound on the cost; +inf proves the problem infeasible: some group has no column
        that fits alone.
    """
    return _sum(group_minimum(problem, problem.cost, fits_alone(problem)))


def relaxed_solution(problem: AllocationProblem) -> IntArray | None:
    """Return each group's cheapest column that fits alone, (n,); None where a group has none.

    With strict priorities, the cheapest column that serves where there is one. Optimal if it
    happens to keep every row.
    """
    among = fits_alone(problem)
    if problem.priority is not None and problem.unserved is not None:
        serving = among & ~problem.unserved
        served = np.zeros(problem.groups, dtype=bool)
        served[problem.group[serving]] = True
        among &= serving | ~served[problem.group]
    columns = np.flatnonzero(among)
    order = columns[np.lexsort((columns, problem.cost[columns], problem.group[columns]))]
    groups, first = np.unique(problem.group[order], return_index=True)
    if len(groups) < problem.groups:
        return None
    x = np.zeros(problem.columns, dtype=np.int64)
    x[order[first]] = 1
    return x


def partial_bound(problem: AllocationProblem) -> float:
    """Return the capacity-free bound when columns may be taken in part (at least one part)."""
    cost = problem.cost
    if problem.parts is not None:
        cost = np.minimum(cost, cost / problem.parts)
    return _sum(group_minimum(problem, cost, fits_alone(problem, part=True)))


def unservable_weight(problem: AllocationProblem, *, part: bool = False) -> dict[int, float]:
    """Return, by priority, the weight of groups of which no column that serves fits alone.

    With `part`, groups of which not even one part of such a column fits. Lower bounds on the
    stages of a strict-priority problem, most important first.
    """
    if problem.priority is None or problem.unserved is None:
        return {}
    serving = fits_alone(problem, part=part) & ~problem.unserved
    unservable = np.ones(problem.groups, dtype=bool)
    unservable[problem.group[serving]] = False
    weight = np.ones(problem.groups) if problem.weight is None else problem.weight
    return {
        int(level): math.fsum(weight[unservable & (problem.priority == level)])
        for level in np.unique(problem.priority)
    }


def conditional_cost_bound(problem: AllocationProblem, unserved: Mapping[int, float]) -> float:
    """Return a lower bound on the cost when at most these weights are left unserved by priority.

    Every group is served by its cheapest column that fits alone, except that unserved columns may
    be bought with the given weight where they save most per weight: the linear relaxation of a
    knapsack for each priority.

    Returns
    -------
    float
        +inf when some group has no column that fits alone.
    """
    if problem.priority is None or problem.unserved is None:
        return capacity_free_bound(problem)
    fits = fits_alone(problem)
    served = group_minimum(problem, problem.cost, fits & ~problem.unserved)
    left = group_minimum(problem, problem.cost, fits & problem.unserved)
    weight = np.ones(problem.groups) if problem.weight is None else problem.weight
    forced = np.isinf(served)
    bound = _sum(np.where(forced, left, served))
    if math.isinf(bound):
        return bound
    for level, budget in unserved.items():
        mine = problem.priority == level
        free = budget - math.fsum(weight[mine & forced])
        choice = np.flatnonzero(mine & ~forced & (left < served))
        saving, load = served[choice] - left[choice], weight[choice]
        order = np.argsort(-saving / load, kind="stable")
        before = np.concatenate([[0.0], np.cumsum(load[order])[:-1]])
        fraction = np.clip((free - before) / load[order], 0.0, 1.0)
        # Sums of fractional weights carry noise: a whole group within it counts as whole.
        fraction = np.where(np.abs(fraction - 1.0) < CAPACITY_TOLERANCE, 1.0, fraction)
        fraction = np.where(fraction < CAPACITY_TOLERANCE, 0.0, fraction)
        bound -= float(saving[order] @ fraction)
    return bound


def _sum(least: FloatArray) -> float:
    return math.inf if np.isinf(least).any() else math.fsum(least)
