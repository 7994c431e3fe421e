"""Problems of several components: found, solved apart, and joined again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import solvers.components
from solvers import AllocationProblem, Links, Progress, Reason, Split, check, solve
from solvers.base import SolveParams, Start
from solvers.component_search import solve_components
from solvers.components import Component, components
from solvers.enumeration import brute_force
from solvers.instances.split_fleet import split_fleet
from solvers.lexicographic import priority_levels
from solvers.link_cases import random_link_problem
from solvers.problem import IntArray
from solvers.result import Limit, SolveResult, Termination
from solvers.sparse_columns import SparseColumns

_SIDES = ("row_lower", "row_upper")


def _beside(
    pair: tuple[AllocationProblem, AllocationProblem], order: IntArray
) -> AllocationProblem:
    """Return both problems as one, with its columns in a given order."""
    n = [p.columns for p in pair]
    place = np.argsort(order)

    def joined(arrays: list[Any], offset: int = 0) -> Any:
        if any(array is None for array in arrays):
            return None
        return np.concatenate([arrays[0], arrays[1] + offset if offset else arrays[1]])

    def block(matrices: list[SparseColumns], columns: IntArray | None = None) -> SparseColumns:
        shape = tuple(sum(m.shape[side] for m in matrices) for side in (0, 1))
        rows = joined([m.rows for m in matrices], matrices[0].shape[0])
        column = joined([m.columns for m in matrices], matrices[0].shape[1])
        return SparseColumns.from_triplets(
            (shape[0], shape[1]), rows=rows, values=joined([m.values for m in matrices]),
            columns=column if columns is None else columns[column],
        )  # fmt: skip

    def of(name: str, offset: int = 0, *, sorted_by: IntArray | None = None) -> Any:
        array = joined([getattr(p, name) for p in pair], offset)
        return array if array is None or sorted_by is None else array[sorted_by]

    split, links = [p.split for p in pair], [p.links for p in pair]
    whole_split = whole_links = None
    if split[0] is not None and split[1] is not None:
        arrays = {}
        offsets = {"owner": pair[0].groups, "edge_item": split[0].items, "edge_column": n[0]}
        for (name, mine), (_, theirs) in zip(split[0].arrays(), split[1].arrays(), strict=True):
            arrays[name] = joined([mine, theirs], offsets.get(name, 0))
            if arrays[name] is not None and name in ("lower", "upper", "spares", "elsewhere"):
                arrays[name] = arrays[name][order]
        arrays["edge_column"] = place[arrays["edge_column"]]
        whole_split = Split(**arrays)
    if links[0] is not None and links[1] is not None:
        known = [links[0], links[1]]
        rates = [link.of_rates for link in known]
        bounds = [joined([getattr(link, side) for link in known]) for side in _SIDES]
        whole_links = Links(
            *bounds,
            block([link.of_x for link in known], place), block([link.of_z for link in known]),
            of_rates=None if rates[0] is None or rates[1] is None else block([rates[0], rates[1]]),
            **{name: joined([getattr(link, name) for link in known])
               for name in ("cost", "lower", "upper", "integer")},
        )  # fmt: skip
    return AllocationProblem(
        of("cost", sorted_by=order),
        block([p.usage for p in pair], place),
        of("capacity"),
        of("group", pair[0].groups, sorted_by=order),
        priority=of("priority"),
        weight=of("weight"),
        unserved=of("unserved", sorted_by=order),
        split=whole_split,
        links=whole_links,
    )


@pytest.mark.parametrize(
    ("kind", "coupled", "seed"),
    [("choose", False, 20), ("strict choose", False, 2), ("whole", True, 3), ("whole", True, 23),
     ("penalty", False, 4), ("strict", True, 31)],
)  # fmt: skip
def test_apart_the_optimum_is_the_sum_of_both(kind: str, coupled: bool, seed: int) -> None:
    """Two random problems as one, columns mixed: the optimum is that of both by enumeration."""
    pair = tuple(random_link_problem(s, kind, coupled=coupled) for s in (seed, seed + 8))
    order = np.random.default_rng(seed).permutation(sum(p.columns for p in pair))
    problem = _beside((pair[0], pair[1]), order)
    optima = [brute_force(p) for p in pair]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(solvers.components, "_LEAST_GROUPS", 1)
        assert len(components(problem)) >= 2
        result = solve(problem, "highs")
    if optima[0] is None or optima[1] is None:
        assert result.termination.reason is Reason.INFEASIBLE
        return
    assert result.termination.reason is Reason.OPTIMAL
    levels = [*priority_levels(problem), None]
    wanted = dict.fromkeys(levels, 0.0)
    for part, optimum in zip(pair, optima, strict=True):
        for level, value in zip([*priority_levels(part), None], optimum, strict=True):
            wanted[level] += value
    value = [*(stage.value for stage in result.stages), result.primal_bound]
    assert value == pytest.approx([wanted[level] for level in levels], abs=1e-6)
    assert result.x is not None
    report = check(problem, result.x, rates=result.rates, z=result.z)
    assert report.feasible, report.violations
    assert report.cost == pytest.approx(result.primal_bound, abs=1e-9)


def test_zones_are_components_and_every_column_is_in_one() -> None:
    """A fleet in three zones falls into three components, which hold everything once."""
    problem = split_fleet(150, seed=1, zones=3, pools="yes", scarce="yes")
    parts = components(problem)
    assert len(parts) == 3
    for name, count in (("columns", problem.columns), ("z", problem.links.columns)):
        places = np.concatenate([getattr(part, name) for part in parts])
        assert sorted(places.tolist()) == list(range(count))
    assert sum(part.problem.rows for part in parts) == problem.rows
    assert sum(part.problem.links.rows for part in parts) == problem.links.rows


def test_of_many_components_the_smaller_ones_are_solved_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Six zones in at most four parts: the three largest alone."""
    monkeypatch.setattr(solvers.components, "_MOST_PARTS", 4)
    problem = split_fleet(120, seed=1, zones=6, pools="no")
    sizes = [part.problem.groups for part in components(problem)]
    assert len(sizes) == 4
    assert sum(sizes) == 120
    assert sizes[-1] == max(sizes)


def test_a_common_row_holds_everything_together() -> None:
    """With one more row that all columns use there is a single component, the whole."""
    problem = split_fleet(100, seed=1, zones=2, pools="no")
    budget = SparseColumns.from_any(problem.cost[None, :])
    tied = AllocationProblem(
        problem.cost, SparseColumns.stack([problem.usage, budget]),
        np.append(problem.capacity, 1e9), problem.group, priority=problem.priority,
        unserved=problem.unserved, split=problem.split, links=problem.links,
    )  # fmt: skip
    assert len(components(problem)) == 2
    assert [part.problem for part in components(tied)] == [tied]


def test_a_row_that_nothing_can_keep_is_not_lost() -> None:
    """A row of links without entries belongs to no group; what it asks for is impossible."""
    problem = split_fleet(100, seed=1, zones=2, pools="no")
    links = problem.links
    assert links is not None
    more = Links([1.0], [2.0], np.zeros((1, problem.columns)), np.zeros((1, links.columns)))
    broken = AllocationProblem(
        problem.cost, problem.usage, problem.capacity, problem.group, priority=problem.priority,
        unserved=problem.unserved, split=problem.split, links=_on_top(links, more),
    )  # fmt: skip
    assert len(components(broken)) == 2
    result = solve(broken, "lagrangian", relative_gap=1e-2)
    assert result.termination.reason is Reason.INFEASIBLE


def _on_top(links: Links, more: Links) -> Links:
    return Links(
        np.append(links.row_lower, more.row_lower), np.append(links.row_upper, more.row_upper),
        SparseColumns.stack([links.of_x, more.of_x]), SparseColumns.stack([links.of_z, more.of_z]),
        cost=links.cost, lower=links.lower, upper=links.upper, integer=links.integer,
    )  # fmt: skip


def test_the_whole_is_reported_when_all_are_solved() -> None:
    """Stages and cost are told of once, in order, as the sums over the components."""
    problem = split_fleet(90, seed=2, zones=2, pools="no")
    told: list[Progress] = []
    result = solve(problem, "lagrangian", relative_gap=1e-2, progress=told.append)
    assert [p.priority for p in told] == [1, 2, 3, None]
    values = [*(stage.value for stage in result.stages), result.primal_bound]
    assert [p.incumbent for p in told] == values
    assert all(p.bound <= p.incumbent for p in told)
    assert "2 components" in " ".join(result.statistics.notes)


@pytest.mark.parametrize("again", ["better", "nothing"])
def test_time_that_is_left_goes_to_what_is_open(again: str) -> None:
    """The open component is asked once more, begins at what it had, and keeps the higher bound."""
    one = AllocationProblem([2.0, 5.0], np.ones((1, 2)), [9.0], [0, 0])
    parts = [Component(one, np.array([k, k + 1]), np.arange(0), np.arange(0)) for k in (0, 2)]
    asked: list[float | None] = []

    def solve_part(
        problem: AllocationProblem, params: SolveParams, start: Start | None
    ) -> SolveResult:
        asked.append(None if start is None or start.x is None else float(start.x @ problem.cost))
        if len(asked) == 2:
            return _found([0, 1], 5.0, 1.5)
        if len(asked) == 3 and again == "nothing":
            return SolveResult(termination=Termination(Reason.NO_SOLUTION_FOUND, Limit.TIME))
        return _found([1, 0], 2.0, 2.0 if len(asked) == 1 else 1.0)

    whole = AllocationProblem(
        np.tile(one.cost, 2), np.kron(np.eye(2), np.ones((1, 2))), [9.0, 9.0], [0, 0, 1, 1]
    )
    result = solve_components(whole, parts, SolveParams(time_limit_s=60.0), None, solve_part)
    assert asked == [None, None, 5.0]
    assert result.primal_bound == (4.0 if again == "better" else 7.0)
    assert result.dual_bound == 3.5
    assert result.x is not None
    assert result.x.tolist() == ([1, 0, 1, 0] if again == "better" else [1, 0, 0, 1])


@pytest.mark.parametrize("other", ["solved", "impossible"])
def test_a_component_without_a_solution_gets_the_time_that_is_left(other: str) -> None:
    """Its share was too short: the others are solved, it is asked again; one lost ends it all."""
    one = AllocationProblem([2.0, 5.0], np.ones((1, 2)), [9.0], [0, 0])
    parts = [Component(one, np.array([k, k + 1]), np.arange(0), np.arange(0)) for k in (0, 2)]
    asked: list[bool] = []

    def solve_part(
        problem: AllocationProblem, params: SolveParams, start: Start | None
    ) -> SolveResult:
        asked.append(start is None)
        if len(asked) == 1:
            return SolveResult(termination=Termination(Reason.NO_SOLUTION_FOUND, Limit.TIME))
        if len(asked) == 2 and other == "impossible":
            return SolveResult(termination=Termination(Reason.INFEASIBLE), dual_bound=np.inf)
        return _found([1, 0], 2.0, 2.0)

    whole = AllocationProblem(
        np.tile(one.cost, 2), np.kron(np.eye(2), np.ones((1, 2))), [9.0, 9.0], [0, 0, 1, 1]
    )
    result = solve_components(whole, parts, SolveParams(time_limit_s=60.0), None, solve_part)
    if other == "impossible":
        assert asked == [True, True]
        assert result.termination.reason is Reason.INFEASIBLE
        assert result.dual_bound == np.inf
        return
    assert asked == [True, True, True]
    assert result.termination.reason is Reason.OPTIMAL
    assert result.primal_bound == result.dual_bound == 4.0


def _found(x: list[int], value: float, bound: float) -> SolveResult:
    proven = value == bound
    return SolveResult(
        termination=Termination(Reason.OPTIMAL if proven else Reason.FEASIBLE,
                                None if proven else Limit.TIME),
        primal_bound=value, dual_bound=bound, x=np.array(x),
    )  # fmt: skip
