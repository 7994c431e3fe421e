"""The linear relaxation of a small dense problem: dual simplex with one working row per capacity.

One column of each group, its key, is whatever the group's other columns leave of one, so that the
working basis has a column per capacity row only, however many groups there are (generalised upper
bounding, Dantzig and Van Slyke 1967). It is small enough to be inverted afresh at each step.

Imports numba: import when needed.
"""

from __future__ import annotations

import numpy as np

from solvers.compiled import compiled
from solvers.problem import BoolArray, FloatArray, IntArray

__all__ = ["PRUNED", "SOLVED", "cheapest_keys", "relaxation_prices", "reoptimise"]

# How a relaxation ends: solved; without a solution below the cut-off; without an answer.
SOLVED, PRUNED, STALLED = 0, 1, 2
# A share of one column below this is none; pivots and entries below that are zero.
_INFEASIBLE, _ZERO = 1e-7, 1e-9
_MOST_STEPS = 5_000


def cheapest_keys(cost: FloatArray, starts: IntArray) -> IntArray:
    """Return the cheapest column of each group, (G,): with free rows a dual feasible basis."""
    pairs = zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
    return np.array([begin + int(cost[begin:end].argmin()) for begin, end in pairs], dtype=np.int64)


def relaxation_prices(
    cost: FloatArray, usage: FloatArray, limit: FloatArray, starts: IntArray
) -> FloatArray | None:
    """Return the best prices of the rows, (m,), >= 0; None where no choice keeps the limits.

    Parameters
    ----------
    cost
        (n,), in the order of groups.
    usage
        (m, n).
    limit
        (m,), finite.
    starts
        (G + 1,), where each group begins.
    """
    n, m = len(cost), len(limit)
    scale = np.maximum(usage.max(axis=1), 1e-300)
    group = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    prices, shares, binverse = np.zeros(m), np.zeros(m), np.zeros((m, m))
    state, _ = reoptimise(
        cost, np.ascontiguousarray(usage / scale[:, None]), limit / scale, starts, group,
        np.ones(n, dtype=np.bool_), cheapest_keys(cost, starts), np.arange(n, n + m), np.inf,
        binverse, shares, prices, np.zeros((2, n)), np.zeros(m),
    )  # fmt: skip
    return np.maximum(prices, 0.0) / scale if state == SOLVED else None


@compiled
def reoptimise(
    cost: FloatArray, usage: FloatArray, limit: FloatArray, starts: IntArray, group: IntArray,
    allowed: BoolArray, key: IntArray, basis: IntArray, cutoff: float,
    inverse: FloatArray, share: FloatArray, prices: FloatArray, work: FloatArray, ray: FloatArray,
) -> tuple[int, float]:  # fmt: skip
    """Make a dual feasible basis optimal for the columns that are allowed.

    Parameters
    ----------
    key, basis
        (G,) and (m,): changed in place. A basis entry of n + i is what row i leaves unused.
    inverse, share, prices
        Of the last basis: (m, m); (m,), the basic columns' shares; (m,).
    work
        (2, n), room to work in.
    ray
        (m,): direction of prices that proves that nothing is feasible, zeros otherwise.

    Returns
    -------
    tuple
        State and the last cost; PRUNED as soon as the cost passes the cut-off.
    """
    m, n, groups = len(limit), len(cost), len(starts) - 1
    matrix, left = np.zeros((m, m)), np.zeros(m)
    ray[:] = 0.0
    total = 0.0
    for _ in range(_MOST_STEPS):
        for i in range(m):
            left[i] = limit[i]
            for g in range(groups):
                left[i] -= usage[i, key[g]]
        for k in range(m):
            j = basis[k]
            for i in range(m):
                if j < n:
                    matrix[i, k] = usage[i, j] - usage[i, key[group[j]]]
                else:
                    matrix[i, k] = 1.0 if i == j - n else 0.0
        if not _invert(matrix, inverse):
            return STALLED, total
        total = 0.0
        for g in range(groups):
            total += cost[key[g]]
        prices[:] = 0.0
        for k in range(m):
            share[k] = 0.0
            for i in range(m):
                share[k] += inverse[k, i] * left[i]
            if basis[k] < n:
                more = cost[basis[k]] - cost[key[group[basis[k]]]]
                total += more * share[k]
                for i in range(m):
                    prices[i] -= more * inverse[k, i]
        if total > cutoff:
            return PRUNED, total
        lost = _group_that_lost_its_key(key, basis, group, allowed, n)
        if lost >= 0:
            if not _cheapest_key(lost, cost, usage, starts, allowed, prices, key):
                return PRUNED, np.inf
            continue
        leaving, sign, worst = _leaving(basis, share, allowed, n)
        place = _key_that_leaves(key, basis, group, share, allowed, n, worst)
        if place >= 0:
            g = group[basis[place]]
            key[g], basis[place] = basis[place], key[g]
            continue
        if leaving < 0:
            return SOLVED, total
        entering = _entering(
            cost, usage, starts, allowed, key, prices, inverse[leaving], sign, work
        )
        if entering < 0:
            for i in range(m):
                ray[i] = -sign * inverse[leaving, i]
            return PRUNED, np.inf
        basis[leaving] = entering
    return STALLED, total


@compiled
def _invert(matrix: FloatArray, inverse: FloatArray) -> bool:
    """Gauss-Jordan with partial pivoting, the matrix is lost; False when it is singular."""
    m = len(matrix)
    inverse[:] = 0.0
    for i in range(m):
        inverse[i, i] = 1.0
    for k in range(m):
        pivot = k
        for i in range(k + 1, m):
            if abs(matrix[i, k]) > abs(matrix[pivot, k]):
                pivot = i
        if abs(matrix[pivot, k]) < 1e-11:
            return False
        if pivot != k:
            for j in range(m):
                matrix[k, j], matrix[pivot, j] = matrix[pivot, j], matrix[k, j]
                inverse[k, j], inverse[pivot, j] = inverse[pivot, j], inverse[k, j]
        factor = 1.0 / matrix[k, k]
        for j in range(m):
            matrix[k, j] *= factor
            inverse[k, j] *= factor
        for i in range(m):
            factor = matrix[i, k]
            if i != k and factor != 0.0:
                for j in range(m):
                    matrix[i, j] -= factor * matrix[k, j]
                    inverse[i, j] -= factor * inverse[k, j]
    return True


@compiled
def _group_that_lost_its_key(
    key: IntArray, basis: IntArray, group: IntArray, allowed: BoolArray, n: int
) -> int:
    """Return a group whose key is not allowed and that has no basic column; -1: none."""
    for g in range(len(key)):
        if not allowed[key[g]]:
            alone = True
            for j in basis:
                if j < n and group[j] == g:
                    alone = False
            if alone:
                return g
    return -1


@compiled
def _cheapest_key(
    g: int, cost: FloatArray, usage: FloatArray, starts: IntArray, allowed: BoolArray,
    prices: FloatArray, key: IntArray,
) -> bool:  # fmt: skip
    """Give a group the key of least reduced cost; False when no column is allowed."""
    best = np.inf
    for j in range(starts[g], starts[g + 1]):
        if allowed[j]:
            reduced = cost[j]
            for i in range(len(prices)):
                reduced += prices[i] * usage[i, j]
            if reduced < best:
                best, key[g] = reduced, j
    return best < np.inf


@compiled
def _leaving(
    basis: IntArray, share: FloatArray, allowed: BoolArray, n: int
) -> tuple[int, float, float]:
    """Return the basic column that must change most, -1 if none; which way; by how much."""
    leaving, sign, worst = -1, -1.0, _INFEASIBLE
    for k in range(len(basis)):
        if share[k] < -worst:
            leaving, sign, worst = k, -1.0, -share[k]
        elif basis[k] < n and share[k] > worst and not allowed[basis[k]]:
            leaving, sign, worst = k, 1.0, share[k]
    return leaving, sign, worst


@compiled
def _key_that_leaves(
    key: IntArray, basis: IntArray, group: IntArray, share: FloatArray, allowed: BoolArray,
    n: int, worst: float,
) -> int:  # fmt: skip
    """Return where the basis holds what becomes the key of a group whose key must go; -1: none."""
    place = -1
    for k in range(len(basis)):
        if basis[k] >= n:
            continue
        g = group[basis[k]]
        rest, largest = 1.0, k
        for other in range(len(basis)):
            if basis[other] < n and group[basis[other]] == g:
                rest -= share[other]
                if share[other] > share[largest]:
                    largest = other
        wrong = -rest if rest < 0 else (0.0 if allowed[key[g]] else rest)
        if wrong > worst:
            worst, place = wrong, largest
    return place


@compiled
def _entering(
    cost: FloatArray, usage: FloatArray, starts: IntArray, allowed: BoolArray, key: IntArray,
    prices: FloatArray, row: FloatArray, sign: float, work: FloatArray,
) -> int:  # fmt: skip
    """Return the column of least ratio of reduced cost to pivot; -1 when there is no pivot."""
    m, n = usage.shape
    reduced, pivot = work[0], work[1]
    for j in range(n):
        reduced[j], pivot[j] = cost[j], 0.0
    for i in range(m):
        price, entry = prices[i], row[i]
        for j in range(n):
            reduced[j] += price * usage[i, j]
            pivot[j] += entry * usage[i, j]
    least, largest, entering = np.inf, 0.0, -1
    for g in range(len(key)):
        own, held = reduced[key[g]], pivot[key[g]]
        for j in range(starts[g], starts[g + 1]):
            size = sign * (pivot[j] - held)
            if size > _ZERO and allowed[j]:
                ratio = max(reduced[j] - own, 0.0) / size
                if ratio < least - 1e-12 or (ratio < least + 1e-12 and size > largest):
                    least, largest, entering = ratio, size, j
    for i in range(m):
        size = sign * row[i]
        if size > _ZERO:
            ratio = max(prices[i], 0.0) / size
            if ratio < least - 1e-12 or (ratio < least + 1e-12 and size > largest):
                least, largest, entering = ratio, size, n + i
    return entering
