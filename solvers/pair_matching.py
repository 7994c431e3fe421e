"""The best pair of two lists that fits: boxes around points, halved until they tell.

Imports numba: import when needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from solvers.compiled import compiled, is_compiled
from solvers.problem import FloatArray, IntArray

__all__ = ["BoxTree", "best_pair", "is_ready"]

# Points in a box that is not halved any more.
_LEAF = 16


@dataclass(frozen=True, slots=True, eq=False)
class BoxTree:
    """Points of a list in nested boxes, each halved along its widest side.

    Parameters
    ----------
    order
        (N,), index in the list of each point.
    used
        (N, m), usage, in that order.
    loss
        (N,), likewise.
    value
        (N,), loss less the priced usage, likewise.
    first, last
        (K,), the points of each box, from one to before the other.
    child
        (K,), the first of two neighbouring halves; -1 for a leaf.
    low, high
        (K, m), least and largest usage in each box.
    least_loss, least_value
        (K,).
    """

    order: IntArray
    used: FloatArray
    loss: FloatArray
    value: FloatArray
    first: IntArray
    last: IntArray
    child: IntArray
    low: FloatArray
    high: FloatArray
    least_loss: FloatArray
    least_value: FloatArray

    @classmethod
    def of(
        cls, used: FloatArray, loss: FloatArray, prices: FloatArray, weight: FloatArray
    ) -> BoxTree:
        """Arrange the points of a list.

        Parameters
        ----------
        weight
            (m,), > 0, what a unit of each row counts for when the widest side is looked for.
        """
        value = loss - used @ prices
        order = np.arange(len(loss))
        boxes = _boxes(used, loss, value, weight, order, _LEAF)
        return cls(order, used[order], loss[order], value[order], *boxes)


def best_pair(
    a: BoxTree, b: BoxTree, limit: FloatArray, prices: FloatArray, below: float, most: int
) -> tuple[int, int] | None:
    """Return the pair of least loss that keeps the limits, as indices in the two lists.

    The loss of a pair is the sum of theirs and the priced leftover.

    Parameters
    ----------
    below
        Only pairs of less loss count.
    most
        Pairs of boxes that are looked at; the search is exact when that is enough.
    """
    found = np.full(2, -1)
    _match(
        a.used, a.value, a.first, a.last, a.child, a.low, a.high, a.least_loss, a.least_value,
        b.used, b.value, b.first, b.last, b.child, b.low, b.high, b.least_loss, b.least_value,
        limit, prices, below, most, found,
    )  # fmt: skip
    return None if found[0] < 0 else (int(a.order[found[0]]), int(b.order[found[1]]))


def is_ready() -> bool:
    """Whether a search costs no compilation."""
    return is_compiled(_match)


@compiled
def _boxes(
    used: FloatArray,
    loss: FloatArray,
    value: FloatArray,
    weight: FloatArray,
    order: IntArray,
    leaf: int,
) -> tuple[IntArray, IntArray, IntArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Halve the points along the widest side again and again; `order` is rearranged."""
    m = used.shape[1]
    most = 4 * (len(loss) // leaf + 2)
    first, last = np.zeros(most, np.int64), np.zeros(most, np.int64)
    child = np.full(most, -1)
    low, high = np.full((most, m), np.inf), np.full((most, m), -np.inf)
    least_loss, least_value = np.full(most, np.inf), np.full(most, np.inf)
    last[0] = len(loss)
    count, k = 1, 0
    while k < count:
        for at in range(first[k], last[k]):
            p = order[at]
            least_loss[k] = min(least_loss[k], loss[p])
            least_value[k] = min(least_value[k], value[p])
            for i in range(m):
                low[k, i] = min(low[k, i], used[p, i])
                high[k, i] = max(high[k, i], used[p, i])
        if last[k] - first[k] > leaf:
            row = int(np.argmax((high[k] - low[k]) * weight))
            middle = (first[k] + last[k]) // 2
            _halve(order, used[:, row], first[k], last[k] - 1, middle)
            child[k] = count
            first[count], last[count] = first[k], middle
            first[count + 1], last[count + 1] = middle, last[k]
            count += 2
        k += 1
    return (
        first[:count],
        last[:count],
        child[:count],
        low[:count],
        high[:count],
        least_loss[:count],
        least_value[:count],
    )


@compiled
def _halve(order: IntArray, key: FloatArray, left: int, right: int, middle: int) -> None:
    """Put the smaller keys before the middle and the larger ones behind (Hoare's quickselect)."""
    while left < right:
        pivot = key[order[(left + right) // 2]]
        i, j = left, right
        while i <= j:
            while key[order[i]] < pivot:
                i += 1
            while key[order[j]] > pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if middle <= j:
            right = j
        elif middle >= i:
            left = i
        else:
            return


@compiled
def _match(
    used_a: FloatArray, value_a: FloatArray, first_a: IntArray, last_a: IntArray,
    child_a: IntArray, low_a: FloatArray, high_a: FloatArray, loss_a: FloatArray,
    least_a: FloatArray,
    used_b: FloatArray, value_b: FloatArray, first_b: IntArray, last_b: IntArray,
    child_b: IntArray, low_b: FloatArray, high_b: FloatArray, loss_b: FloatArray,
    least_b: FloatArray,
    limit: FloatArray, prices: FloatArray, best: float, most: int, found: IntArray,
) -> None:  # fmt: skip
    """Visit pairs of boxes, the more promising first; drop those that cannot hold a better pair.

    A pair of boxes is dropped when its least usage passes a limit, or when its loss cannot be less
    than the best: by least values (all leftover paid), or by least losses and what must be left.
    """
    m = len(limit)
    worth = 0.0
    for i in range(m):
        worth += prices[i] * limit[i]
    stack_a, stack_b, stack_bound = np.zeros(256, np.int64), np.zeros(256, np.int64), np.zeros(256)
    bounds, next_a, next_b = np.zeros(2), np.zeros(2, np.int64), np.zeros(2, np.int64)
    top = 1
    stack_bound[0] = -np.inf
    while top > 0 and most > 0:
        top -= 1
        a, b = stack_a[top], stack_b[top]
        if stack_bound[top] >= best:
            continue
        most -= 1
        if child_a[a] < 0 and child_b[b] < 0:
            for p in range(first_a[a], last_a[a]):
                own = value_a[p] + worth
                if own + least_b[b] >= best:
                    continue
                for q in range(first_b[b], last_b[b]):
                    if own + value_b[q] >= best:
                        continue
                    fits = True
                    for i in range(m):
                        if used_a[p, i] + used_b[q, i] > limit[i]:
                            fits = False
                            break
                    if fits:
                        best = own + value_b[q]
                        found[0], found[1] = p, q
            continue
        wider_a = last_a[a] - first_a[a] >= last_b[b] - first_b[b]
        halves_a = child_a[a] >= 0 and (child_b[b] < 0 or wider_a)
        for half in range(2):
            x = child_a[a] + half if halves_a else a
            y = b if halves_a else child_b[b] + half
            next_a[half], next_b[half] = x, y
            bound = least_a[x] + least_b[y] + worth
            lost = loss_a[x] + loss_b[y]
            for i in range(m):
                if low_a[x, i] + low_b[y, i] > limit[i]:
                    lost = np.inf
                    break
                lost += prices[i] * max(limit[i] - high_a[x, i] - high_b[y, i], 0.0)
            bounds[half] = max(bound, lost)
        worse = 1 if bounds[1] > bounds[0] else 0
        for half in (worse, 1 - worse):
            if bounds[half] < best:
                stack_a[top], stack_b[top] = next_a[half], next_b[half]
                stack_bound[top] = bounds[half]
                top += 1
