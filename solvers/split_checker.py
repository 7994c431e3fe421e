"""The checker's part for problems whose groups split: counts, rates, loads, what is left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvers.problem import AllocationProblem
from solvers.split import RATE_TOLERANCE, Split

__all__ = ["SplitCheck", "check_split"]

# Violations of one kind are listed one by one up to this many.
_SHOWN = 5

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SplitCheck:
    """What the split part costs beside its units, and leaves.

    Parameters
    ----------
    unserved_rate
        (items,), rate left unserved, >= 0; all of it where the group is dropped as unserved.
    unserved_cost
        What that costs, apart from the columns that mean unserved.
    """

    unserved_rate: FloatArray
    unserved_cost: float


def check_split(
    problem: AllocationProblem,
    split: Split,
    x: FloatArray,
    rates: FloatArray,
    faults: list[str],
) -> SplitCheck:
    """Check counts and rates of the groups that split, adding what is broken to `faults`.

    Parameters
    ----------
    x
        (n,), any numbers.
    rates
        (edges,), any numbers.
    """
    counted = split.groups[problem.group]
    lower = np.zeros(problem.columns) if split.lower is None else split.lower
    upper = np.full(problem.columns, np.inf) if split.upper is None else split.upper
    drops = np.zeros(problem.columns, dtype=bool)
    for flagged in (problem.unserved, split.elsewhere):
        if flagged is not None:
            drops |= counted & flagged
    upper = np.where(drops, np.minimum(upper, 1.0), upper)
    count = np.bincount(problem.group[drops & (x > 0)], minlength=problem.groups)
    for group in np.flatnonzero(count > 1)[:_SHOWN]:
        faults.append(f"group {group}: dropped {count[group]} times, at most once is wanted")
    dropped = count > 0
    bad = counted & ~((x == np.floor(x)) & (x >= lower) & (x <= upper) & np.isfinite(x))
    for column in np.flatnonzero(bad)[:_SHOWN]:
        faults.append(
            f"x[{column}] = {x[column]:g}: a whole number from {lower[column]:g} to "
            f"{upper[column]:g} is wanted"
        )
    _check_totals(problem, split, np.where(counted & ~drops, x, 0.0), dropped, faults)
    if split.most_different is not None:
        taken = np.bincount(problem.group[counted & ~drops & (x > 0)], minlength=problem.groups)
        for group in np.flatnonzero(split.groups & (taken > split.most_different))[:_SHOWN]:
            faults.append(
                f"group {group}: {taken[group]} different columns, at most "
                f"{split.most_different[group]} are wanted"
            )
    for edge in np.flatnonzero(~(rates >= 0))[:_SHOWN]:
        faults.append(f"rates[{edge}] = {rates[edge]:g}: at least 0 is wanted")
    _check_loads(problem, split, x, rates, faults)
    unserved = np.zeros(problem.columns, dtype=bool)
    if problem.unserved is not None:
        unserved = drops & problem.unserved
    lost = np.bincount(problem.group[unserved & (x > 0)], minlength=problem.groups) > 0
    return _check_items(split, rates, dropped[split.owner], lost[split.owner], faults)


def _check_totals(
    problem: AllocationProblem,
    split: Split,
    units: FloatArray,
    dropped: NDArray[np.bool_],
    faults: list[str],
) -> None:
    total = np.zeros(problem.groups)
    np.add.at(total, problem.group, units)
    if split.lower_total is not None:
        few = split.groups & ~dropped & (total < split.lower_total)
        for group in np.flatnonzero(few)[:_SHOWN]:
            faults.append(
                f"group {group}: {total[group]:g} units, at least {split.lower_total[group]} wanted"
            )
    if split.upper_total is not None:
        for group in np.flatnonzero(split.groups & (total > split.upper_total))[:_SHOWN]:
            faults.append(
                f"group {group}: {total[group]:g} units, "
                f"at most {split.upper_total[group]:g} wanted"
            )


def _check_loads(
    problem: AllocationProblem, split: Split, x: FloatArray, rates: FloatArray, faults: list[str]
) -> None:
    load = np.zeros(problem.columns)
    np.add.at(load, split.edge_column, rates / split.edge_rate)
    spares = np.zeros(problem.columns) if split.spares is None else split.spares
    room = np.maximum(x - spares, 0.0)
    for column in np.flatnonzero(load > room * (1.0 + RATE_TOLERANCE))[:_SHOWN]:
        faults.append(
            f"column {column}: its load of {load[column]:.12g} units exceeds the {room[column]:g} "
            f"that carry load"
        )


def _check_items(
    split: Split,
    rates: FloatArray,
    dropped: NDArray[np.bool_],
    lost: NDArray[np.bool_],
    faults: list[str],
) -> SplitCheck:
    """Check what each item gets; `lost` are those dropped without being served elsewhere."""
    served = np.zeros(split.items)
    np.add.at(served, split.edge_item, rates)
    left = np.where(dropped, 0.0, split.demand) - served
    slack = RATE_TOLERANCE * split.demand
    for item in np.flatnonzero(left < -slack)[:_SHOWN]:
        faults.append(
            f"item {item}: {served[item]:.12g} served of a demand of {split.demand[item]:.12g}"
        )
    unserved = np.where(left > slack, left, 0.0)
    price = np.full(split.items, np.inf) if split.unserved_cost is None else split.unserved_cost
    for item in np.flatnonzero((unserved > 0) & np.isinf(price))[:_SHOWN]:
        faults.append(f"item {item}: {unserved[item]:.12g} of its demand is not served")
    priced = (unserved > 0) & np.isfinite(price)
    cost = float((unserved[priced] * price[priced]).sum())
    return SplitCheck(np.where(lost, split.demand, unserved), cost)
