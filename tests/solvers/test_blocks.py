"""Groups tied into blocks: which they are, what their plans prove, and how searches of them end."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers import AllocationProblem, Links, Reason, SparseColumns, check, solve
from solvers.block_plans import BlockPlans, BlockRows
from solvers.block_pricing import PricedBlock
from solvers.instances.horizon import horizon
from solvers.linked_blocks import Blocks, find_blocks, without_excluded
from solvers.mixed_programme import MixedProgramme
from solvers.split_items import SplitItems
from solvers.split_programme import SplitProgramme


def _days(services: int, periods: int, *, cards: float, strict: bool = False) -> AllocationProblem:
    """Services that choose in each period between a cheap place with few cards and a dear one.

    Going over to another place costs 3. Columns of a group: cheap at 1, dear at 2, unserved at 20.
    """
    groups = services * periods
    n = 3 * groups
    cheap = 3 * np.arange(groups).reshape(services, periods)
    before, after = cheap[:, :-1].ravel(), cheap[:, 1:].ravel()
    moves = np.arange(2 * len(before)).reshape(2, -1)
    one = np.ones(len(before))
    # z >= x_t - x_{t-1}, for the cheap place and for the dear one.
    of_x = SparseColumns.from_triplets(
        (moves.size, n),
        rows=np.concatenate([moves[0], moves[0], moves[1], moves[1]]),
        columns=np.concatenate([before, after, before + 1, after + 1]),
        values=np.concatenate([one, -one, one, -one]),
    )
    links = Links(
        np.zeros(moves.size),
        np.full(moves.size, np.inf),
        of_x,
        np.eye(moves.size),
        cost=np.full(moves.size, 3.0),
        integer=np.ones(moves.size, dtype=np.bool_),
    )
    usage = np.zeros((periods, n))
    for t in range(periods):
        usage[t, cheap[:, t]] = 1.0 + np.arange(services) % 2
    cost = np.tile([1.0, 2.0, 0.0 if strict else 20.0], groups)
    return AllocationProblem(
        cost,
        usage,
        np.full(periods, cards),
        np.repeat(np.arange(groups), 3),
        unserved=np.tile([False, False, True], groups),
        priority=np.ones(groups, dtype=np.int64) if strict else None,
        links=links,
    )


def _programme(problem: AllocationProblem) -> MixedProgramme:
    builder = SplitProgramme(problem, SplitItems(problem))
    return builder.programme(builder.cost_objective(), [], [])


def _blocks(problem: AllocationProblem) -> Blocks:
    blocks = find_blocks(_programme(problem), problem.group)
    assert blocks is not None
    return blocks


@pytest.mark.parametrize("problem", [_days(6, 5, cards=4), horizon(12, seed=1, periods=6)])
def test_a_block_is_a_service_over_all_periods(problem: AllocationProblem) -> None:
    """Periods of a service hang together; services share the rows of cards, nothing else."""
    blocks = _blocks(problem)
    services = [np.unique(problem.group[mine[mine < problem.columns]]) for mine in blocks.variables]
    periods = problem.rows // (problem.rows // 5) if problem.split is None else 6
    assert all(len(groups) == periods for groups in services)
    assert all(np.ptp(groups) == periods - 1 for groups in services)
    assert len(blocks.shared) == problem.rows
    assert not len(blocks.free)


def test_every_variable_and_row_is_somewhere_once() -> None:
    """In blocks, free or shared."""
    problem = _days(6, 5, cards=4)
    programme, blocks = _programme(problem), _blocks(problem)
    variables = np.concatenate([*blocks.variables, blocks.free])
    assert np.array_equal(np.sort(variables), np.arange(programme.variables))
    rows = np.concatenate([*blocks.rows, blocks.shared])
    assert np.array_equal(np.sort(rows), np.arange(len(programme.row_lower)))


def test_rows_across_everything_leave_no_blocks() -> None:
    """Where most rows hold variables of all groups, taking them apart says little."""
    rng = np.random.default_rng(0)
    links = Links(np.full(9, -9.0), np.full(9, 9.0), rng.choice([-1.0, 1.0], (9, 12)))
    problem = AllocationProblem(np.ones(12), np.zeros((0, 12)), [], np.arange(12) // 3, links=links)
    assert find_blocks(_programme(problem), problem.group) is None


def test_rows_that_exclude_units_tie_nothing_together() -> None:
    """x_0 + x_1 <= 0 leaves both no room and holds nothing more; 2 x_2 + x_0 <= 3 allows one."""
    programme = _programme(_days(2, 2, cards=4))
    extra = dataclasses.replace(
        programme,
        rows=np.concatenate([programme.rows, np.array([0, 0, 1, 1]) + len(programme.row_lower)]),
        columns=np.concatenate([programme.columns, [0, 1, 2, 0]]),
        values=np.concatenate([programme.values, [1.0, 1.0, 2.0, 1.0]]),
        row_lower=np.append(programme.row_lower, [-np.inf, -np.inf]),
        row_upper=np.append(programme.row_upper, [0.0, 3.0]),
    )
    kept = without_excluded(extra)
    assert kept.upper[:3].tolist() == [0.0, 0.0, 1.0]
    last = len(programme.row_lower)
    assert not (kept.rows == last).any()
    assert kept.columns[kept.rows == last + 1].tolist() == [2]


def test_the_best_plan_of_a_block_by_hand() -> None:
    """Alone a service stays in the cheap place; at a price of 5 in one period it never goes there.

    Three periods: 3 in the cheap place. With 5 more in the second, leaving and coming back would
    cost 2 + 6 beside 2 of the others, the dear place 6 in all, staying 8.
    """
    problem = _days(4, 3, cards=2)
    programme, blocks = _programme(problem), _blocks(problem)
    rows = BlockRows(programme, blocks, _cost(problem))
    plans = BlockPlans(blocks, rows)
    priced = PricedBlock(programme, blocks.variables[0], blocks.rows[0], 1.0, 0)
    for price, value in ((0.0, 3.0), (5.0, 6.0)):
        duals = np.zeros(len(rows.lower))
        duals[1] = -price
        reduced = rows.reduced(duals)[blocks.variables[0]]
        plan = priced.price(reduced, relative_gap=0.0, nodes=100, thorough=False, time_limit_s=None)
        assert plan.bound == pytest.approx(value)
        assert plan.value == pytest.approx(value)
        assert plan.values is not None
        number, new = plans.add(0, plan.values)
        assert new
        assert plans.add(0, plan.values) == (number, False)
    assert plans.rows(np.array([0, 1])).to_dense().tolist() == [[1, 0], [1, 0], [1, 0]]


def _cost(problem: AllocationProblem) -> np.ndarray:
    return SplitProgramme(problem, SplitItems(problem)).cost_objective()


@settings(deadline=None, max_examples=8, derandomize=True)
@given(
    services=st.integers(2, 6),
    periods=st.integers(2, 5),
    cards=st.integers(0, 5),
    strict=st.booleans(),
)
def test_blocks_prove_the_optimum_of_branch_and_cut(
    services: int, periods: int, cards: int, strict: bool
) -> None:
    """Whatever is scarce, in stages or not."""
    problem = _days(services, periods, cards=cards, strict=strict)
    mine = solve(problem, "lagrangian", direct_up_to=0)
    theirs = solve(problem, "highs")
    assert mine.termination.reason is theirs.termination.reason is Reason.OPTIMAL
    assert mine.primal_bound == pytest.approx(theirs.primal_bound)
    assert [s.value for s in mine.stages] == [s.value for s in theirs.stages]
    assert mine.x is not None
    assert check(problem, mine.x, None, mine.rates, mine.z).feasible


def test_what_cannot_be_is_proven() -> None:
    """Without a way out and with too few cards for units of 2, nothing is feasible."""
    problem = _days(4, 3, cards=3)
    usage = problem.usage.to_dense()
    usage[:, 1::3] = usage[:, 0::3]
    kept = np.tile([True, True, False], problem.groups)
    assert problem.links is not None
    tight = AllocationProblem(
        problem.cost[kept],
        usage[:, kept],
        problem.capacity,
        problem.group[kept],
        links=Links(
            problem.links.row_lower,
            problem.links.row_upper,
            problem.links.of_x.to_dense()[:, kept],
            problem.links.of_z,
            cost=problem.links.cost,
            integer=problem.links.integer,
        ),
    )
    result = solve(tight, "lagrangian", direct_up_to=0)
    assert result.termination.reason is Reason.INFEASIBLE


def test_gap_and_bound_of_a_day_hold_at_any_seed() -> None:
    """Neighbourhoods are random; what they prove is not."""
    problem = horizon(5, seed=3, periods=3)
    results = [
        solve(problem, "lagrangian", direct_up_to=0, relative_gap=0.02, seed=seed)
        for seed in (0, 1)
    ]
    assert all(result.termination.reason is Reason.OPTIMAL for result in results)
    most = min(result.primal_bound for result in results)
    assert all(result.dual_bound <= most * (1 + 1e-9) for result in results)
