"""The regret heuristic: order, ties, improvement, best effort, honesty."""

from __future__ import annotations

import numpy as np
import pytest

from solvers import (
    AllocationProblem,
    Limit,
    ProblemError,
    Reason,
    SaturationPolicy,
    SolverOptionError,
    check,
    saturate,
    solve,
)
from solvers.exchange import ExchangeSearch
from solvers.placement import NOTHING, Placement
from solvers.regret import place_by_regret
from solvers.repair import repaired_choices
from solvers.saturation import saturate_placement
from tests.solvers.problems import dense_problem, regret_trap, strict_problem


def placed_by_regret(problem: AllocationProblem) -> tuple[Placement, list[int]]:
    placement = Placement(problem)
    ties = list(range(problem.groups))
    return placement, place_by_regret(placement, range(problem.groups), ties)


def test_the_bare_heuristic_is_trapped_as_the_reference_is() -> None:
    """Largest regret first serves X first: 90, as the Go core says (counter-example 1)."""
    placement, left = placed_by_regret(regret_trap())
    assert left == []
    assert placement.choice == [0, 3, 5]
    assert sum(placement.cost[c] for c in placement.choice) == 90.0


def test_the_trap_is_escaped() -> None:
    """Among the orders tried is one that reaches the optimum of 70."""
    assert solve(regret_trap(), "greedy").primal_bound == 70.0


def test_an_exchange_of_two_groups() -> None:
    """The dear column of one group gives way when another saves more by it."""
    problem = AllocationProblem([1, 5, 1, 9], [[2, 1, 2, 1]], [3], [0, 0, 1, 1])
    placement = Placement(problem)
    placement.place(0, 0)
    placement.place(1, 3)
    ExchangeSearch(placement, np.ones(2, dtype=np.int64), np.ones(2)).lower_cost()
    assert placement.choice == [1, 2]


def test_a_waiting_group_puts_out_a_less_important_one() -> None:
    """Insertion frees room by the least important group, which waits in its place."""
    problem = strict_problem()
    placement = Placement(problem)
    for group, column in ((0, 0), (2, 4)):
        placement.place(group, column)
    assert problem.priority is not None
    search = ExchangeSearch(placement, problem.priority, np.ones(4))
    assert search.insert([1]) == [2]
    assert placement.choice == [0, 2, NOTHING, NOTHING]


def test_big_first_is_overcome() -> None:
    """Counter-example 2: equal regrets serve the largest only; two of three can be served."""
    units = [2.0, 1.0, 1.0]
    cost = [20.0, 0, 10, 0, 10, 0]
    usage = [[units[0], 0, units[1], 0, units[2], 0]]
    problem = AllocationProblem(
        cost, usage, [2], [0, 0, 1, 1, 2, 2], priority=[1, 1, 1], unserved=[0, 1] * 3
    )
    assert placed_by_regret(problem)[1] == [1, 2]
    assert [stage.value for stage in solve(problem, "greedy").stages] == [1.0]


def test_ties_follow_the_stated_order() -> None:
    """Equal groups go by the given rank, whatever their number."""
    problem = AllocationProblem([1, 1, 1], [[1, 1, 1]], [1], [0, 1, 2], unserved=[0, 0, 0])
    placement = Placement(problem)
    assert place_by_regret(placement, range(3), [2, 0, 1]) == [2, 0]
    assert placement.choice == [NOTHING, 1, NOTHING]


@pytest.mark.parametrize("seed", range(6))
def test_dense_problems_without_unserved_columns_are_filled(seed: int) -> None:
    """A classical MMKP gets a checked solution near the optimum, with a valid bound."""
    problem = dense_problem(20, 8, 4, seed)
    result = solve(problem, "greedy")
    assert result.termination.reason is Reason.FEASIBLE
    assert result.termination.limit is Limit.COMPLETED
    assert result.x is not None
    assert check(problem, result.x).feasible
    optimum = solve(problem, "milp").primal_bound
    assert optimum <= result.primal_bound <= 0.85 * optimum
    assert result.dual_bound <= optimum


def test_repair_finds_what_the_orders_miss() -> None:
    """Two rows pull apart: the cheapest columns overload, and the repair ends feasible."""
    problem = AllocationProblem(
        [1, 5, 1, 5, 1, 5], [[3, 1, 3, 1, 3, 1], [1, 2, 1, 2, 1, 2]], [5, 5], [0, 0, 1, 1, 2, 2]
    )
    found = list(repaired_choices(problem))
    assert found
    for choice in found:
        x = np.zeros(6, dtype=int)
        x[choice] = 1
        assert check(problem, x).feasible


def test_infeasible_only_when_proved() -> None:
    """A group none of whose columns fits alone is a proof; one that finds no room is not."""
    alone = AllocationProblem([1, 2], [[3, 4]], [2], [0, 0])
    assert solve(alone, "greedy").termination.reason is Reason.INFEASIBLE
    together = AllocationProblem([1, 1], [[2, 2]], [3], [0, 1])
    result = solve(together, "greedy")
    assert result.termination.reason is Reason.NO_SOLUTION_FOUND
    assert result.termination.limit is Limit.COMPLETED


def test_optimal_only_when_the_bound_is_met() -> None:
    """Room for every cheapest column is a proof of optimality."""
    roomy = AllocationProblem([20, 50, 10, 35], [[2, 0, 1, 0]], [3], [0, 0, 1, 1])
    result = solve(roomy, "greedy")
    assert result.termination.reason is Reason.OPTIMAL
    assert result.relative_gap == 0.0
    assert solve(regret_trap(), "greedy").termination.reason is Reason.FEASIBLE


@pytest.mark.parametrize(
    ("policy", "parts"),
    [
        # 1 and 2 units to priority 1; the unit that is left goes to the group of priority 2.
        ("priority-exhaustive", {0: 1, 2: 2, 4: 1}),
        ("priority-round-robin", {0: 1, 2: 2, 4: 1}),
        ("round-robin", {0: 1, 2: 2, 4: 1}),
    ],
)
def test_best_effort_by_hand(policy: str, parts: dict[int, int]) -> None:
    """What is left after full service goes in parts, by priority; cost and usage in proportion."""
    problem = strict_problem(parts=True)
    result = solve(problem, "greedy", saturation_policy=policy)
    assert result.x is not None
    assert result.parts is not None
    assert {int(c): int(result.parts[c]) for c in np.flatnonzero(result.parts)} == {
        **parts, 7: 1,
    }  # fmt: skip
    assert result.primal_bound == 40.0
    assert [stage.value for stage in result.stages] == [0.0, 0.0, 1.0]
    assert result.termination.reason is Reason.FEASIBLE
    assert check(problem, result.x, result.parts).cost == result.primal_bound


def leftovers(capacity: float) -> AllocationProblem:
    """Three groups of priorities 1, 1, 2 that want 4, 4 and 6 units, all too large."""
    return AllocationProblem(
        [40, 0, 40, 0, 60, 0], [[4, 0, 4, 0, 6, 0]], [capacity], [0, 0, 1, 1, 2, 2],
        priority=[1, 1, 2], unserved=[0, 1] * 3, parts=[4, 1, 4, 1, 6, 1],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "taken"),
    [
        (SaturationPolicy.PRIORITY_EXHAUSTIVE, [3, 0, 0]),
        (SaturationPolicy.PRIORITY_ROUND_ROBIN, [2, 1, 0]),
        (SaturationPolicy.ROUND_ROBIN, [1, 1, 1]),
        (SaturationPolicy.NONE, [0, 0, 0]),
    ],
)
def test_how_each_policy_shares_three_units(policy: SaturationPolicy, taken: list[int]) -> None:
    """All to the first; in turns within priority 1; in turns over everyone; nothing."""
    problem = leftovers(3)
    placement = Placement(problem)
    saturate_placement(placement, [0, 1, 2], policy)
    assert [placement.taken.get(group, 0) for group in range(3)] == taken
    x, parts = saturate(problem, np.array([0, 1, 0, 1, 0, 1]), policy)
    report = check(problem, x, parts)
    assert report.feasible
    assert report.cost == 10.0 * sum(taken)


def test_saturation_after_an_exact_solver() -> None:
    """Leftovers of an exact solution go to its unserved groups; who is served stays so."""
    problem = strict_problem(parts=True)
    optimum = solve(problem, "milp")
    assert optimum.x is not None
    x, parts = saturate(problem, optimum.x, "round-robin")
    report = check(problem, x, parts)
    assert report.feasible
    assert report.usage.tolist() == [4.0]
    served = (optimum.x == 1) & ~np.array([0, 1] * 4, dtype=bool)
    assert parts is not None
    assert problem.parts is not None
    assert (parts[served] == problem.parts[served]).all()


def test_the_delay_of_best_effort() -> None:
    """Per priority, a part for priority 1 may take what priority 2 needs; delayed, it may not."""
    problem = AllocationProblem(
        [50, 0, 30, 0], [[5, 0, 3, 0]], [4], [0, 0, 1, 1], priority=[1, 2], unserved=[0, 1] * 2,
        parts=[5, 1, 3, 1],
    )  # fmt: skip
    now = solve(problem, "greedy", saturation_policy="priority-exhaustive")
    assert now.parts is not None
    assert now.parts.tolist() == [4, 0, 0, 1]
    later = solve(
        problem, "greedy", saturation_policy="priority-exhaustive", delayed_best_effort=True
    )
    assert later.parts is not None
    assert later.parts.tolist() == [1, 0, 3, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"saturation_policy": "all"}, "must be one of none, priority-exhaustive"),
        ({"delayed_best_effort": 1}, "delayed_best_effort = 1: must be a bool"),
        ({"saturation_policy": "round-robin"}, "needs the problem's `parts`"),
    ],
)
def test_bad_options(options: dict[str, object], message: str) -> None:
    """Unknown policies, wrong types and a policy without parts are refused with the remedy."""
    with pytest.raises(SolverOptionError, match=message):
        solve(strict_problem(), "greedy", **options)


def test_saturation_needs_parts() -> None:
    """Without parts or unserved columns there is nothing to share."""
    with pytest.raises(ProblemError, match="saturation needs `parts`"):
        saturate(strict_problem(), np.array([0, 1] * 4), "round-robin")


def test_the_answer_does_not_depend_on_the_run() -> None:
    """Two runs are equal; another seed may differ but keeps the rules."""
    problem = dense_problem(40, 6, 3, seed=5)
    first, second = (solve(problem, "greedy", seed=3).x for _ in range(2))
    assert first is not None
    assert np.array_equal(first, second)
    other = solve(problem, "greedy", seed=4).x
    assert other is not None
    assert check(problem, other).feasible
