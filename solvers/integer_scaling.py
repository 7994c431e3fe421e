"""Costs and usages in whole numbers: exactly where possible, else with the error on one side."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvers.bounds import group_minimum
from solvers.problem import CAPACITY_TOLERANCE, AllocationProblem

__all__ = [
    "IntegerScaling",
    "ScaledObjective",
    "ScaledRow",
    "exact_scaling",
    "scale_objective",
    "scale_row",
]

# Numerators above 2**53 are not exact in float64; 2**50 leaves room for sums.
_LARGEST = 2.0**50
_FEW = 1_000
# Halves, quarters, ... and decimals to nine places, and both together (0.125 cents).
_DENOMINATORS = sorted({2**i * 10**j for i in range(11) for j in range(10)})


@dataclass(frozen=True, slots=True, eq=False)
class IntegerScaling:
    """Numbers written as `integers * step`.

    Parameters
    ----------
    integers
        Same shape as the numbers, without a common divisor.
    step
        The largest step, > 0; 1 when all numbers are zero.
    """

    integers: NDArray[np.int64]
    step: float


def exact_scaling(values: NDArray[np.float64]) -> IntegerScaling | None:
    """Write numbers as whole multiples of one step, exactly.

    Denominators 2**i * 10**j with i <= 10 and j <= 9 are tried, smallest first; a number counts
    as a multiple when dividing the rounded numerator gives it back bit for bit.

    Returns
    -------
    IntegerScaling | None
        None when no such step exists or numerators pass 2**50.
    """
    whole = bool((values == np.floor(values)).all())
    # Of whole numbers all that matters is their divisor, which needs no sorting.
    distinct = np.abs(values) if whole else np.unique(np.abs(values))
    distinct = distinct[distinct > 0]
    if not distinct.size:
        return IntegerScaling(np.zeros(values.shape, dtype=np.int64), 1.0)
    largest = float(distinct.max())
    for denominator in _DENOMINATORS:
        if largest * denominator > _LARGEST:
            return None
        numerators = np.rint(distinct * denominator)
        if np.array_equal(numerators / denominator, distinct):
            divisor = _common_divisor(numerators.astype(np.int64))
            integers = np.rint(values * denominator).astype(np.int64) // divisor
            return IntegerScaling(integers, divisor / denominator)
    return None


def _common_divisor(numbers: NDArray[np.int64]) -> int:
    """Return the greatest common divisor; a few numbers mostly show that it is 1."""
    first = int(np.gcd.reduce(numbers[:_FEW]))
    return first if first == 1 else int(np.gcd.reduce(numbers))


@dataclass(frozen=True, slots=True, eq=False)
class ScaledObjective:
    """A problem's cost as `offset + unit * (coefficients @ x)`.

    Parameters
    ----------
    coefficients
        (n,), >= 0, and 0 for the cheapest column of each group: a constant per group is moved to
        the offset, because each group pays exactly one of its columns.
    unit
        Cost of one unit, > 0.
    offset
        Cost of all groups' cheapest columns.
    exact
        Whether the coefficients are whole numbers that stand for the costs exactly; otherwise
        they are the costs times a power of two.
    """

    coefficients: NDArray[np.float64]
    unit: float
    offset: float
    exact: bool

    def cost_bound(self, bound: float) -> float:
        """Return a lower bound on the cost, given one on `coefficients @ x`; -inf stays.

        Exact coefficients have whole sums: the bound rounds up, but for the back end's tolerance.
        """
        if not math.isfinite(bound):
            return -math.inf
        return self.offset + self.unit * (math.ceil(bound - 1e-6) if self.exact else bound)


def scale_objective(problem: AllocationProblem, *, largest: float) -> ScaledObjective:
    """Move each group's cheapest cost to a constant and scale what remains.

    Parameters
    ----------
    largest
        Whole-number coefficients may not pass this; without them the largest becomes about this.
    """
    cheapest = group_minimum(problem, problem.cost, np.ones(problem.columns, dtype=bool))
    offset = math.fsum(cheapest)
    scaling = exact_scaling(problem.cost)
    if scaling is not None:
        whole = scaling.integers.astype(np.float64)
        whole -= group_minimum(problem, whole, np.ones(problem.columns, dtype=bool))[problem.group]
        divisor = int(np.gcd.reduce(whole.astype(np.int64))) or 1
        if whole.max(initial=0.0) / divisor <= largest:
            return ScaledObjective(whole / divisor, scaling.step * divisor, offset, exact=True)
    shifted = problem.cost - cheapest[problem.group]
    if not shifted.any():
        return ScaledObjective(shifted, 1.0, offset, exact=True)
    unit = 2.0 ** math.ceil(math.log2(shifted.max() / largest))
    return ScaledObjective(shifted / unit, unit, offset, exact=False)


@dataclass(frozen=True, slots=True, eq=False)
class ScaledRow:
    """One capacity row with whole-number usage: `usage @ x <= capacity`."""

    usage: NDArray[np.int64]
    capacity: int
    exact: bool


def scale_row(values: NDArray[np.float64], capacity: float, *, largest: float) -> ScaledRow:
    """Write a row in whole numbers: exactly if it can be, else relaxed.

    Parameters
    ----------
    values
        Positive usage entries, none above the capacity.
    capacity
        Finite; the row is kept up to `capacity * (1 + CAPACITY_TOLERANCE)`.
    largest
        Largest whole number wanted.

    Returns
    -------
    ScaledRow
        When not exact, usage is rounded down and capacity up: no feasible solution is lost, and
        solutions that exceed the true row have to be cut off by the caller.
    """
    limit = capacity * (1.0 + CAPACITY_TOLERANCE)
    scaling = exact_scaling(values)
    if scaling is not None and scaling.integers.max(initial=0) <= largest:
        return ScaledRow(scaling.integers, math.floor(limit / scaling.step), exact=True)
    factor = 2.0 ** math.floor(math.log2(largest / values.max()))
    return ScaledRow(
        np.floor(values * factor).astype(np.int64), math.ceil(limit * factor), exact=False
    )
