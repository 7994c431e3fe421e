"""Sums over all that a problem decides: counts, further columns, rates; as rows and as objectives.

What is left unserved of an item is 1 - (columns that drop its group) - (its rates) / (its demand).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solvers.lexicographic import group_weights
from solvers.links import Links, no_links
from solvers.problem import AllocationProblem, IntArray
from solvers.sparse_columns import SparseColumns
from solvers.split import Split
from solvers.split_items import SplitItems

__all__ = ["LinearSum", "cost_sum", "minimising", "unserved_sum", "with_limit"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LinearSum:
    """`of_x @ x + of_z @ z + of_rates @ y + constant`.

    Parameters
    ----------
    of_x, of_z, of_rates
        (n,), (k,) and (edges,); the latter two are empty without a linked or a split part.
    constant
        What is added.
    """

    of_x: FloatArray
    of_z: FloatArray
    of_rates: FloatArray
    constant: float = 0.0

    def at(self, x: IntArray, z: FloatArray | None, rates: FloatArray | None) -> float:
        """Return the sum for a solution; None stands for what the problem does not have."""
        total = self.constant + float(self.of_x @ x)
        if z is not None:
            total += float(self.of_z @ z)
        if rates is not None:
            total += float(self.of_rates @ rates)
        return total


def cost_sum(problem: AllocationProblem) -> LinearSum:
    """Return the objective of a problem without priorities."""
    of_z = np.zeros(0) if problem.links is None else problem.links.cost
    if problem.split is None:
        return LinearSum(problem.cost, of_z, np.zeros(0))
    items = SplitItems(problem)
    left = _unserved(problem, items, items.unserved_cost * problem.split.demand)
    return LinearSum(problem.cost + left.of_x, of_z, left.of_rates, left.constant)


def unserved_sum(problem: AllocationProblem, priority: int) -> LinearSum:
    """Return the weight that a problem with priorities leaves unserved at one of them."""
    assert problem.priority is not None
    assert problem.unserved is not None
    mine = problem.unserved & (problem.priority[problem.group] == priority)
    of_x = np.where(mine, group_weights(problem)[problem.group], 0.0)
    of_z = np.zeros(0 if problem.links is None else problem.links.columns)
    if problem.split is None:
        return LinearSum(of_x, of_z, np.zeros(0))
    items = SplitItems(problem)
    stage = problem.priority[problem.split.owner] == priority
    left = _unserved(problem, items, np.where(stage, items.stage_weight, 0.0))
    return LinearSum(of_x + left.of_x, of_z, left.of_rates, left.constant)


def _unserved(problem: AllocationProblem, items: SplitItems, weight: FloatArray) -> LinearSum:
    """Return what the unserved shares of the items that may stay so count for."""
    split = items.split
    weight = np.where(items.may_stay & (split.demand > 0), weight, 0.0)
    dropped = np.zeros(problem.columns)
    np.add.at(dropped, items.drop_column, weight[items.drop_item])
    per_rate = np.divide(weight, split.demand, out=np.zeros(split.items), where=weight != 0)
    of_z = np.zeros(0 if problem.links is None else problem.links.columns)
    return LinearSum(-dropped, of_z, -per_rate[split.edge_item], float(weight.sum()))


def with_limit(problem: AllocationProblem, total: LinearSum, at_most: float) -> AllocationProblem:
    """Return the problem with a sum limited: by a capacity row, or a link where it has such.

    Parameters
    ----------
    total
        Where groups split, of coefficients at which more units than carry the load are never worth
        having: their counts are limited to those.
    at_most
        Finite, or inf: the problem as it is.
    """
    if np.isinf(at_most):
        return problem
    if problem.split is None and problem.links is None:
        return _with_capacity(problem, total.of_x, at_most - total.constant)
    links = problem.links or no_links(problem.columns)
    rates = total.of_rates if total.of_rates.any() else None
    return dataclasses.replace(
        problem,
        split=_with_finite_counts(problem),
        links=links.with_row(
            total.of_x, total.of_z, rates, upper=at_most - total.constant
        ),
    )  # fmt: skip


def minimising(problem: AllocationProblem, total: LinearSum) -> AllocationProblem:
    """Return the problem with a sum of at least 0, its constant apart, for objective."""
    split, links = problem.split, problem.links
    if split is not None and split.unserved_cost is not None:
        free = np.where(np.isfinite(split.unserved_cost), 0.0, np.inf)
        split = _with_array(split, "unserved_cost", free)
    if not total.of_rates.any():
        if links is not None:
            links = _with_cost(links, total.of_z)
        return dataclasses.replace(problem, cost=total.of_x, split=split, links=links)
    # Rates have no cost of their own: a further column is no less than the sum.
    links = links or no_links(problem.columns)
    of_z = links.of_z
    wider = Links(
        links.row_lower, links.row_upper, links.of_x,
        SparseColumns.from_triplets(
            (links.rows, links.columns + 1), rows=of_z.rows, columns=of_z.columns,
            values=of_z.values,
        ),
        of_rates=links.of_rates,
        cost=np.append(np.zeros(links.columns), 1.0),
        lower=np.append(links.lower, 0.0),
        upper=np.append(links.upper, np.inf),
        integer=np.append(links.integer, False),
    )  # fmt: skip
    row = wider.with_row(total.of_x, np.append(total.of_z, -1.0), total.of_rates, upper=0.0)
    plain = dataclasses.replace(problem, split=split)
    return dataclasses.replace(
        plain, cost=np.zeros(problem.columns), split=_with_finite_counts(plain), links=row
    )


def _with_capacity(
    problem: AllocationProblem, of_x: FloatArray, at_most: float
) -> AllocationProblem:
    # Entries must not be negative; one column of each group is taken.
    offset = min(float(of_x.min(initial=0.0)), 0.0)
    row = SparseColumns.from_any(np.atleast_2d(of_x - offset))
    limit = max(at_most - offset * problem.groups, 0.0)
    return dataclasses.replace(
        problem,
        usage=SparseColumns.stack([problem.usage, row]),
        capacity=np.append(problem.capacity, limit),
    )


def _with_finite_counts(problem: AllocationProblem) -> Split | None:
    """Return the split part in which every count has a most: what the load takes."""
    split = problem.split
    if split is None or (split.upper is not None and np.isfinite(split.upper).all()):
        return split
    return _with_array(split, "upper", SplitItems(problem).upper)


def _with_array(split: Split, name: str, values: FloatArray) -> Split:
    arrays: dict[str, Any] = {**dict(split.arrays()), name: values}
    return Split(**arrays)


def _with_cost(links: Links, cost: FloatArray) -> Links:
    vectors = {**dict(links.vectors()), "cost": cost}
    return Links(
        vectors.pop("row_lower"), vectors.pop("row_upper"), links.of_x, links.of_z,
        of_rates=links.of_rates, **vectors,
    )  # fmt: skip
