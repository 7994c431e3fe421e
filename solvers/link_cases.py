"""Small problems whose columns are linked: golden ones worked out by hand, and random ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from solvers.links import Links
from solvers.problem import AllocationProblem
from solvers.split import Split
from solvers.split_cases import random_split_problem

__all__ = ["golden_link_problems", "random_link_problem", "random_link_problems"]

_Golden = tuple[str, AllocationProblem, tuple[float, ...] | None]
_INF = np.inf


def golden_link_problems() -> Iterator[_Golden]:
    """Yield name, problem and optimum; None: infeasible."""
    yield from _pools()
    yield from _changes()
    yield from _expressions()
    yield from _with_rates()


def _pools() -> Iterator[_Golden]:
    # Classes 0 and 1 alone cost 4 and 5; the pool of both costs 7 and takes 2 of the row, of which
    # there are 2. Group 2 is the pool: open at 7, or closed; its classes are in it when it is open.
    rows = [[0, 1, 0, 0, -1, 0], [0, 0, 0, 1, -1, 0]]
    group = [0, 0, 1, 1, 2, 2]
    yield (
        "links, pool",
        AllocationProblem([4, 0, 5, 0, 7, 0], [[1, 0, 1, 0, 2, 0]], [2], group,
                          links=Links([0, 0], [0, 0], rows)),
        (7.0,),
    )  # fmt: skip
    # With half of the row each class would fit alone, not both; the pool does not fit.
    yield (
        "links, pool too large",
        AllocationProblem([4, 0, 5, 0, 7, 0], [[1, 0, 1, 0, 2, 0]], [1], group,
                          links=Links([0, 0], [0, 0], rows)),
        None,
    )  # fmt: skip
    # Both classes split, 4 of load each on units of 3 at 2: alone 2 + 2 units, 8. The pool's units
    # carry 5 at 3, of its load of 8: 2 units, 6.
    split = Split(
        [True, True, True], demand=[4, 4, 8], owner=[0, 1, 2], edge_item=[0, 1, 2],
        edge_column=[0, 2, 4], edge_rate=[3, 3, 5],
        elsewhere=[False, True, False, True, False, True], upper=[9, 1, 9, 1, 9, 1],
    )  # fmt: skip
    closed = [[0, 1, 0, 0, 0, 1], [0, 0, 0, 1, 0, 1]]
    yield (
        "links, pool of split groups",
        AllocationProblem([2, 0, 2, 0, 3, 0], np.zeros((0, 6)), [], group, split=split,
                          links=Links([1, 1], [1, 1], closed)),
        (6.0,),
    )  # fmt: skip


def _changes() -> Iterator[_Golden]:
    # 2 replicas run. 1 large one at 5 or 3 small ones at 4; a start costs 2: 5 against 4 + 2.
    more = Links([-2], [_INF], [[-1, -3]], [[1]], cost=[2], integer=[True])
    yield (
        "links, starts",
        AllocationProblem([5, 4], np.zeros((0, 2)), [], [0, 0], links=more),
        (5.0,),
    )
    # Starts and stops at 2 each: 5 + 2 against 4 + 2.
    both = Links([-2, 2], [_INF, _INF], [[-1, -3], [1, 3]], [[1], [1]], cost=[2])
    yield (
        "links, moves",
        AllocationProblem([5, 4], np.zeros((0, 2)), [], [0, 0], links=both),
        (6.0,),
    )
    # Three periods of one service at 2 replicas (cost 2) or 1 (cost 1); period 1 needs 2. Each
    # start costs 3, and one ran before: 1 2 1 costs 4 + 3; 2 2 2 costs 6 + 3.
    starts = np.array([[-1, -2, 0, 0, 0, 0], [1, 2, -1, -2, 0, 0], [0, 0, 1, 2, -1, -2]])
    horizon = Links([-1, 0, 0], [_INF] * 3, starts, np.eye(3), cost=[3, 3, 3])
    periods = AllocationProblem(
        [1, 2, 9, 2, 1, 2], np.zeros((0, 6)), [], [0, 0, 1, 1, 2, 2], links=horizon
    )
    yield "links, periods", periods, (7.0,)
    # 0 or 2 replicas at 1 each, period 1 needs 2, a start costs 1 a replica, and what started in
    # period 1 stays up in period 2: 0 2 0 for 4 is out, 0 2 2 and 2 2 0 cost 4 + 2.
    up = Links(
        [0] * 4, [_INF] * 4,
        [[0, -2, 0, 0, 0], [0, 2, -2, 0, 0], [0, 0, 2, 0, -2], [0, 2, -2, 0, 2]],
        np.eye(4, 3), cost=[1, 1, 1],
    )  # fmt: skip
    yield (
        "links, minimum up time",
        AllocationProblem([0, 2, 2, 0, 2], np.zeros((0, 5)), [], [0, 0, 1, 2, 2], links=up),
        (6.0,),
    )


def _expressions() -> Iterator[_Golden]:
    # Periods take 1, 2, 3 replicas. One that is committed pays 2 for all of them, on demand a
    # replica costs 1 per period. 2 committed: 4 + 1; 1: 2 + 3; 3: 6.
    yield (
        "links, committed purchase",
        AllocationProblem([0, 0, 0], np.zeros((0, 3)), [], [0, 1, 2],
                          links=Links([1, 2, 3], [_INF] * 3, np.zeros((3, 3)),
                                      np.hstack([np.ones((3, 1)), np.eye(3)]), cost=[2, 1, 1, 1],
                                      integer=[True, False, False, False])),
        (5.0,),
    )  # fmt: skip
    # Power of a load of 3 as the larger of 1 + load and 3 load - 2, at 1: 7; the other column, at 1
    # more, has a load of 2: 4.
    power = Links([1, -2], [_INF, _INF], [[-3, -2], [-9, -6]], [[1], [1]], cost=[1])
    yield (
        "links, convex power",
        AllocationProblem([0, 1], np.zeros((0, 2)), [], [0, 0], links=power),
        (5.0,),
    )
    # A load of 5 survives the loss of either of two zones: 3 replicas of 2 in both, at 1 each; each
    # zone has 2 or 3.
    zones = Links([5, 5], [_INF, _INF], [[4, 6, 0, 0], [0, 0, 4, 6]])
    yield (
        "links, loss of a zone",
        AllocationProblem([2, 3, 2, 3], np.zeros((0, 4)), [], [0, 0, 1, 1], links=zones),
        (6.0,),
    )
    # The dearer of two scenarios, where columns 0 and 2 cost 4 + 1 in one and 3 + 3 in the other;
    # 0 and 3: 10 and 4; 1 and 2: 2 and 7; 1 and 3: 7 and 5.
    worst = Links([0, 0], [_INF, _INF], [[-4, -1, -1, -6], [-3, -4, -3, -1]], [[1], [1]], cost=[1])
    yield (
        "links, worst of scenarios",
        AllocationProblem([0] * 4, np.zeros((0, 4)), [], [0, 0, 1, 1], links=worst),
        (6.0,),
    )
    # One of two deviations of 2 and 3 strikes a row of 6: 2 + 2 + max(2, 3) is too much, the second
    # group takes its other column. Bertsimas and Sim: 2 x_a + 2 x_b + z + p_a + p_b <= 6,
    # z + p >= deviation.
    robust = Links(
        [-_INF, 0, 0], [6, _INF, _INF], [[2, 0, 2, 0], [-2, 0, 0, 0], [0, 0, -3, 0]],
        [[1, 1, 1], [1, 1, 0], [1, 0, 1]],
    )  # fmt: skip
    yield (
        "links, budget of uncertainty",
        AllocationProblem([1, 3, 1, 4], np.zeros((0, 4)), [], [0, 0, 1, 1], links=robust),
        (4.0,),
    )
    # A row that no column can change.
    yield (
        "links, impossible row",
        AllocationProblem([1], np.zeros((0, 1)), [], [0], links=Links([1], [_INF], [[0]])),
        None,
    )
    # Strict: serving takes a z that there is not enough of for both; then the cost.
    unserved = [False, True, False, True]
    scarce = Links([0], [_INF], [[-1, 0, -1, 0]], [[1]], cost=[5], upper=[1])
    yield (
        "links, strict",
        AllocationProblem([1, 0, 2, 0], np.zeros((0, 4)), [], [0, 0, 1, 1], priority=[2, 1],
                          unserved=unserved, links=scarce),
        (0.0, 1.0, 7.0),
    )  # fmt: skip
    # Income of 2 per z, at most what the column lends.
    lent = Links([-_INF], [0], [[-3, -1]], [[1]], cost=[-2], upper=[9])
    yield (
        "links, negative cost",
        AllocationProblem([4, 1], np.zeros((0, 2)), [], [0, 0], links=lent),
        (-2.0,),
    )
    # The same column in thirds: z need not be whole.
    part = Links([-_INF], [1], [[0]], [[3]], cost=[-3], upper=[9])
    yield "links, fractions", AllocationProblem([0], np.zeros((0, 1)), [], [0], links=part), (-1.0,)
    whole = Links([-_INF], [1], [[0]], [[3]], cost=[-3], upper=[9], integer=[True])
    yield "links, whole", AllocationProblem([0], np.zeros((0, 1)), [], [0], links=whole), (0.0,)
    free = Links([2, -_INF], [2, -1], [[0], [0]], [[1, 1], [0, 1]], cost=[1, 0], lower=[0, -_INF])
    yield (
        "links, free column",
        AllocationProblem([0], np.zeros((0, 1)), [], [0], links=free),
        (3.0,),
    )


def _with_rates() -> Iterator[_Golden]:
    # Load 9 over A (4 each, 1) and B (4 each, 3). A's traffic is bounded at 6 by shared storage:
    # 2 A leave 3 for one B.
    storage = Links([-_INF], [6], np.zeros((1, 2)), of_rates=[[1, 0]])
    edges: dict[str, Any] = {"owner": [0], "edge_item": [0, 0], "edge_column": [0, 1],
                             "edge_rate": [4, 4]}  # fmt: skip
    split = Split([True], demand=[9], **edges)
    yield (
        "links, storage bandwidth",
        AllocationProblem([1, 3], np.zeros((0, 2)), [], [0, 0], split=split, links=storage),
        (5.0,),
    )
    # Load 8, and 2 for each request over 3 on A: 2 A 2 + 10; 1 A and 1 B, where A has 4: 4 + 2;
    # 2 B 6; 1 A and 2 B, where A has 3 or less: 7.
    energy = Links([-3], [_INF], np.zeros((1, 2)), [[1]], of_rates=[[-1, 0]], cost=[2])
    yield (
        "links, price of rates",
        AllocationProblem(
            [1, 3],
            np.zeros((0, 2)),
            [],
            [0, 0],
            split=Split([True], demand=[8], **edges),
            links=energy,
        ),
        (6.0,),
    )
    # Shed: 3 per request that is left; the same storage, A alone there are 2 of.
    shed = Split([True], demand=[8], owner=[0], edge_item=[0], edge_column=[0], edge_rate=[4],
                 unserved_cost=[3])  # fmt: skip
    narrow = Links([-_INF], [6], [[0]], of_rates=[[1]])
    yield (
        "links, storage and shed load",
        AllocationProblem([1], np.zeros((0, 1)), [], [0], split=shed, links=narrow),
        (8.0,),
    )


def random_link_problems() -> Iterator[tuple[str, AllocationProblem]]:
    """Yield names and seeded problems of every kind, small enough for enumeration."""
    kinds = ("choose", "strict choose", "whole", "penalty", "strict")
    for seed, (kind, coupled) in enumerate(product(kinds, (False, True)), start=50):
        if not (coupled and "choose" in kind):
            name = f"random links {kind}{' and rates' if coupled else ''}"
            yield name, random_link_problem(seed, kind, coupled=coupled)


def random_link_problem(seed: int, kind: str, *, coupled: bool = False) -> AllocationProblem:
    """Return a problem with three to five signed rows and three further columns.

    Parameters
    ----------
    kind
        "choose" or "strict choose": three groups of three columns; else what
        `random_split_problem` knows.
    coupled
        Whether some rows know of rates, where groups split.
    """
    random = np.random.default_rng(seed)
    problem = (
        _three_groups(random, kind) if "choose" in kind else random_split_problem(seed, kind, 1)
    )
    rows, n = int(random.integers(3, 6)), problem.columns
    of_x = random.integers(-3, 4, (rows, n)) * (random.random((rows, n)) < 0.5)
    of_z = random.integers(-2, 3, (rows, 3)).astype(float)
    typical = of_x @ (random.random(n) < 0.4)
    slack = random.integers(0, 4, rows).astype(float)
    cost = random.integers(-4, 8, 3) / 4.0
    edges = 0 if problem.split is None else problem.split.edges
    rates = random.integers(-1, 3, (rows, edges)) * (random.random((rows, edges)) < 0.4) / 2.0
    links = Links(
        np.where(random.random(rows) < 0.7, typical - slack, -_INF),
        np.where(random.random(rows) < 0.7, typical + slack, _INF),
        of_x,
        of_z,
        of_rates=rates if coupled and edges else None,
        cost=cost,
        lower=[-1, 0, 0],
        upper=[2, 2.5, 3],
        integer=[True, False, False],
    )
    return AllocationProblem(
        problem.cost, problem.usage, problem.capacity, problem.group, priority=problem.priority,
        unserved=problem.unserved, weight=problem.weight, split=problem.split, links=links,
    )  # fmt: skip


def _three_groups(random: np.random.Generator, kind: str) -> AllocationProblem:
    unserved = np.tile([False, False, True], 3)
    strict = kind.startswith("strict")
    cost = random.integers(1, 20, 9) / 4.0
    usage = random.integers(0, 4, (2, 9)).astype(float)
    if strict:
        cost[unserved], usage[:, unserved] = 0.0, 0.0
    return AllocationProblem(
        cost, usage, [5, 4], np.repeat([0, 1, 2], 3), priority=[2, 1, 2] if strict else None,
        unserved=unserved if strict else None,
    )  # fmt: skip
