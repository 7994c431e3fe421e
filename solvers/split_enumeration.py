"""The optimum of small problems with split or linked parts: every x, rates and z by scipy."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
from numpy.typing import NDArray

from solvers.links import Links
from solvers.problem import CAPACITY_TOLERANCE, AllocationProblem
from solvers.split import Split, no_split

__all__ = ["enumerate_counts"]

FloatArray = NDArray[np.float64]

_MOST_CHOICES = 20_000
# Linear programmes are solved about this closely, and their values repeat to the second.
_CLOSE = 1e-7
_NOISE = 1e-9


def enumerate_counts(problem: AllocationProblem) -> tuple[float, ...] | None:
    """Return the lexicographic optimum; None when nothing is feasible.

    Raises
    ------
    ValueError
        If more than twenty thousand choices of counts would have to be looked at.
    """
    split = problem.split or no_split(problem.groups)
    choices = [x for x in _counts(problem, split) if _keeps_rules(problem, split, x)]
    choices.sort(key=lambda x: float(problem.cost @ x))
    levels = [] if problem.priority is None else np.unique(problem.priority).tolist()
    best: tuple[float, ...] | None = None
    floor = _least_z_cost(problem)
    for x in choices:
        if best is not None and not levels and float(problem.cost @ x) + floor >= best[-1]:
            break  # unserved load costs nothing less than nothing
        value = _value(problem, split, x, levels)
        if value is not None and (best is None or _precedes(value, best)):
            best = value
    return best


def _least_z_cost(problem: AllocationProblem) -> float:
    links = problem.links
    if links is None:
        return 0.0
    pulled = np.where(links.cost > 0, links.lower, np.where(links.cost < 0, links.upper, 0.0))
    return float(links.cost @ pulled)


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
    drops = split.drops(problem.group, problem.unserved)
    links = problem.links
    linked = np.zeros(n, bool) if links is None else np.diff(links.of_x.indptr) > 0
    for column, group in enumerate(problem.group.tolist()):
        if not split.groups[group] or drops[column]:
            ranges.append(range(2))
            continue
        spares = 0 if split.spares is None else int(split.spares[column])
        lower = 0 if split.lower is None else int(split.lower[column])
        total = 0 if split.lower_total is None else int(split.lower_total[group])
        most = max(math.ceil(load[column] * (1 + _CLOSE)) + spares, lower, total)
        if split.upper is not None:
            stated = float(split.upper[column])
            pays = problem.cost[column] < 0 or linked[column]
            most = int(stated) if pays else int(min(most, stated))
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
        drops = mine & split.drops(problem.group, problem.unserved)
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
    lost, dropped = np.zeros(groups, dtype=bool), np.zeros(groups, dtype=bool)
    lost[problem.group[flagged & (x > 0)]] = True
    drops = split.drops(problem.group, problem.unserved)
    dropped[problem.group[drops & (x > 0)]] = True
    demand = np.where(dropped[split.owner], 0.0, split.demand)
    price = np.zeros(split.items) + np.inf if split.unserved_cost is None else split.unserved_cost
    total = np.bincount(split.owner, weights=split.demand, minlength=groups)[split.owner]
    per_rate = weight[split.owner] / np.where(total > 0, total, 1.0)
    stages = []
    for level in levels:
        assert problem.priority is not None
        left = float(weight[lost & (problem.priority == level)].sum())
        stages.append((np.where(problem.priority[split.owner] == level, per_rate, 0.0), left))
    finite = np.where(np.isfinite(price), price, 0.0)
    further = np.zeros(0) if problem.links is None else problem.links.cost
    none = np.zeros(len(further))
    stages = [(np.concatenate([objective, none]), left) for objective, left in stages]
    stages.append((np.concatenate([finite, further]), float(problem.cost @ x)))
    least: list[tuple[FloatArray, float]] = []
    values = []
    for objective, constant in stages:
        reached = _least(problem, split, x, demand, price, objective, least)
        if reached is None:
            return None
        least.append((objective, reached))
        values.append(constant + reached)
    return tuple(values)


def _least(
    problem: AllocationProblem,
    split: Split,
    x: FloatArray,
    demand: FloatArray,
    price: FloatArray,
    objective: FloatArray,
    kept: list[tuple[FloatArray, float]],
) -> float | None:
    """Return the least `objective @ (unserved rate, z)`, earlier ones kept; None: infeasible."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    items, edges, links = split.items, split.edges, problem.links
    width = edges + len(objective)
    spares = np.zeros(len(x)) if split.spares is None else split.spares
    served = np.zeros((items, width))
    served[split.edge_item, np.arange(edges)] = 1.0
    served[:, edges : edges + items] = np.eye(items)
    load = np.zeros((len(x), width))
    load[split.edge_column, np.arange(edges)] = 1.0 / split.edge_rate
    blocks = [
        (served, demand, demand),
        (load, np.full(len(x), -np.inf), np.maximum(x - spares, 0.0)),
        *((np.append(np.zeros(edges), earlier)[None, :], np.array([-np.inf]),
           np.array([limit + _NOISE])) for earlier, limit in kept),
    ]  # fmt: skip
    lower, upper = np.zeros(width), np.full(width, np.inf)
    upper[edges : edges + items] = np.where(np.isfinite(price), np.inf, 0.0)
    whole = np.zeros(width, dtype=int)
    if links is not None:
        own = np.zeros((links.rows, width))
        if links.of_rates is not None:
            own[:, :edges] = links.of_rates.to_dense()
        own[:, edges + items :] = links.of_z.to_dense()
        held = links.of_x.to_dense() @ x
        blocks.append((own, links.row_lower - held, links.row_upper - held))
        lower[edges + items :], upper[edges + items :] = links.lower, links.upper
        whole[edges + items :] = links.integer
    if not width:
        return 0.0 if links is None or _holds(links, x) else None
    answer = milp(
        np.append(np.zeros(edges), objective), integrality=whole, bounds=Bounds(lower, upper),
        constraints=[LinearConstraint(*block) for block in blocks if len(block[0])],
        options={"presolve": False},
    )  # fmt: skip
    return None if answer.fun is None or answer.status != 0 else float(answer.fun)


def _holds(links: Links, x: FloatArray) -> bool:
    total = links.of_x.to_dense() @ x
    return bool(((total >= links.row_lower) & (total <= links.row_upper)).all())
