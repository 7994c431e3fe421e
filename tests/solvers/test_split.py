"""Groups that split: the arrays, the files, the checker, and the proofs of the solvers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers import (
    AllocationProblem,
    CancelFlag,
    Limit,
    ProblemError,
    Progress,
    Reason,
    SolveParams,
    SolverOptionError,
    Split,
    Start,
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
from solvers.highs import highs_backend
from solvers.isolated_backend import isolated
from solvers.split_cases import golden_split_problems, random_split_problem
from solvers.split_search import solve_split

_GOLDEN = {name: (problem, optimum) for name, problem, optimum in golden_split_problems()}
_ARRAYS: dict[str, Any] = {
    "groups": [True, False],
    "demand": [4.0, 2.0],
    "owner": [0, 0],
    "edge_item": [0, 1, 1],
    "edge_column": [0, 0, 1],
    "edge_rate": [2.0, 3.0, 1.0],
}


def _problem(**changes: Any) -> AllocationProblem:
    """Two columns that split two items, and a group of one column that chooses."""
    arrays = {**_ARRAYS, **changes}
    return AllocationProblem([1, 2, 5], [[1, 1, 0]], [9], [0, 0, 1], split=Split(**arrays))


def _many_items(seed: int, items: int, columns: int) -> AllocationProblem:
    """One group whose items share every column, as Mélange's instances are."""
    random = np.random.default_rng(seed)
    size = np.exp(random.normal(0.0, 1.5, (items, columns)))
    rate = size * random.uniform(0.5, 2.0, columns)
    item, column = np.nonzero(random.random((items, columns)) < 0.8)
    kept = np.ones(items, dtype=bool)
    kept[item] = False
    demand = np.where(kept, 0.0, random.uniform(0.0, 30.0 / items, items))
    return AllocationProblem(
        np.round(random.uniform(0.5, 8.0, columns), 2),
        np.zeros((0, columns)),
        [],
        np.zeros(columns, dtype=int),
        split=Split(
            [True], demand=demand, owner=np.zeros(items, dtype=int), edge_item=item,
            edge_column=column, edge_rate=rate[item, column],
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"demand": [4.0, -1.0]}, r"split.demand\[1\] = -1.0: must be finite and >= 0"),
        ({"demand": [4.0]}, "split.owner: 2 entries, but demand has 1"),
        ({"edge_rate": [2.0, 0.0, 1.0]}, r"split.edge_rate\[1\] = 0.0: must be finite and > 0"),
        ({"edge_item": [0, 1, 2]}, r"split.edge_item\[2\] = 2: must be below 2"),
        ({"edge_column": [0, 0, 3]}, r"split.edge_column\[2\] = 3: must be below 3"),
        ({"edge_column": [0, 0, 2]}, r"split.edge_column\[2\] = 2: must be a column of a group"),
        ({"edge_column": [0, 0, 0]}, r"given twice: \(1, 0\)"),
        ({"owner": [0, 1]}, r"split.owner\[1\] = 1: must be a group that splits"),
        ({"owner": [0, 2]}, r"split.owner\[1\] = 2: must be a group below 2"),
        ({"groups": [True]}, "split.groups: 1 entries, 2 are wanted"),
        ({"lower": [1, 0]}, "split.lower: 2 entries, 3 are wanted"),
        ({"upper": [1, 1.5, 1]}, r"split.upper\[1\] = 1.5: must be a whole number"),
        ({"lower": [2, 0, 0], "upper": [1, 1, 1]}, r"split.upper\[0\] = 1.0: must be at least"),
        ({"lower_total": [2, 0], "upper_total": [1, 1]}, r"upper_total\[0\] = 1.0: must be at"),
        ({"spares": [-1, 0, 0]}, r"split.spares\[0\] = -1: must be >= 0"),
        ({"unserved_cost": [np.nan, 0]}, r"split.unserved_cost\[0\] = nan: must be >= 0"),
        ({"most_different": [0, 1]}, r"split.most_different\[0\] = 0: must be >= 1"),
        ({"demand": None}, "split.demand: is missing"),
        ({"lower": [0.5, 0, 0]}, "split.lower: whole numbers are wanted"),
    ],
)
def test_faults_name_array_and_place(changes: dict[str, Any], fault: str) -> None:
    """What is wrong with a split part is said by array, index and value."""
    with pytest.raises(ProblemError, match=fault):
        _problem(**changes)


def test_income_without_limit_is_refused() -> None:
    """A column that pays and may be taken without limit has no optimum."""
    arrays = {**_ARRAYS, "upper": [np.inf, 3, 1]}
    with pytest.raises(ProblemError, match=r"cost\[0\] = -1.0: must be >= 0 where"):
        AllocationProblem([-1, -2, 5], np.zeros((0, 3)), [], [0, 0, 1], split=Split(**arrays))


def test_a_column_that_drops_the_group_carries_nothing() -> None:
    """An edge to a column that means unserved is a contradiction."""
    with pytest.raises(ProblemError, match="must not be a column that means unserved"):
        AllocationProblem(
            [1, 2, 5], np.zeros((0, 3)), [], [0, 0, 1], unserved=[True, False, False],
            split=Split(**_ARRAYS),
        )  # fmt: skip


@pytest.mark.parametrize("ending", [".json", ".npz"])
@pytest.mark.parametrize("name", ["split, unserved share", "both modes", "split, upper total"])
def test_files_keep_every_bit(name: str, ending: str, tmp_path: Path) -> None:
    """A problem with a split part, infinities included, comes back equal from either format."""
    problem, _ = _GOLDEN[name]
    write_problem(problem, tmp_path / f"problem{ending}")
    again = read_problem(tmp_path / f"problem{ending}")
    assert again == problem
    assert again.split is not None
    assert repr(again.split) == repr(problem.split)
    other, _ = _GOLDEN["split beats choose"]
    assert again != other


def test_unknown_keys_of_a_file_are_refused() -> None:
    """A misspelt key of the split part is named."""
    text = problem_to_json(_problem()).replace('"owner"', '"owners"')
    with pytest.raises(ProblemError, match="split: unknown keys owners"):
        problem_from_json(text)


@pytest.mark.parametrize(
    ("x", "rates", "violation"),
    [
        ([3, 0, 1], [4, 2, 0], None),
        ([2, 2, 1], [4, 0, 2], None),
        ([2, 0, 1], [4, 2, 0], "column 0: its load of 2.66666666667 units exceeds the 2"),
        ([3, 0, 1], [4, 1, 0], "item 1: 1 of its demand is not served"),
        ([3, 0, 1], [4, 3, 0], "item 1: 3 served of a demand of 2"),
        ([3, 0, 1], [4, 3, -1], r"rates\[2\] = -1: at least 0 is wanted"),
        ([2.5, 0, 1], [4, 2, 0], r"x\[0\] = 2.5: a whole number"),
        ([3, 0, 2], [4, 2, 0], "x: every entry must be 0 or 1"),
        ([3, 0, 0], [4, 2, 0], "group 1: 0 columns chosen"),
        ([9, 1, 1], [4, 2, 0], "row 0: usage 10 exceeds"),
        ([3, 0, 1], None, r"rates: shape \(0,\), \(3,\) is wanted"),
    ],
)
def test_the_checker_recomputes_counts_and_rates(
    x: list[float], rates: list[float] | None, violation: str | None
) -> None:
    """Each rule of the split part is checked from the arrays alone."""
    report = check(_problem(), x, rates=rates)
    assert report.feasible == (violation is None)
    if violation is not None:
        with pytest.raises(AssertionError, match=violation):
            raise AssertionError("; ".join(report.violations))


def test_the_checker_counts_spares_totals_kinds_and_what_is_left() -> None:
    """Spares carry nothing; totals and numbers of kinds are kept; what is left costs."""
    problem = _problem(spares=[1, 0, 0], unserved_cost=[3, np.inf], lower_total=[3, 0],
                       upper_total=[4, 9], most_different=[1, 1])  # fmt: skip
    report = check(problem, [3, 0, 1], rates=[2, 2, 0])
    assert report.feasible
    assert report.cost == 3 + 5 + 2 * 3
    assert report.unserved == {1: pytest.approx(2 / 6)}
    assert report.unserved_rate is not None
    assert report.unserved_rate.tolist() == [2, 0]
    for x, words in (
        ([2, 0, 1], "2 units, at least 3 wanted"),
        ([5, 0, 1], "5 units, at most 4 wanted"),
        ([2, 1, 1], "2 different columns, at most 1"),
    ):
        assert any(words in fault for fault in check(problem, x, rates=[0, 2, 0]).violations)


@settings(deadline=None, max_examples=25, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    kind=st.sampled_from(["whole", "penalty", "strict"]),
    items=st.integers(1, 2),
)
def test_optimum_equals_enumeration(seed: int, kind: str, items: int) -> None:
    """On small random problems of every kind the proven optimum is the enumerated one."""
    problem = random_split_problem(seed, kind, items)
    optimum = brute_force(problem)
    result = solve(problem, "highs")
    if optimum is None:
        assert result.termination.reason is Reason.INFEASIBLE
        return
    assert result.termination.reason is Reason.OPTIMAL
    assert result.x is not None
    report = check(problem, result.x, rates=result.rates)
    assert report.feasible, report.violations
    value = [*(stage.value for stage in result.stages), result.primal_bound]
    assert value == pytest.approx(optimum, abs=1e-6)
    assert report.cost == pytest.approx(result.primal_bound, abs=1e-9)
    weights = list(report.unserved.values()) if problem.priority is not None else []
    assert weights == pytest.approx([stage.value for stage in result.stages], abs=1e-6)


@settings(deadline=None, max_examples=15, derandomize=True)
@given(seed=st.integers(0, 10_000), factor=st.sampled_from([0.25, 3.0, 7.0]))
def test_scaling_costs_scales_the_optimum(seed: int, factor: float) -> None:
    """All costs times a factor: the same optimum times the factor."""
    problem = _many_items(seed, 6, 3)
    scaled = AllocationProblem(problem.cost * factor, problem.usage, problem.capacity,
                               problem.group, split=problem.split)  # fmt: skip
    first, second = solve(problem, "highs"), solve(scaled, "highs")
    assert second.primal_bound == pytest.approx(first.primal_bound * factor, rel=1e-6)


@settings(deadline=None, max_examples=15, derandomize=True)
@given(seed=st.integers(0, 10_000))
def test_choosing_one_kind_never_costs_less(seed: int) -> None:
    """A limit on kinds only ever raises the optimum; one kind is choose mode at its best."""
    problem = _many_items(seed, 5, 3)
    split = problem.split
    assert split is not None
    arrays: dict[str, Any] = dict(split.arrays())
    one = Split(**{**arrays, "most_different": [1]})
    limited = AllocationProblem(problem.cost, problem.usage, problem.capacity, problem.group,
                                split=one)  # fmt: skip
    free, chosen = solve(problem, "highs"), solve(limited, "highs")
    assert chosen.primal_bound >= free.primal_bound - 1e-9 * abs(free.primal_bound)
    if chosen.x is not None:
        load = np.zeros(3)
        np.add.at(load, split.edge_column, split.demand[split.edge_item] / split.edge_rate)
        able = [
            c for c in range(3)
            if (np.bincount(split.edge_item[split.edge_column == c], minlength=split.items)
                >= (split.demand > 0)).all()
        ]  # fmt: skip
        best = min(problem.cost[c] * np.ceil(load[c] * (1 - 1e-7)) for c in able)
        assert chosen.primal_bound == pytest.approx(best)


@settings(deadline=None, max_examples=15, derandomize=True)
@given(
    seed=st.integers(0, 10_000),
    kind=st.sampled_from(["whole", "penalty"]),
    more=st.integers(1, 4),
)
def test_more_capacity_never_costs_more(seed: int, kind: str, more: int) -> None:
    """Raising every capacity keeps what was feasible feasible, at no higher a cost."""
    problem = random_split_problem(seed, kind, 2)
    wider = AllocationProblem(problem.cost, problem.usage, problem.capacity + more, problem.group,
                              split=problem.split)  # fmt: skip
    tight, loose = solve(problem, "highs"), solve(wider, "highs")
    assert loose.primal_bound <= tight.primal_bound * (1 + 1e-6) + 1e-9


@pytest.mark.parametrize("solver", ["highs", "milp", "auto"])
def test_a_gap_of_nothing_is_proven(solver: str) -> None:
    """Sixty items on four columns are proven to the last cent."""
    problem = _many_items(3, 60, 4)
    result = solve(problem, solver)
    assert result.termination.reason is Reason.OPTIMAL
    assert result.relative_gap == 0.0
    assert result.x is not None
    assert check(problem, result.x, rates=result.rates).feasible


def test_other_back_ends_agree() -> None:
    """CBC, given the programme through PuLP, proves the same optimum as HiGHS."""
    for name in ("length buckets", "split with spares", "split and strict", "split, unserved rest"):
        problem, optimum = _GOLDEN[name]
        assert optimum is not None
        result = solve(problem, "milp", backend="CBC")
        assert result.termination.reason is Reason.OPTIMAL
        assert result.primal_bound == pytest.approx(optimum[-1], abs=1e-6)


def test_no_column_is_fuller_than_it_need_be() -> None:
    """With room to spare, loads are even: both columns of the pair carry three quarters."""
    problem = AllocationProblem(
        [1, 1], np.zeros((0, 2)), [], [0, 0],
        split=Split([True], demand=[3, 3], owner=[0, 0], edge_item=[0, 0, 1, 1],
                    edge_column=[0, 1, 0, 1], edge_rate=[4, 4, 4, 4], lower=[1, 1]),
    )  # fmt: skip
    result = solve(problem, "highs")
    assert result.rates is not None
    load = np.bincount([0, 1, 0, 1], weights=result.rates / 4)
    assert load == pytest.approx([0.75, 0.75])


def test_solvers_without_the_feature_name_those_that_have_it() -> None:
    """A refusal says who can."""
    with pytest.raises(
        UnsupportedFeatureError, match=r"lacks split.*auto, highs, lagrangian, milp"
    ):
        solve(_problem(), "greedy")


def test_an_item_nobody_can_serve_is_named() -> None:
    """Infeasible without a search, with the item."""
    result = solve(_GOLDEN["split, no edge"][0], "highs")
    assert result.termination.detail == "item 1: no column can serve it"


def test_a_start_is_used_and_a_bad_one_is_not() -> None:
    """Counts to start from; others than whole numbers are refused."""
    problem = _many_items(5, 20, 3)
    first = solve(problem, "highs")
    assert first.x is not None
    again = solve(problem, "highs", start=first.x)
    assert again.primal_bound == first.primal_bound
    assert "the start is not feasible and was not used" not in again.statistics.notes
    none = solve(problem, "highs", start=np.zeros(3))
    assert "the start is not feasible and was not used" in none.statistics.notes
    with pytest.raises(SolverOptionError, match="a whole number, at least 0"):
        solve(problem, "highs", start=[0.5, 1, 1])


def test_a_cancelled_solve_keeps_its_start() -> None:
    """Cancelled before the first answer: the start is the incumbent, and nothing is proven."""
    problem = _many_items(5, 20, 3)
    start = np.full(3, 40)
    cancel = CancelFlag()
    cancel.set()
    result = solve(problem, "highs", start=start, cancel=cancel)
    assert result.termination.limit is Limit.INTERRUPTED
    assert result.termination.reason is Reason.FEASIBLE
    assert result.primal_bound <= float(problem.cost @ start)


def test_progress_ends_at_the_result() -> None:
    """Reports improve and end at what the result says."""
    reports: list[Progress] = []
    result = solve(_many_items(7, 30, 4), "highs", progress=reports.append)
    assert reports[-1].incumbent == result.primal_bound
    assert reports[-1].bound == result.dual_bound
    bounds = [report.bound for report in reports]
    assert bounds == sorted(bounds)


@pytest.mark.parametrize("suffix", [".mps", ".lp"])
def test_a_written_model_has_the_same_optimum(suffix: str, tmp_path: Path) -> None:
    """Another solver of the written programme finds the golden optimum."""
    import highspy

    problem, optimum = _GOLDEN["split with spares"]
    assert optimum is not None
    write_model(problem, tmp_path / f"model{suffix}")
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.readModel(str(tmp_path / f"model{suffix}"))
    highs.setOptionValue("presolve", "off")
    highs.run()
    assert highs.getInfo().objective_function_value == pytest.approx(optimum[0])


def test_results_refuse_to_be_changed() -> None:
    """The rates of a result are read-only."""
    result = solve(_problem(), "highs")
    assert result.rates is not None
    with pytest.raises(ValueError, match="read-only"):
        result.rates[0] = 1.0
    assert dataclasses.replace(result).rates is result.rates


def test_the_presolve_fault_of_highs_1_14_does_not_show() -> None:
    """0.4 x + u >= 1 at 320 and 640: the optimum is 640; HiGHS 1.14.0 with presolve says 960."""
    problem, optimum = _GOLDEN["split, unserved is cheaper"]
    assert solve(problem, "highs").primal_bound == optimum[-1] if optimum else False


def test_a_back_end_in_a_process_of_its_own_takes_programmes() -> None:
    """Programme and starting point travel to another process, and its answer is the same."""
    problem = _many_items(3, 20, 3)
    here = solve(problem, "highs")
    assert here.x is not None
    backend = isolated(highs_backend, ({}, 1, 0))
    apart = solve_split(problem, SolveParams(time_limit_s=60.0), Start(here.x), backend)
    assert apart.termination.reason is Reason.OPTIMAL
    assert apart.primal_bound == here.primal_bound
