"""Small problems whose groups split: golden ones worked out by hand, and random ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from solvers.problem import AllocationProblem, BoolArray
from solvers.split import Split

__all__ = ["golden_split_problems", "random_split_problem", "random_split_problems"]

_Golden = tuple[str, AllocationProblem, tuple[float, ...] | None]


def _one_service(
    cost: list[float],
    rates: list[list[float]],
    demand: list[float],
    capacity: list[float] | None = None,
    unserved: BoolArray | None = None,
    priority: list[int] | None = None,
    **split: Any,
) -> AllocationProblem:
    """One group; rates[i][k] of item i on column k, 0: cannot serve; a row per stated capacity."""
    table = np.array(rates, dtype=np.float64)
    item, column = np.nonzero(table)
    n = len(cost)
    limits = [] if capacity is None else capacity
    return AllocationProblem(
        cost,
        np.eye(n)[: len(limits)],
        limits,
        np.zeros(n, dtype=np.int64),
        unserved=unserved,
        priority=priority,
        split=Split(
            [True], demand=demand, owner=np.zeros(len(demand), dtype=np.int64),
            edge_item=item, edge_column=column, edge_rate=table[item, column], **split,
        ),
    )  # fmt: skip


def golden_split_problems() -> Iterator[_Golden]:
    """Yield name, problem and optimum; None: infeasible. Columns A, B, ... in order."""
    # A: 8 requests/s at 5, B: 2 at 1.5. Alone: 2 A = 10 or 5 B = 7.5. Together 1 A + 1 B = 6.5.
    yield "split beats choose", _one_service([5, 1.5], [[8, 2]], [10]), (6.5,)
    yield (
        "split, at most one kind",
        _one_service([5, 1.5], [[8, 2]], [10], most_different=[1]),
        (7.5,),
    )
    # One spare of each kind used: A alone 2 + 1 = 3 units at 5; B alone 5 + 1 = 6 at 1.5 = 9; both
    # (1 + 1) A and (1 + 1) B = 13.
    yield "split with spares", _one_service([5, 1.5], [[8, 2]], [10], spares=[1, 1]), (9.0,)
    # Only A needs a spare: (1 + 1) A + 1 B = 11.5, 5 B = 7.5.
    yield "split with one spare", _one_service([5, 1.5], [[8, 2]], [10], spares=[1, 0]), (7.5,)
    # Mélange's release example. All on B: 6/20 + 3/20 + 15/40 + 6/20 = 1.125 units. One A takes a
    # third of the third bucket, 0.125 units of B: 1 A + 1 B just fit, at 1.01 + 3.67. Without B it
    # takes 12 A, without A 2 B = 7.34.
    yield (
        "length buckets",
        _one_service([1.01, 3.67], [[2, 20], [1, 20], [5, 40], [2, 20]], [6, 3, 15, 6]),
        (4.68,),
    )
    # The long bucket fits B alone: 1 B, whose other half takes the rest.
    yield "split, missing edge", _one_service([1, 3], [[4, 8], [0, 4]], [4, 2]), (3.0,)
    # Each bucket has a column of its own that the other cannot use: 2 A + 1 B.
    yield "split, apart", _one_service([1, 3], [[4, 0], [0, 4]], [6, 3]), (5.0,)
    yield "split, no demand", _one_service([1, 3], [[4, 4]], [0]), (0.0,)
    # Three units are wanted whatever the load; A may be taken twice.
    yield (
        "split, total without demand",
        _one_service([1, 3], [[4, 4]], [0], upper=[2, np.inf], lower_total=[3]),
        (5.0,),
    )
    yield "split, lower", _one_service([1, 3], [[4, 4]], [1], lower=[2, 1]), (5.0,)
    # Two units in all must do: 2 B = 6; 1 A + 1 B carry 12 of 13.
    yield (
        "split, upper total",
        _one_service([1, 3], [[4, 8]], [13], upper_total=[2]),
        (6.0,),
    )
    yield "split, no edge", _one_service([1, 3], [[4, 4], [0, 0]], [1, 1]), None
    yield "split, too little", _one_service([1, 3], [[4, 8]], [20], upper=[2, 1]), None
    yield "split, too little room", _one_service([1, 3], [[4, 8]], [20], capacity=[2, 1]), None
    # One unit carries 4 of 10: 1 + 6 * 3.
    yield (
        "split, unserved share",
        _one_service([1], [[4]], [10], capacity=[1], unserved_cost=[3]),
        (19.0,),
    )
    # A unit at 5 carries 4 requests/s that cost 1 each when left: buying is dearer.
    yield "split, unserved is cheaper", _one_service([5], [[4]], [10], unserved_cost=[1]), (10.0,)
    # The last 2 of 10 are cheaper left than a third unit.
    yield "split, unserved rest", _one_service([5], [[4]], [10], unserved_cost=[2]), (14.0,)
    yield "split, ties", _one_service([2, 2, 2], [[4, 4, 4], [4, 4, 4]], [4, 8]), (6.0,)
    # Income of 1 per unit of A, up to 3 of them.
    yield "split, negative cost", _one_service([-1, 3], [[4, 4]], [4], upper=[3, 9]), (-3.0,)
    # Dropped whole at 4 instead of 6 for both units.
    yield (
        "split, dropped",
        _one_service([3, 4], [[4, 0]], [8], unserved=np.array([False, True])),
        (4.0,),
    )
    # Nothing else fits, and a group without demand counts as one all the same.
    yield (
        "split, total dropped",
        _one_service([3, 0], [[4, 0]], [0], capacity=[1], lower_total=[2], priority=[1],
                     unserved=np.array([False, True])),
        (1.0, 0.0),
    )  # fmt: skip
    yield from _mixed_problems()


def _mixed_problems() -> Iterator[_Golden]:
    """Yield problems with groups of both kinds, or of several priorities."""
    # Row of 3. Group 0 chooses 2 units of the row at 1 or none at 6; group 1 splits a load of 8
    # over A (4 each, one of the row, at 1) and B (4 each, none of it, at 3). Choosing cheap leaves
    # 1 A + 1 B: 1 + 4 = 5; choosing dear gives 2 A: 6 + 2.
    yield (
        "both modes",
        AllocationProblem(
            [1, 6, 1, 3], [[2, 0, 1, 0]], [3], [0, 0, 1, 1],
            split=Split([False, True], demand=[8], owner=[1], edge_item=[0, 0],
                        edge_column=[2, 3], edge_rate=[4, 4]),
        ),
        (5.0,),
    )  # fmt: skip
    # 3 units of 4; each group's load is 8. The first is served whole, half of the second is left.
    two = Split(
        [True, True], demand=[8, 8], owner=[0, 1], edge_item=[0, 1], edge_column=[0, 1],
        edge_rate=[4, 4], unserved_cost=[0, 0],
    )  # fmt: skip
    none = [False, False]
    yield (
        "split and strict",
        AllocationProblem([5, 1], [[1, 1]], [3], [0, 1], priority=[1, 2], unserved=none, split=two),
        (0.0, 0.5, 11.0),
    )
    # One priority, weights 1 and 3: the second is served whole, half of the first is left.
    yield (
        "split, strict and weighted",
        AllocationProblem([5, 1], [[1, 1]], [3], [0, 1], priority=[1, 1], unserved=none,
                          weight=[1, 3], split=two),
        (0.5, 7.0),
    )  # fmt: skip
    # Both loads share the only column, 2 units of 4: the important one takes all of it.
    shared = Split(
        [True, True], demand=[8, 8], owner=[0, 1], edge_item=[0, 1], edge_column=[0, 0],
        edge_rate=[4, 4], unserved_cost=[0, 0],
    )  # fmt: skip
    yield (
        "split, shared and strict",
        AllocationProblem([5, 1], [[1, 1]], [2], [0, 1], priority=[2, 1], unserved=none,
                          split=shared),
        (0.0, 1.0, 10.0),
    )  # fmt: skip


def random_split_problems() -> Iterator[tuple[str, AllocationProblem]]:
    """Yield names and seeded problems of every kind, small enough for enumeration."""
    kinds = ("whole", "penalty", "strict")
    for seed, (kind, items) in enumerate(product(kinds, (1, 3)), start=20):
        yield f"random split {kind} {items}", random_split_problem(seed, kind, items)


def random_split_problem(seed: int, kind: str, items: int) -> AllocationProblem:
    """Return two splitting groups of two columns and one that chooses, on two rows.

    Parameters
    ----------
    kind
        "whole": all must be served; "penalty": what is left costs; "strict": two priorities, and
        groups that may be dropped.
    items
        Items of each splitting group.
    """
    random = np.random.default_rng(seed)
    group = np.array([0, 0, 1, 1, 2, 2])
    cost = random.integers(1, 12, 6) / 2.0
    drops = np.zeros(6, dtype=np.bool_)
    if kind == "strict":
        group, cost = np.append(group, [0, 1]), np.append(cost, [0.0, 0.0])
        drops = np.zeros(8, dtype=np.bool_)
        drops[[5, 6, 7]] = True
        cost[drops] = 0.0
    usage = np.where(drops, 0, random.integers(0, 3, (2, len(group)))).astype(np.float64)
    owner = np.repeat([0, 1], items)
    table = random.integers(1, 7, (2 * items, 2)) * (random.random((2 * items, 2)) < 0.8)
    item, side = np.nonzero(table)
    partly = kind == "penalty" or (kind == "strict" and seed % 2 == 0)
    return AllocationProblem(
        cost,
        usage,
        random.integers(3, 8, 2).astype(np.float64),
        group,
        unserved=drops if kind == "strict" else None,
        priority=random.integers(1, 3, 3) if kind == "strict" else None,
        split=Split(
            [True, True, False],
            demand=random.integers(0, 13, 2 * items) / (2.0 * items),
            owner=owner,
            edge_item=item,
            edge_column=2 * owner[item] + side,
            edge_rate=table[item, side].astype(np.float64),
            spares=np.where(np.arange(len(group)) < 4, random.integers(0, 2, len(group)), 0),
            upper=np.full(len(group), 2.0),
            most_different=[int(random.integers(1, 3)), 2, 1],
            lower_total=[0, int(random.integers(0, 3)), 0],
            unserved_cost=random.integers(1, 5, 2 * items).astype(np.float64) if partly else None,
        ),
    )
