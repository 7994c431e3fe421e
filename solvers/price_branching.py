"""Branch and bound on a small dense problem, by linear relaxations of one row per capacity.

Every node that is dropped is dropped by a bound computed anew from prices: the sum of the groups'
least reduced costs less what the rows are worth. The relaxation only suggests the prices.

Imports numba: import when needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from solvers.choice_relaxation import SOLVED, cheapest_keys, reoptimise
from solvers.compiled import compiled, is_compiled
from solvers.problem import BoolArray, FloatArray, IntArray

__all__ = ["BranchingAnswer", "branch_by_prices", "is_ready"]

# Shares within this of 0 and 1 are whole; bounds are computed to this share of the magnitudes.
_WHOLE, _ROUNDING = 1e-6, 1e-11
# How often prices along a ray are raised, and how many times each.
_RAY_STEPS, _RAY_GROWTH = 20, 8.0


@dataclass(frozen=True, slots=True, eq=False)
class BranchingAnswer:
    """What branch and bound found.

    Parameters
    ----------
    choice
        (G,), the columns of the best choice below the cut-off; None: none found.
    complete
        Whether it proved that there is nothing cheaper.
    nodes
        Looked at.
    """

    choice: IntArray | None
    complete: bool
    nodes: int


def branch_by_prices(
    cost: FloatArray,
    usage: FloatArray,
    limit: FloatArray,
    starts: IntArray,
    cutoff: float,
    step: float,
    most_nodes: int,
    stop: BoolArray,
) -> BranchingAnswer:
    """Look for the cheapest choice of one column per group within the limits.

    Parameters
    ----------
    usage
        (m, n), n columns in the order of groups.
    limit
        (m,), finite, with what tolerance is wanted.
    starts
        (G + 1,), where each group begins.
    cutoff
        Choices that cost more are of no use.
    step
        A choice that is cheaper than another is so by this, >= 0.
    stop
        (1,), a flag that another thread may set.
    """
    scale = np.maximum(usage.max(axis=1), 1e-300)
    group = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    magnitude = float(np.maximum.reduceat(np.abs(cost), starts[:-1]).sum())
    best = np.full(len(starts) - 1, -1)
    nodes, complete = _branch(
        cost, np.ascontiguousarray(usage / scale[:, None]), limit / scale, starts, group,
        cheapest_keys(cost, starts), cutoff, step, _ROUNDING * max(magnitude, 1e-300), most_nodes,
        stop, best,
    )  # fmt: skip
    return BranchingAnswer(None if best[0] < 0 else best, bool(complete), int(nodes))


def is_ready() -> bool:
    """Whether branch and bound costs no compilation."""
    return is_compiled(_branch)


@compiled
def _branch(
    cost: FloatArray, usage: FloatArray, limit: FloatArray, starts: IntArray, group: IntArray,
    first_key: IntArray, cutoff: float, step: float, rounding: float, most_nodes: int,
    stop: BoolArray, best: IntArray,
) -> tuple[int, bool]:  # fmt: skip
    """Depth first: a column taken, then left out; bases are kept on the way down."""
    m, n, groups = len(limit), len(cost), len(starts) - 1
    allowed = np.ones(n, np.bool_)
    inverse, share, prices = np.zeros((m, m)), np.zeros(m), np.zeros(m)
    work, ray = np.zeros((2, n)), np.zeros(m)
    depths = n + groups + 2
    keys, bases = np.zeros((depths, groups), np.int64), np.zeros((depths, m), np.int64)
    begun, fixed = np.zeros(depths, np.int64), np.zeros(depths, np.int64)
    branched = np.full(depths, -1)
    trail, barred = np.zeros(n + 1, np.int64), 0
    key, basis = first_key.copy(), np.arange(n, n + m)
    depth, nodes, proven = 0, 0, True
    while True:
        if nodes >= most_nodes or stop[0]:
            return nodes, False
        nodes += 1
        begun[depth] = barred
        # A little more than the cut-off, so that the bound computed anew passes that too.
        hopeless = cutoff + 0.25 * step + 100.0 * rounding
        state, _ = reoptimise(
            cost, usage, limit, starts, group, allowed, key, basis, hopeless,
            inverse, share, prices, work, ray,
        )  # fmt: skip
        bound = _priced_bound(cost, usage, limit, starts, allowed, prices, work[0])
        column = -1
        if state == SOLVED and bound <= cutoff + rounding:
            column = _fractional(basis, key, group, share, n)
            if column < 0:
                value = _adopt(cost, basis, key, group, share, n, best)
                cutoff = min(cutoff, value - step)
                # The relaxation is whole: nothing below it is cheaper.
        elif bound <= cutoff + rounding:
            proven = proven and _passes_along(
                cost, usage, limit, starts, allowed, prices, ray, cutoff + rounding, work[0]
            )
        if column >= 0:
            keys[depth], bases[depth] = key, basis
            for j in range(n):
                if allowed[j] and bound + work[0, j] > cutoff + rounding:
                    allowed[j], trail[barred], barred = False, j, barred + 1
            fixed[depth], branched[depth] = barred, column
            g = group[column]
            for j in range(starts[g], starts[g + 1]):
                if allowed[j] and j != column:
                    allowed[j], trail[barred], barred = False, j, barred + 1
            depth += 1
            continue
        while depth > 0:
            depth -= 1
            returned = begun[depth] if branched[depth] < 0 else fixed[depth]
            while barred > returned:
                barred -= 1
                allowed[trail[barred]] = True
            if branched[depth] >= 0:
                key[:], basis[:] = keys[depth], bases[depth]
                column, branched[depth] = branched[depth], -1
                allowed[column], trail[barred], barred = False, column, barred + 1
                depth += 1
                break
        if depth == 0:
            return nodes, proven


@compiled
def _fractional(basis: IntArray, key: IntArray, group: IntArray, share: FloatArray, n: int) -> int:
    """Return the column whose share is furthest from whole; -1 when all are whole."""
    column, furthest = -1, _WHOLE
    for k in range(len(basis)):
        if basis[k] >= n:
            continue
        rest = 1.0
        for other in range(len(basis)):
            if basis[other] < n and group[basis[other]] == group[basis[k]]:
                rest -= share[other]
        if min(share[k], 1.0 - share[k]) > furthest:
            column, furthest = basis[k], min(share[k], 1.0 - share[k])
        if min(rest, 1.0 - rest) > furthest:
            column, furthest = key[group[basis[k]]], min(rest, 1.0 - rest)
    return column


@compiled
def _adopt(
    cost: FloatArray, basis: IntArray, key: IntArray, group: IntArray, share: FloatArray, n: int,
    best: IntArray,
) -> float:  # fmt: skip
    """Write down the whole relaxation; its cost."""
    best[:] = key
    for k in range(len(basis)):
        if basis[k] < n and share[k] > 0.5:
            best[group[basis[k]]] = basis[k]
    value = 0.0
    for column in best:
        value += cost[column]
    return value


@compiled
def _priced_bound(
    cost: FloatArray, usage: FloatArray, limit: FloatArray, starts: IntArray, allowed: BoolArray,
    prices: FloatArray, slack: FloatArray,
) -> float:  # fmt: skip
    """Return the dual value at the prices' positive part, and each column's distance from it."""
    m, n = usage.shape
    bound = 0.0
    for j in range(n):
        slack[j] = cost[j]
    for i in range(m):
        price = max(prices[i], 0.0)
        if price > 0.0:
            bound -= price * limit[i]
            for j in range(n):
                slack[j] += price * usage[i, j]
    for g in range(len(starts) - 1):
        least = np.inf
        for j in range(starts[g], starts[g + 1]):
            if allowed[j]:
                least = min(least, slack[j])
        bound += least
        for j in range(starts[g], starts[g + 1]):
            slack[j] -= least
    return bound


@compiled
def _passes_along(
    cost: FloatArray, usage: FloatArray, limit: FloatArray, starts: IntArray, allowed: BoolArray,
    prices: FloatArray, ray: FloatArray, target: float, slack: FloatArray,
) -> bool:  # fmt: skip
    """Whether the dual value passes a target at some prices further along a ray."""
    largest = 0.0
    for entry in ray:
        largest = max(largest, abs(entry))
    if largest == 0.0:
        return False
    further = prices.copy()
    length = max(abs(target), 1e-9) / largest
    for _ in range(_RAY_STEPS):
        for i in range(len(ray)):
            further[i] = prices[i] + length * ray[i]
        if _priced_bound(cost, usage, limit, starts, allowed, further, slack) > target:
            return True
        length *= _RAY_GROWTH
    return False
