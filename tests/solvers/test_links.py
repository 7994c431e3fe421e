"""Linked columns: the arrays, the files, the checker, and the proofs of the solvers."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers import (
    AllocationProblem,
    Links,
    ProblemError,
    Reason,
    Split,
    UnsupportedFeatureError,
    check,
    problem_from_json,
    problem_to_json,
    read_problem,
    solve,
    write_model,
    write_problem,
)
from solvers.enumeration import brute_force
from solvers.link_cases import golden_link_problems, random_link_problem
from solvers.sparse_columns import SparseColumns

_GOLDEN = {name: (problem, optimum) for name, problem, optimum in golden_link_problems()}
_KINDS = ("choose", "strict choose", "whole", "penalty", "strict")
_ARRAYS: dict[str, Any] = {
    "row_lower": [0.0, -np.inf],
    "row_upper": [np.inf, 2.0],
    "of_x": [[1.0, 0.0, -2.0], [0.0, 0.0, 1.0]],
    "of_z": [[1.0], [1.5]],
    "of_rates": [[0.0, 1.0], [0.0, 0.0]],
    "cost": [3.0],
    "lower": [-1.0],
    "upper": [np.inf],
    "integer": [True],
}


def _problem(**changes: Any) -> AllocationProblem:
    """A group that splits over two columns, one that chooses, two linked rows."""
    split = Split(
        [True, False], demand=[4], owner=[0], edge_item=[0, 0], edge_column=[0, 1],
        edge_rate=[2, 3], upper=[5, 5, 1],
    )  # fmt: skip
    links = Links(**{**_ARRAYS, **changes})
    return AllocationProblem([1, 2, 5], [[1, 1, 0]], [9], [0, 0, 1], split=split, links=links)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"row_lower": [0, np.nan]}, "links.row_lower[1] = nan: must be a number or -inf"),
        ({"row_upper": [1, -np.inf]}, "links.row_upper[1] = -inf: must be a number or inf"),
        ({"row_lower": [1, 3]}, "links.row_upper[1] = 2.0: must be at least links.row_lower"),
        ({"row_upper": [1]}, "links.row_upper: 1 entries, 2 are wanted"),
        ({"of_x": [[1, np.inf, 0]] * 2}, "links.of_x[0, 1] = inf: must be finite"),
        ({"of_x": [[1, 0, 0]]}, "links.of_x: 1 rows, 2 are wanted"),
        ({"of_x": [1, 2]}, "links.of_x: must have two dimensions"),
        ({"of_x": [[1, 0]] * 2}, "links.of_x: 2 columns, 3 are wanted"),
        ({"of_z": [[1]]}, "links.of_z: 1 rows, 2 are wanted"),
        ({"of_rates": [[1]] * 2}, "links.of_rates: 1 columns, 2 wanted"),
        ({"cost": [1, 2]}, "links.cost: 2 entries, 1 are wanted"),
        ({"cost": [np.inf]}, "links.cost[0] = inf: must be finite"),
        ({"cost": [-1]}, "needs a finite bound on the side that it pulls to"),
        ({"lower": [-np.inf]}, "needs a finite bound on the side that it pulls to"),
        ({"lower": [0.5]}, "links.lower[0] = 0.5: must be whole where z is"),
        ({"integer": [2]}, "links.integer: true and false are wanted"),
        ({"cost": ["a"]}, "links.cost: numbers are wanted"),
    ],
)
def test_faults_are_named(changes: dict[str, Any], fault: str) -> None:
    """Each fault names its array, the entry and what is wanted."""
    with pytest.raises(ProblemError) as error:
        _problem(**changes)
    assert fault in str(error.value)


def test_faults_are_reported_together() -> None:
    """Two faults, one message."""
    with pytest.raises(ProblemError) as error:
        _problem(row_lower=[5, 5], row_upper=[1, 1], cost=[np.nan])
    assert {"links.row_upper", "links.cost"} <= {
        line.removeprefix("- ").partition("[")[0] for line in str(error.value).splitlines()
    }


def test_rates_need_a_split_part() -> None:
    """Rows of rates without rates are refused."""
    with pytest.raises(ProblemError, match=r"links\.of_rates: rates need `split`"):
        AllocationProblem([1], [[1]], [1], [0], links=Links([0], [1], [[1]], of_rates=[[1]]))


def test_linked_columns_that_split_need_a_limit() -> None:
    """More units than the load takes may be worth having, so their number must be limited."""
    split = Split([True], demand=[1], owner=[0], edge_item=[0], edge_column=[0], edge_rate=[1])
    with pytest.raises(ProblemError, match=r"split.upper\[0\] = inf: must be finite where links"):
        AllocationProblem([1], [[1]], [1], [0], split=split, links=Links([0], [9], [[1]]))


def test_defaults() -> None:
    """Further columns are free of cost, at least 0, unlimited and not whole unless said."""
    links = Links([0], [1], [[1]], [[1, 1]])
    assert links.cost.tolist() == [0, 0]
    assert links.lower.tolist() == [0, 0]
    assert links.upper.tolist() == [np.inf, np.inf]
    assert links.integer.tolist() == [False, False]
    assert Links([0], [1], [[1]]).columns == 0


def test_two_linked_parts_side_by_side_hold_both() -> None:
    """Rows of both, further columns of both, and neither knows the other's."""
    first = Links([0.0], [1.0], [[1.0, 0.0]], [[2.0]], cost=[3.0], of_rates=[[1.0, 0.0, 4.0]])
    second = Links([-1.0, 0.0], [5.0, 6.0], [[0.0, 1.0], [1.0, 1.0]], [[7.0, 0.0], [0.0, 8.0]],
                   lower=[1.0, 2.0], integer=[True, False])  # fmt: skip
    both = first.beside(second)
    assert both == Links(
        [0.0, -1.0, 0.0],
        [1.0, 5.0, 6.0],
        [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]],
        [[2.0, 0.0, 0.0], [0.0, 7.0, 0.0], [0.0, 0.0, 8.0]],
        of_rates=[[1.0, 0.0, 4.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
        cost=[3.0, 0.0, 0.0],
        lower=[0.0, 1.0, 2.0],
        integer=[False, True, False],
    )


def test_comparing_and_pickling() -> None:
    """Problems with equal links are equal, also after a journey; a changed entry shows."""
    problem = _problem()
    again = pickle.loads(pickle.dumps(problem))
    assert again == problem
    assert repr(again.links) == repr(problem.links)
    assert "links" in repr(problem)
    assert problem != _problem(cost=[4.0])
    assert problem != _problem(of_x=[[1, 0, -2], [0, 1, 1]])
    assert problem != _problem(of_rates=None)


@pytest.mark.parametrize("name", _GOLDEN)
def test_json_and_archives_keep_every_bit(name: str, tmp_path: Path) -> None:
    """Files of both kinds give the same problem back."""
    problem, _ = _GOLDEN[name]
    assert problem_from_json(problem_to_json(problem)) == problem
    for ending in (".json", ".npz"):
        path = tmp_path / f"problem{ending}"
        write_problem(problem, path)
        assert read_problem(path) == problem


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('"integer"', '"whole"', "unknown keys whole"),
        ('"of_x": {"shape"', '"of_x": {"size"', "links of_x: shape, indptr, rows, values are"),
        ('"of_z": {"shape": [2, 1], "indptr": [0, 2]', '"of_z": {"shape": [2, 1], "indptr": [0, 9]',
         "links of_z: shape, indptr, rows and values do not fit together"),
        ('"row_lower": [0.0, "-inf"], ', "", "missing links row_lower"),
    ],
)  # fmt: skip
def test_files_name_their_faults(old: str, new: str, fault: str) -> None:
    """What is wrong in the linked part of a file is named."""
    text = problem_to_json(_problem())
    assert old in text
    with pytest.raises(ProblemError) as error:
        problem_from_json(text.replace(old, new), "file")
    assert fault in str(error.value)


def test_check_names_what_is_broken() -> None:
    """Rows, bounds and whole z are checked, and the cost includes that of z."""
    problem = _problem()
    good = check(problem, [2, 0, 1], rates=[4, 0], z=[0])
    assert good.feasible, good.violations
    assert good.cost == 7.0
    for z, words in (([0.5], "a whole number from -1 to inf"), ([-2], "z[0] = -2"),
                     ([1], "links row 1: 2.5, at most 2 is wanted")):  # fmt: skip
        report = check(problem, [2, 0, 1], rates=[4, 0], z=z)
        assert not report.feasible
        assert any(words in fault for fault in report.violations), report.violations
    low = check(problem, [2, 0, 1], rates=[4, 0], z=[-1])
    assert low.violations == ("links row 0: -1, at least 0 is wanted",)
    assert not check(problem, [2, 0, 1], rates=[4, 0], z=[0, 1]).feasible


def test_check_finds_the_cheapest_z_itself() -> None:
    """Where only x is known, z is the cheapest that keeps the rows, or there is none."""
    more = Links([-2], [np.inf], [[-1, -3]], [[1]], cost=[2], upper=[4])
    problem = AllocationProblem([5, 4], np.zeros((0, 2)), [], [0, 0], links=more)
    assert check(problem, [0, 1]).cost == pytest.approx(6.0)
    none = Links([3], [np.inf], [[0, -3]], [[1]], cost=[2], upper=[4])
    problem = AllocationProblem([5, 4], np.zeros((0, 2)), [], [0, 0], links=none)
    report = check(problem, [0, 1])
    assert not report.feasible
    assert report.violations == ("links: no z keeps their rows beside this x",)


@pytest.mark.parametrize("solver", ["highs", "milp", "cbc", "auto"])
@pytest.mark.parametrize("name", _GOLDEN)
def test_golden_optima(name: str, solver: str) -> None:
    """Every back end proves the optimum worked out by hand."""
    problem, optimum = _GOLDEN[name]
    options = {"backend": "CBC"} if solver == "cbc" else {}
    result = solve(problem, "milp" if solver == "cbc" else solver, **options)
    if optimum is None:
        assert result.termination.reason is Reason.INFEASIBLE
        return
    assert result.termination.reason is Reason.OPTIMAL
    value = [*(stage.value for stage in result.stages), result.primal_bound]
    assert value == pytest.approx(optimum, abs=1e-6)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(_KINDS), coupled=st.booleans())
def test_optimum_equals_enumeration(seed: int, kind: str, coupled: bool) -> None:
    """On small random problems of every kind the proven optimum is the enumerated one."""
    problem = random_link_problem(seed, kind, coupled=coupled)
    optimum = brute_force(problem)
    result = solve(problem, "highs")
    if optimum is None:
        assert result.termination.reason is Reason.INFEASIBLE
        return
    assert result.termination.reason is Reason.OPTIMAL
    assert result.x is not None
    report = check(problem, result.x, rates=result.rates, z=result.z)
    assert report.feasible, report.violations
    value = [*(stage.value for stage in result.stages), result.primal_bound]
    assert value == pytest.approx(optimum, abs=1e-6)
    assert report.cost == pytest.approx(result.primal_bound, abs=1e-9)


@settings(deadline=None, max_examples=15, derandomize=True)
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(_KINDS))
def test_a_start_changes_nothing(seed: int, kind: str) -> None:
    """From its own optimum, without z, a solve ends at the same value."""
    problem = random_link_problem(seed, kind)
    first = solve(problem, "highs")
    if first.x is None:
        return
    again = solve(problem, "highs", start=first)
    assert again.primal_bound == pytest.approx(first.primal_bound, abs=1e-6)
    assert not any("not feasible" in note for note in again.statistics.notes)


@settings(deadline=None, max_examples=15, derandomize=True)
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(("choose", "penalty")))
def test_wider_rows_never_cost_more(seed: int, kind: str) -> None:
    """The optimum with a row removed is at most that with it."""
    problem = random_link_problem(seed, kind)
    tight = solve(problem, "highs")
    links = problem.links
    assert links is not None
    wider = Links(
        np.append(-np.inf, links.row_lower[1:]), np.append(np.inf, links.row_upper[1:]),
        links.of_x, links.of_z, cost=links.cost, lower=links.lower, upper=links.upper,
        integer=links.integer,
    )  # fmt: skip
    loose = solve(
        AllocationProblem(problem.cost, problem.usage, problem.capacity, problem.group,
                          split=problem.split, links=wider), "highs",
    )  # fmt: skip
    assert loose.primal_bound <= tight.primal_bound + 1e-6


def test_solvers_without_links_name_those_that_have_them() -> None:
    """Refusals say who can; of links that are agreements, cp-sat can too."""
    problem, _ = _GOLDEN["links, starts"]
    for name in ("greedy", "cp-sat", "convex"):
        with pytest.raises(
            UnsupportedFeatureError, match=r"lacks links.*auto, highs, lagrangian, milp"
        ):
            solve(problem, name)
    agreeing, _ = _GOLDEN["links, pool"]
    for name in ("greedy", "convex"):
        with pytest.raises(UnsupportedFeatureError, match=r"lacks agreements.*auto, cp-sat, highs"):
            solve(agreeing, name)


def test_a_group_served_elsewhere_is_not_unserved() -> None:
    """A class in a pool counts as served in its priority's stage, and to the checker."""
    problem, _ = _GOLDEN["links, pool of split groups"]
    strict = AllocationProblem(
        problem.cost, problem.usage, problem.capacity, problem.group, split=problem.split,
        links=problem.links, priority=[1, 2, 3], unserved=[False] * 6,
    )  # fmt: skip
    result = solve(strict, "highs")
    assert result.x is not None
    assert [stage.value for stage in result.stages] == [0.0, 0.0, 0.0]
    report = check(strict, result.x, rates=result.rates, z=result.z)
    assert report.feasible
    assert dict(report.unserved) == {1: 0.0, 2: 0.0, 3: 0.0}
    twice = AllocationProblem(
        [1, 0, 0], np.zeros((0, 3)), [], [0, 0, 0], unserved=[False, True, False],
        split=Split([True], demand=[1], owner=[0], edge_item=[0], edge_column=[0], edge_rate=[1],
                    elsewhere=[False, False, True]),
    )  # fmt: skip
    report = check(twice, [0, 1, 1], rates=[0])
    assert report.violations == ("group 0: dropped 2 times, at most once is wanted",)


@pytest.mark.parametrize("ending", [".mps", ".lp"])
def test_written_models_have_the_same_optimum(ending: str, tmp_path: Path) -> None:
    """A model with linked columns, written and read again by HiGHS, ends at the same value."""
    highspy = pytest.importorskip("highspy")
    for name in ("links, moves", "links, price of rates", "links, free column"):
        problem, optimum = _GOLDEN[name]
        assert optimum is not None
        path = tmp_path / f"model{ending}"
        write_model(problem, path)
        highs = highspy.Highs()
        highs.setOptionValue("output_flag", False)
        highs.setOptionValue("presolve", "off")
        highs.readModel(str(path))
        highs.run()
        assert highs.getInfo().objective_function_value == pytest.approx(optimum[-1])


@pytest.mark.parametrize("solver", ["highs", "milp", "lagrangian"])
def test_entries_of_the_same_place_are_added_up(solver: str) -> None:
    """A row that must reach 2, and a column given in it twice with 1: the cheap column does."""
    of_x = SparseColumns.from_triplets(
        (1, 4), rows=[0, 0, 0, 0, 0], columns=[3, 1, 2, 1, 3], values=[2.0, 1.0, 1.0, 1.0, -2.0]
    )
    assert of_x.to_dense().tolist() == [[0.0, 2.0, 1.0, 0.0]]
    assert len(of_x.values) == 2
    links = Links([2.0], [np.inf], of_x)
    problem = AllocationProblem(
        [0.0, 1.0, 2.0, 0.5], np.ones((1, 4)), [9.0], [0, 0, 0, 0], links=links
    )
    assert links == Links([2.0], [np.inf], [[0.0, 2.0, 1.0, 0.0]])
    assert brute_force(problem) == (1.0,)
    result = solve(problem, solver)
    assert result.termination.reason is Reason.OPTIMAL
    assert result.primal_bound == 1.0
