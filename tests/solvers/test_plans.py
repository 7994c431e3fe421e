"""Groups taken apart into plans: lists, bounds, and proofs by `lagrangian`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers import AllocationProblem, Links, Reason, Split, check, solve
from solvers.enumeration import brute_force
from solvers.instances.horizon import horizon
from solvers.instances.split_fleet import split_fleet
from solvers.link_cases import golden_link_problems, random_link_problem
from solvers.plan_enumeration import enumerate_plans
from solvers.plan_groups import PlanGroups, suits_plans
from solvers.plan_units import plans_of_units
from solvers.split_cases import golden_split_problems, random_split_problem
from solvers.split_items import SplitItems

_GOLDEN = {n: (p, o) for n, p, o in (*golden_split_problems(), *golden_link_problems())}
_KINDS = ("choose", "strict choose", "whole", "penalty", "strict")


def _solve_by_plans(problem: AllocationProblem, optimum: tuple[float, ...] | None) -> None:
    """Solve whatever the size by plans, and compare with the optimum."""
    result = solve(problem, "lagrangian", direct_up_to=0)
    if optimum is None:
        assert result.termination.reason is Reason.INFEASIBLE
        return
    assert result.termination.reason is Reason.OPTIMAL, result.termination
    value = [*(stage.value for stage in result.stages), result.primal_bound]
    assert value == pytest.approx(optimum, abs=1e-6)
    assert result.x is not None
    report = check(problem, result.x, rates=result.rates, z=result.z)
    assert report.feasible, report.violations
    assert report.cost == pytest.approx(result.primal_bound, abs=1e-9)


@pytest.mark.parametrize("name", _GOLDEN)
def test_golden_optima(name: str) -> None:
    """Plans prove the optima worked out by hand, alone or with branch and cut."""
    _solve_by_plans(*_GOLDEN[name])


@settings(deadline=None, max_examples=30, derandomize=True)
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(("whole", "penalty", "strict")))
def test_split_optimum_equals_enumeration(seed: int, kind: str) -> None:
    """On small random problems whose groups split, the proven optimum is the enumerated one."""
    problem = random_split_problem(seed, kind, 1)
    _solve_by_plans(problem, brute_force(problem))


@settings(deadline=None, max_examples=30, derandomize=True)
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(_KINDS))
def test_linked_optimum_equals_enumeration(seed: int, kind: str) -> None:
    """The same with signed rows and further columns."""
    problem = random_link_problem(seed, kind)
    _solve_by_plans(problem, brute_force(problem))


@settings(deadline=None, max_examples=20, derandomize=True)
@given(seed=st.integers(0, 10_000), most=st.sampled_from((2, 1000)))
def test_lists_are_complete_as_far_as_they_say(seed: int, most: int) -> None:
    """The least value bounds every plan, and what is below `complete` is listed; by all counts."""
    random = np.random.default_rng(seed)
    columns = 4
    rate = random.uniform(0.5, 3.0, columns)
    problem = AllocationProblem(
        random.integers(1, 9, columns), np.zeros((0, columns)), [], np.zeros(columns, dtype=int),
        split=Split([True], demand=[4.0], owner=[0], edge_item=np.zeros(columns, dtype=int),
                    edge_column=np.arange(columns), edge_rate=rate,
                    spares=random.integers(0, 2, columns)),
    )  # fmt: skip
    groups = PlanGroups(problem, SplitItems(problem))
    price = problem.cost + random.uniform(-1.0, 2.0, columns)
    none = np.zeros(len(groups.option_count)), np.zeros(len(groups.begin_group))
    cells = enumerate_plans(groups, price, *none, np.array([np.inf]), 3.0, most, 1000)
    plans = plans_of_units(groups, cells, 3.0, 1000)
    split = problem.split
    assert split is not None
    assert split.spares is not None
    tops = [range(int(u) + 1) for u in groups.items.upper]
    everything = np.stack(np.meshgrid(*tops, indexing="ij"), axis=-1).reshape(-1, columns)
    carried = np.maximum(everything - split.spares, 0) @ rate
    served = everything[carried >= 4.0]
    values = served @ price
    assert plans.least[0] <= values.min() + 1e-9
    if most == 1000:
        assert plans.least[0] == pytest.approx(values.min())
    listed = np.zeros((len(plans.unit), columns))
    listed[plans.plan, plans.column] = plans.count
    known = {tuple(row) for row in listed.astype(int).tolist()}
    for counts, value in zip(served.tolist(), values.tolist(), strict=True):
        minimal = all(
            n == 0 or np.maximum(np.array(counts) - np.eye(columns, dtype=int)[k] - split.spares, 0)
            @ rate < 4.0
            for k, n in enumerate(counts)
        )  # fmt: skip
        if minimal and value < plans.complete[0] - 1e-9:
            assert tuple(counts) in known


@pytest.mark.parametrize("pools", ["yes", "no"])
@pytest.mark.parametrize("scarce", ["yes", "no"])
def test_fleets_agree_with_branch_and_cut(pools: str, scarce: str) -> None:
    """Plans and branch and cut prove the same stages and costs of a small fleet with everything."""
    problem = split_fleet(12, seed=3, pools=pools, scarce=scarce)
    mine = solve(problem, "lagrangian", direct_up_to=0, relative_gap=1e-6)
    theirs = solve(problem, "highs", relative_gap=1e-6)
    assert mine.termination.reason is Reason.OPTIMAL
    assert [s.value for s in mine.stages] == [s.value for s in theirs.stages]
    assert mine.primal_bound == pytest.approx(theirs.primal_bound, rel=2e-6)
    assert mine.x is not None
    report = check(problem, mine.x, rates=mine.rates, z=mine.z)
    assert report.feasible, report.violations


def test_a_pool_and_its_classes_are_one_unit() -> None:
    """Rows of beginnings alone join groups; every way to agree keeps the rows."""
    problem, _ = _GOLDEN["links, pool of split groups"]
    groups = PlanGroups(problem, SplitItems(problem))
    clusters = groups.clusters
    assert clusters.units == 1
    assert clusters.row.all()
    assert groups.shared_links() == 0
    (ways,) = clusters.ways.values()
    # Both classes in the pool and it is open, or neither and it is closed.
    assert len(ways) == 2


def test_horizons_are_left_to_blocks() -> None:
    """Where most groups are tied to the next by rows with shared z, their plans alone step back."""
    problem = horizon(2, seed=0, periods=3)
    items = SplitItems(problem)
    assert suits_plans(problem, items)
    assert PlanGroups(problem, items).shared_links() > problem.groups
    mine = solve(problem, "lagrangian", direct_up_to=0)
    theirs = solve(problem, "highs")
    assert mine.primal_bound == pytest.approx(theirs.primal_bound, rel=2e-6)


def test_what_shares_columns_does_not_suit() -> None:
    """Buckets on common columns, and rows of rates, are for branch and cut."""
    buckets, _ = _GOLDEN["length buckets"]
    assert not suits_plans(buckets, SplitItems(buckets))
    rates, _ = _GOLDEN["links, storage bandwidth"]
    assert not suits_plans(rates, SplitItems(rates))


def test_own_columns_of_a_choice_cost_with_it() -> None:
    """z that stands with one column of a group that chooses, and rows without z, are kept."""
    links = Links([-1, 0], [np.inf, 1], [[-3, 0, 0], [0, 0, 1]], [[1], [0]], cost=[4.0])
    problem = AllocationProblem([1, 10, 2], np.zeros((0, 3)), [], [0, 0, 1], links=links)
    _solve_by_plans(problem, (11.0,))
