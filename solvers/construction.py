"""Building a solution: by prices and by regret under several orders, improved, the best kept."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from solvers.bounds import relaxed_solution
from solvers.exchange import ExchangeSearch
from solvers.lexicographic import group_weights, is_better, lexicographic_value, priority_levels
from solvers.placement import NOTHING, Placement
from solvers.priced_choices import priced_choices
from solvers.problem import AllocationProblem, IntArray
from solvers.regret import RegretKey, place_by_regret, regret
from solvers.repair import repaired_choices
from solvers.saturation import SaturationPolicy, priority_of, saturate_placement
from solvers.verification import is_feasible

__all__ = ["Construction", "construct"]

# Orders tried by number of groups: all of them are instant up to some hundred groups, and one pass
# over a hundred thousand groups takes about a second.
_ALL_ORDERS_UP_TO = 500
_SOME_ORDERS_UP_TO = 5_000
_SHUFFLES = 4
# Exchanges of the orders are tried up to this many groups even where a choice by prices is better.
_ALL_EXCHANGES_UP_TO = 150
# The usage entries that all exchange searches of one construction may look at together.
_EXCHANGE_BUDGET = 60_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Construction:
    """What the heuristics built.

    Parameters
    ----------
    x
        (n,), a feasible solution; None where none was found.
    parts
        (n,), parts taken; None when every column is whole.
    orders
        Number of orders tried.
    priced
        Number of choices by prices of the capacities among which the best was looked for.
    """

    x: IntArray | None
    parts: IntArray | None = None
    orders: int = 0
    priced: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    """How one run breaks ties, and by what it orders groups."""

    ties: list[int]
    key: RegretKey


def construct(
    problem: AllocationProblem,
    policy: SaturationPolicy = SaturationPolicy.NONE,
    *,
    delayed: bool = False,
    seed: int = 0,
    start: IntArray | None = None,
    stop: Callable[[], bool] | None = None,
    deadline: float = math.inf,
) -> Construction:
    """Return the lexicographically best of choices by prices and regret runs, improved.

    Parameters
    ----------
    policy
        Who gets parts of what is left; per priority, or once at the end if `delayed`.
    seed
        Of the tie orders that are shuffled.
    start
        (n,), a feasible solution to improve as well; not used under a policy other than none.
    stop
        Asked while prices are looked for and before each run but the first: whether to leave it
        at what there is.
    deadline
        `time.perf_counter()` at which runs leave the groups whose turn has not come unplaced.

    Notes
    -----
    The solution kept serves most groups in full, priority by priority; then leaves fewest with
    nothing; then costs least. Beyond some thousand groups a choice by prices is taken as it is;
    under strict priorities only one that could be repaired.
    """
    relaxed = relaxed_solution(problem)
    if relaxed is not None and is_feasible(problem, relaxed):
        someone_waits = problem.unserved is not None and bool(relaxed[problem.unserved].any())
        if policy is SaturationPolicy.NONE or not someone_waits:
            return Construction(relaxed)  # nothing can be better
    stop = stop or _never
    priced: list[IntArray] = []
    if policy is SaturationPolicy.NONE:
        choices = list(priced_choices(problem, seed, stop))
        priced = [choice.columns for choice in choices]
        good = problem.priority is None or any(choice.repaired for choice in choices)
        if priced and good and problem.groups > _SOME_ORDERS_UP_TO:
            return _best_choice(problem, priced, start)
    return _best_run(problem, policy, delayed, seed, start, priced, stop, deadline)


def _never() -> bool:
    return False


def _best_choice(
    problem: AllocationProblem, priced: list[IntArray], start: IntArray | None
) -> Construction:
    """Return the best choice, or the start, as it is."""
    solutions = [_indicator(problem, choice) for choice in priced]
    solutions += [] if start is None else [start]
    values = [lexicographic_value(problem, x) for x in solutions]
    best = 0
    for rank in range(1, len(solutions)):
        if is_better(values[rank], values[best]):
            best = rank
    return Construction(solutions[best], priced=len(priced))


def _indicator(problem: AllocationProblem, choice: IntArray) -> IntArray:
    x = np.zeros(problem.columns, dtype=np.int64)
    x[choice] = 1
    return x


def _best_run(
    problem: AllocationProblem,
    policy: SaturationPolicy,
    delayed: bool,
    seed: int,
    start: IntArray | None,
    priced: list[IntArray],
    stop: Callable[[], bool],
    deadline: float,
) -> Construction:
    """Run the orders, improve what was found with the choices given, and keep the best.

    Where a choice by prices beats all orders on more than a hundred groups or so, only choices are
    improved: the orders rarely catch up, and their exchanges take longest.
    """
    orders = list(_orders(problem, seed))
    budget = _EXCHANGE_BUDGET // len(orders)
    placements: list[Placement | None] = []

    def run(budget_of_run: int) -> None:
        for order in orders:
            if placements and stop():
                return
            placements.append(_run(problem, order, policy, delayed, budget_of_run, deadline))

    run(0)
    tried = len(placements)
    stuck = all(placement is None for placement in placements)
    by_price = [_placed(problem, choice) for choice in priced]
    priced_win = problem.groups > _ALL_EXCHANGES_UP_TO and bool(by_price)
    if priced_win:
        ranked: list[Placement] = [p for p in placements if p is not None] + by_price
        priced_win = _best(problem, ranked) in by_price
    if not priced_win:
        run(budget)
    placements += by_price
    if policy is SaturationPolicy.NONE:
        given = [] if stop() or not by_price else [np.array(_best(problem, by_price).choice)]
        placements += _from_choices(problem, start, given, budget, repaired=stuck)
    found = [placement for placement in placements if placement is not None]
    if not found:
        return Construction(None, orders=tried)
    best = _best(problem, found)
    return Construction(best.solution(), best.parts(), tried, len(priced))


def _placed(problem: AllocationProblem, choice: IntArray) -> Placement:
    """Return a feasible choice as a placement."""
    placement = Placement(problem)
    for group, column in enumerate(choice.tolist()):
        placement.place(group, column)
    return placement


def _best(problem: AllocationProblem, placements: list[Placement]) -> Placement:
    return _first_best(placements, {id(p): _value(problem, p) for p in placements})


def _first_best(placements: list[Placement], values: dict[int, tuple[float, ...]]) -> Placement:
    best = placements[0]
    for placement in placements[1:]:
        if is_better(values[id(placement)], values[id(best)]):
            best = placement
    return best


def _value(problem: AllocationProblem, placement: Placement) -> tuple[float, ...]:
    """Return what solutions are compared by.

    Weights of groups not served in full by priority, then of groups with nothing at all, then the
    cost with parts paid in proportion.
    """
    nothing = lexicographic_value(problem, placement.solution())[:-1]
    weight, levels = group_weights(problem), priority_of(problem)
    lacking = list(nothing)
    for rank, level in enumerate(priority_levels(problem)):
        lacking[rank] += sum(float(weight[g]) for g in placement.taken if levels[g] == level)
    return (*lacking, *nothing, placed_cost(placement))


def placed_cost(placement: Placement) -> float:
    """Return the cost of what is placed; a part of a column costs its share."""
    whole = [
        placement.cost[column]
        * placement.taken.get(group, placement.whole(column))
        / placement.whole(column)
        for group, column in enumerate(placement.choice)
        if column != NOTHING
    ]
    return float(np.sum(whole))


def _orders(problem: AllocationProblem, seed: int) -> Iterator[_Order]:
    """Yield the orders tried: the reference's first, then others of the same, then other keys."""
    groups = problem.groups
    forward = list(range(groups))
    yield _Order(forward, regret)
    if groups > _SOME_ORDERS_UP_TO:
        return
    share = _capacity_share(problem)
    yield _Order(forward, _by_size(share))
    yield _Order(forward, _by_saving_per_size(share))
    if groups > _ALL_ORDERS_UP_TO:
        return
    yield _Order(forward[::-1], regret)
    yield _Order(forward, _by_regret_per_size(share))
    yield _Order(forward, _by_cheapness)
    generator = random.Random(seed)
    for _ in range(_SHUFFLES):
        ties = forward[:]
        generator.shuffle(ties)
        yield _Order(ties, regret)


def _capacity_share(problem: AllocationProblem) -> list[float]:
    """Return what each column takes of the rows' capacities, summed over rows, as (n,)."""
    matrix = problem.usage
    capacity = problem.capacity[matrix.rows]
    share = matrix.values / np.where(capacity > 0, capacity, np.inf)
    shares: list[float] = np.bincount(
        matrix.columns, weights=share, minlength=problem.columns
    ).tolist()
    return shares


def _by_size(share: list[float]) -> RegretKey:
    def key(placement: Placement, group: int, rank: int) -> tuple[float, ...]:
        return (share[placement.candidates[group][rank]], *regret(placement, group, rank))

    return key


def _by_regret_per_size(share: list[float]) -> RegretKey:
    def key(placement: Placement, group: int, rank: int) -> tuple[float, ...]:
        loss, value = regret(placement, group, rank)
        size = share[placement.candidates[group][rank]]
        return (loss / size if size > 0 else -np.inf, value)

    return key


def _by_saving_per_size(share: list[float]) -> RegretKey:
    """Order by what the candidate saves against the group's dearest, per share of capacity."""

    def key(placement: Placement, group: int, rank: int) -> tuple[float, ...]:
        candidates = placement.candidates[group]
        saving = placement.cost[candidates[-1]] - placement.cost[candidates[rank]]
        size = share[candidates[rank]]
        return (-saving / size if size > 0 else -np.inf, *regret(placement, group, rank))

    return key


def _by_cheapness(placement: Placement, group: int, rank: int) -> tuple[float, ...]:
    loss, value = regret(placement, group, rank)
    return (-value, loss)


def _run(
    problem: AllocationProblem,
    order: _Order,
    policy: SaturationPolicy,
    delayed: bool,
    budget: int,
    deadline: float,
) -> Placement | None:
    """Place priority by priority; with a budget, improve; None if a group cannot be placed."""
    placement = Placement(problem)
    levels = priority_of(problem)
    strict = problem.priority is not None
    search = _search(placement, budget) if budget else None
    waiting: list[int] = []
    for level in np.unique(levels).tolist():
        groups = np.flatnonzero(levels == level).tolist()
        left = place_by_regret(placement, groups, order.ties, order.key, deadline)
        if search is not None:
            search.reload()
            left = search.insert(left)
        if not delayed:
            saturate_placement(placement, left, policy)
        waiting += left
    if search is not None:
        search.reload()
        if strict:
            search.lower_cost()
    if delayed:
        saturate_placement(placement, waiting, policy)
    if not placement.complete():
        return None
    if not strict and search is not None and problem.unserved is not None:
        placement.admit_unserved()
        search = _search(placement, search.budget)
    if not strict and search is not None:
        search.lower_cost()
    return placement


def _search(placement: Placement, budget: int) -> ExchangeSearch:
    problem = placement.problem
    return ExchangeSearch(placement, priority_of(problem), group_weights(problem), budget)


def _from_choices(
    problem: AllocationProblem,
    start: IntArray | None,
    given: list[IntArray],
    budget: int,
    *,
    repaired: bool,
) -> list[Placement | None]:
    """Improve the start, the choices given, and repaired choices if asked."""
    choices: list[IntArray] = []
    if start is not None:
        columns = np.flatnonzero(start)
        choices.append(columns[np.argsort(problem.group[columns])])
    choices += given
    if repaired:
        choices += repaired_choices(problem)
    return [_improved_choice(problem, choice, budget) for choice in choices]


def _improved_choice(problem: AllocationProblem, choice: IntArray, budget: int) -> Placement | None:
    placement = Placement(problem)
    strict = problem.priority is not None
    waiting = []
    for group, column in enumerate(choice.tolist()):
        if strict and problem.unserved is not None and problem.unserved[column]:
            waiting.append(group)
        else:
            placement.place(group, column)
    if not strict:
        placement.admit_unserved()
    search = _search(placement, budget)
    levels = priority_of(problem)
    search.insert(sorted(waiting, key=lambda group: (levels[group], group)))
    search.lower_cost()
    return placement if placement.complete() else None
