"""Small problems with known optima: what every solver has to get right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from solvers.chance import Chance
from solvers.enumeration import brute_force
from solvers.link_cases import golden_link_problems, random_link_problems
from solvers.problem import AllocationProblem, FloatArray
from solvers.split_cases import golden_split_problems, random_split_problems

__all__ = ["ContractCase", "contract_cases"]


@dataclass(frozen=True, slots=True, eq=False)
class ContractCase:
    """A problem and its lexicographic optimum.

    Parameters
    ----------
    name
        What the case is about.
    problem
        The problem.
    optimum
        Unserved weight of each priority, most important first, then the cost; None: infeasible.
    """

    name: str
    problem: AllocationProblem
    optimum: tuple[float, ...] | None

    def __str__(self) -> str:
        """Return the name."""
        return self.name


def contract_cases() -> tuple[ContractCase, ...]:
    """Return the hand-made cases and seeded random ones, all small."""
    return (*_golden_cases(), *_strict_cases(), *_random_cases(), *_split_cases(),
            *_link_cases(), *_chance_cases())  # fmt: skip


def _golden_cases() -> tuple[ContractCase, ...]:
    """Cases whose optimum is checked by hand."""
    two = [0, 0, 1, 1]
    third = 1.0 / 3.0
    inf = np.inf
    return (
        ContractCase("empty", AllocationProblem([], np.zeros((2, 0)), [1, 1], []), (0.0,)),
        ContractCase("single column", AllocationProblem([3.5], [[1]], [1], [0]), (3.5,)),
        ContractCase("no rows", AllocationProblem([2, 1], np.zeros((0, 2)), [], [0, 0]), (1.0,)),
        ContractCase("unlimited row", AllocationProblem([2, 1], [[1, 9]], [inf], [0, 0]), (1.0,)),
        ContractCase("column too large", AllocationProblem([1, 5], [[3, 1]], [2], [0, 0]), (5.0,)),
        ContractCase("infeasible alone", AllocationProblem([1, 2], [[3, 4]], [2], [0, 0]), None),
        ContractCase(
            "infeasible together", AllocationProblem([1, 2, 1, 2], [[2, 3, 2, 4]], [3], two), None
        ),
        ContractCase("zero capacity", AllocationProblem([1, 9], [[1, 0]], [0], [0, 0]), (9.0,)),
        ContractCase("ties", AllocationProblem([1] * 4, [[1] * 4], [2], two), (2.0,)),
        ContractCase(
            "zero costs", AllocationProblem([0] * 4, [[2, 1, 2, 1]], [3], two), (0.0,)
        ),
        ContractCase(
            "cancelling costs", AllocationProblem([-1e6, 3, 1e6, 2e6], [[1, 1, 1, 1]], [2], two),
            (0.0,),
        ),
        ContractCase(
            "negative costs", AllocationProblem([-5, -9, -5, -8], [[1, 2, 1, 2]], [3], two),
            (-14.0,),
        ),
        ContractCase(
            "degenerate",
            AllocationProblem([1, 2, 1, 2], [[1, 0, 1, 0]] * 3 + [[0, 0, 0, 0]], [1, 1, 1, 0], two),
            (3.0,),
        ),
        ContractCase(
            "unsorted groups", AllocationProblem([4, 7, 1, 2], [[0, 1, 1, 0]], [1], [1, 0, 1, 0]),
            (3.0,),
        ),
        ContractCase(
            "decimal fractions",
            AllocationProblem([0.1, 9, 0.2, 9, 0.3, 9], [[0.1, 0] * 3], [0.3], [0, 0, 1, 1, 2, 2]),
            (0.6,),
        ),
        ContractCase(
            "no common step",
            AllocationProblem([math.pi, 9, math.e, 8], [[third, 0, 2 * third + 1e-6, 0]], [1], two),
            (math.pi + 8,),
        ),
        # The first two columns exceed the row by one unit in 1e9, far inside a back end's tolerance
        # of 1e-6 and outside the problem's of 1e-9.
        ContractCase(
            "huge coefficients",
            AllocationProblem(
                [1, 4, 1, 9], [[5e11 + 3e3, 0, 5e11 + 3e3, 1]], [1e12], [0, 0, 1, 1]
            ),
            (5.0,),
        ),
        ContractCase(
            "huge and tiny costs",
            AllocationProblem([1e9, 1e9 + 1, 1e-3, 2e-3], [[2, 1, 2, 1]], [3], two),
            (1e9 + 2e-3,),
        ),
        ContractCase(
            "tiny costs",
            AllocationProblem([1e-9, 3e-9, 1e-9, 2e-9], [[2, 1, 2, 1]], [3], two), (3e-9,),
        ),
        # Type A has 2 units at 10, type B 100 at 5; X needs 2 A or 10 B, Y and Z 1 A or 7 B.
        # Largest regret first gives X both units of A: 90.
        ContractCase(
            "regret trap",
            AllocationProblem(
                [20, 50, 10, 35, 10, 35],
                [[2, 0, 1, 0, 1, 0], [0, 10, 0, 7, 0, 7]], [2, 100], [0, 0, 1, 1, 2, 2],
            ),
            (70.0,),
        ),
    )  # fmt: skip


def _three(
    cost: Sequence[float],
    usage: Sequence[float],
    capacity: float,
    priority: Sequence[int],
    weight: Sequence[float] | None = None,
) -> AllocationProblem:
    """Three groups, each with one column that serves and one that does not, on one row."""
    serves_or_not = np.array([False, True] * 3)
    full_cost, full_usage = np.zeros(6), np.zeros((1, 6))
    full_cost[~serves_or_not] = cost
    full_usage[0, ~serves_or_not] = usage
    return AllocationProblem(
        full_cost,
        full_usage,
        [capacity],
        [0, 0, 1, 1, 2, 2],
        priority=priority,
        unserved=serves_or_not,
        weight=weight,
    )


def _strict_cases() -> tuple[ContractCase, ...]:
    """Strict priorities, the optimum checked by hand."""
    return (
        ContractCase("all unserved", _three([5, 5, 5], [4, 4, 4], 3, [1, 2, 2], [1, 2, 3]),
                     (1.0, 5.0, 0.0)),
        # The most important group needs all there is; two less important ones would fit instead.
        ContractCase("priority before number", _three([9, 1, 1], [2, 1, 1], 2, [1, 2, 2]),
                     (0.0, 2.0, 9.0)),
        # Equal priority: two of three can be served, not the one with the largest regret.
        ContractCase("number before cost", _three([20, 9, 9], [2, 1, 1], 2, [7, 7, 7]),
                     (1.0, 18.0)),
        ContractCase("weight before number",
                     _three([20, 9, 9], [2, 1, 1], 2, [1, 1, 1], [2.5, 1.2, 1.2]), (2.4, 20.0)),
        ContractCase(
            "no way to stay unserved",
            AllocationProblem(
                [1, 0, 1, 3, 1], [[1, 0, 2, 1, 3]], [2], [0, 0, 1, 1, 1], priority=[1, 2],
                unserved=[False, True, False, False, False],
            ),
            (0.0, 0.0, 4.0),
        ),
        ContractCase(
            "strict and infeasible",
            AllocationProblem(
                [0, 1, 1, 1], [[0, 0, 2, 2], [0, 1, 1, 1]], [3, 1], [0, 0, 1, 2],
                priority=[1, 2, 2], unserved=[True, False, False, False],
            ),
            None,
        ),
    )  # fmt: skip


def _random_cases() -> tuple[ContractCase, ...]:
    """Small random problems of every kind, their optimum by enumeration."""
    cases = []
    for seed, (sizes, kind, rows) in enumerate(
        product(((3, 3), (4, 4), (6, 5)), ("whole", "real", "sparse", "strict"), (1, 3))
    ):
        problem = _random_problem(np.random.default_rng(seed), *sizes, rows, kind)
        name = f"random {kind} {sizes[0]}x{sizes[1]}x{rows}"
        cases.append(ContractCase(name, problem, brute_force(problem)))
    return tuple(cases)


@lru_cache(maxsize=1)
def _split_cases() -> tuple[ContractCase, ...]:
    """Cases of groups that split; enumerated once, as each count takes linear programmes."""
    golden = [ContractCase(*entry) for entry in golden_split_problems()]
    random = [ContractCase(n, p, brute_force(p)) for n, p in random_split_problems()]
    return (*golden, *random)


@lru_cache(maxsize=1)
def _link_cases() -> tuple[ContractCase, ...]:
    """Cases of linked columns; enumerated once, as each choice takes linear programmes."""
    golden = [ContractCase(*entry) for entry in golden_link_problems()]
    random = [ContractCase(n, p, brute_force(p)) for n, p in random_link_problems()]
    return (*golden, *random)


def _uncertain(
    capacity: float, spread: Sequence[Sequence[float]], priority: Sequence[int] | None = None
) -> AllocationProblem:
    """Two groups on one row, means 3 and 4; each may leave it, at 5 and 4 in place of 1."""
    stays = [False, True, False, True]
    return AllocationProblem(
        [1, 5, 1, 4], [[3, 0, 4, 0]], [capacity], [0, 0, 1, 1],
        chance=Chance(spread, [0] * len(spread)),
        priority=priority, unserved=None if priority is None else stays,
    )  # fmt: skip


def _chance_cases() -> tuple[ContractCase, ...]:
    """Rows kept with a probability, the optimum checked by hand."""
    apart, together = [[3, 0, 0, 0], [0, 0, 4, 0]], [[3, 0, 4, 0]]
    return (
        # 3 + 4 + sqrt(3^2 + 4^2) = 12.
        ContractCase("uncertain, independent", _uncertain(12, apart), (2.0,)),
        ContractCase("uncertain, a little less room", _uncertain(11.999, apart), (5.0,)),
        # What moves together does not offset: 3 + 4 + (3 + 4) = 14.
        ContractCase("uncertain, together", _uncertain(13.999, together), (5.0,)),
        ContractCase("uncertain, together, room", _uncertain(14, together), (2.0,)),
        # The first alone takes 6, the second 8.
        ContractCase("uncertain, alone too large", _uncertain(7.9, apart), (5.0,)),
        ContractCase("uncertain, priorities", _uncertain(11.999, apart, [2, 1]), (0.0, 1.0, 6.0)),
    )


def _random_problem(
    random: np.random.Generator, groups: int, options: int, rows: int, kind: str
) -> AllocationProblem:
    n = groups * options
    group = random.permutation(np.repeat(np.arange(groups), options))
    cost: FloatArray = random.normal(0.0, 10.0, n)
    usage: FloatArray = random.uniform(0.0, 5.0, (rows, n))
    if kind != "real":
        cost = random.integers(-5 if kind == "whole" else 1, 20, n).astype(np.float64) / 4
        usage = random.integers(0, 6, (rows, n)).astype(np.float64)
    if kind in ("sparse", "strict"):
        on_one_row = random.integers(0, rows, n) == np.arange(rows)[:, None]
        usage = np.where(on_one_row, usage, 0.0)
    scale = random.uniform(0.6, 1.1, rows)
    typical: FloatArray = usage.sum(axis=1) / options
    capacity = np.floor(typical * scale)
    if kind != "strict":
        return AllocationProblem(cost, usage, capacity, group)
    unserved = np.zeros(n, dtype=bool)
    unserved[np.unique(group, return_index=True)[1]] = True
    usage[:, unserved] = 0.0
    return AllocationProblem(
        np.where(unserved, 0.0, cost),
        usage,
        np.floor(capacity * 0.6),
        group,
        priority=random.integers(1, 4, groups),
        unserved=unserved,
        weight=random.choice([1.0, 1.0, 0.1, 0.3], groups),
    )
