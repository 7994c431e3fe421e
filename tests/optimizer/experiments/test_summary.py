"""The mathematics of the tables, checked by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.experiments import (
    ExperimentError,
    RunStatus,
    TableRules,
    shifted_geometric_mean,
    summarise,
)
from optimizer.experiments.summary import ALL, counted_time, is_solved
from tests.optimizer.experiments.rows import row

TIMES = st.lists(st.floats(0, 1e6), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("values", "shift", "mean"),
    [
        ([1.0, 3.0], 1.0, math.sqrt(8) - 1),
        ([0.9, 9.9], 0.1, math.sqrt(10) - 0.1),
        ([0.0, 0.0], 10.0, 0.0),
        ([5.0], 0.1, 5.0),
    ],
)
def test_shifted_geometric_mean_by_hand(values: list[float], shift: float, mean: float) -> None:
    """(prod (v + s))^(1/n) - s."""
    assert shifted_geometric_mean(values, shift) == pytest.approx(mean)


@settings(deadline=None, max_examples=50, derandomize=True)
@given(TIMES, st.floats(0.01, 100))
def test_shifted_geometric_mean_lies_between_least_and_arithmetic(
    values: list[float], shift: float
) -> None:
    """At least the smallest value and at most the arithmetic mean."""
    mean = shifted_geometric_mean(values, shift)
    slack = 1e-9 * (max(values) + shift)
    assert min(values) - slack <= mean <= sum(values) / len(values) + slack


def test_a_cell_by_hand() -> None:
    """Two instances, two solvers: gaps, ratio, solved, memory."""
    rows = [
        row("a", "fast", 100.0, cpu_s=0.9, gap=0.0, peak_memory_mb=50.0),
        row("b", "fast", 220.0, cpu_s=0.9, gap=0.1, termination="feasible", peak_memory_mb=70.0),
        row("a", "slow", 110.0, cpu_s=9.9, gap=0.3, termination="feasible"),
        row("b", "slow", 200.0, cpu_s=0.9, gap=0.0),
    ]
    summary = summarise(rows, time_limit_s=60.0)
    assert summary.lines == ("family",)
    fast, slow = (summary.cells["family", solver] for solver in ("fast", "slow"))
    assert (fast.gap_mean, fast.gap_worst) == pytest.approx((0.05, 0.1))
    assert (slow.gap_mean, slow.gap_worst) == pytest.approx((0.05, 0.1))
    assert (fast.proven_mean, fast.proven_worst) == pytest.approx((0.05, 0.1))
    assert (slow.proven_mean, slow.proven_worst) == pytest.approx((0.15, 0.3))
    assert (fast.solved, fast.runs, slow.solved, slow.runs) == (1, 2, 1, 2)
    assert (fast.memory_mb, slow.memory_mb) == (70.0, None)
    assert fast.time_s == pytest.approx(0.9)
    assert slow.time_s == pytest.approx(math.sqrt(10) - 0.1)
    assert fast.time_ratio == pytest.approx(1.0)
    assert slow.time_ratio == pytest.approx((math.sqrt(10) - 0.1) / 0.9)
    other = summarise(rows, time_limit_s=60.0, rules=TableRules(reference="slow"))
    assert other.cells["family", "fast"].time_ratio == pytest.approx(0.9 / (math.sqrt(10) - 0.1))


def test_a_failed_run_stays_in_and_counts_the_limit() -> None:
    """Not dropped from the mean of times, not solved, and said to be in no gap."""
    rows = [
        row("a", "x", cpu_s=1.0),
        row("b", "x", None, cpu_s=None, termination=None, status=RunStatus.CRASHED),
    ]
    cell = summarise(rows, time_limit_s=50.0).cells["family", "x"]
    assert (cell.runs, cell.solved, cell.failed, cell.valueless) == (2, 1, 1, 1)
    assert cell.time_s == pytest.approx(shifted_geometric_mean([1.0, 50.0], 0.1))
    assert (cell.gap_mean, cell.gap_worst) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("fields", "seconds"),
    [
        ({"cpu_s": 3.0}, 3.0),
        ({"cpu_s": 3.0, "termination": "feasible"}, 3.0),
        ({"cpu_s": 3.0, "value": None, "termination": "infeasible"}, 3.0),
        ({"cpu_s": 3.0, "value": None, "termination": "no_solution_found"}, 10.0),
        ({"cpu_s": 30.0, "value": None, "termination": "no_solution_found"}, 30.0),
        ({"cpu_s": 0.1, "value": None, "termination": None, "status": RunStatus.ERROR}, 10.0),
    ],
)
def test_giving_up_early_is_not_being_fast(fields: dict[str, object], seconds: float) -> None:
    """A run without an answer counts at least the limit; a proof of infeasibility is one."""
    assert counted_time(row("a", "x", **fields), "cpu_s", 10.0) == seconds  # type: ignore[arg-type]


def test_lines_are_families_or_instances_and_all() -> None:
    """In the order of the rows; over a single line there is no other."""
    rows = [row("b", "x", family="two"), row("a", "x", family="one"), row("c", "x", family="two")]
    assert summarise(rows, time_limit_s=1.0).lines == ("two", "one", ALL)
    by_instance = summarise(rows, time_limit_s=1.0, rules=TableRules(by="instance"))
    assert by_instance.lines == ("b", "a", "c", ALL)
    assert by_instance.cells[ALL, "x"].runs == 3


def test_ratios_use_the_runs_that_both_have() -> None:
    """After an interrupt, an instance that only the reference has solved is not in the ratio."""
    rows = [row("a", "x", cpu_s=1.0), row("a", "y", cpu_s=2.0), row("b", "x", cpu_s=100.0)]
    cell = summarise(rows, time_limit_s=1.0).cells["family", "y"]
    assert cell.time_ratio == pytest.approx(2.0)
    assert cell.runs == 1


def test_solved_may_mean_near_the_best_value() -> None:
    """A heuristic within the gap has solved; a failed run never has."""
    near = row("a", "x", 101.0, termination="feasible")
    assert not is_solved(near, {"a": 100.0}, None)
    assert is_solved(near, {"a": 100.0}, 0.01)
    assert not is_solved(near, {"a": 100.0}, 0.001)
    wrong = row("a", "x", None, status=RunStatus.WRONG)
    assert not is_solved(wrong, {"a": 100.0}, 0.01)
    infeasible = row("a", "x", None, termination="infeasible")
    assert is_solved(infeasible, {}, 0.01)


def test_unknown_references_and_shifts_are_refused() -> None:
    """Each with what is wanted."""
    with pytest.raises(ExperimentError, match="reference 'z': one of x is wanted"):
        summarise([row("a", "x")], time_limit_s=1.0, rules=TableRules(reference="z"))
    with pytest.raises(ExperimentError, match="shift = 0: a number of seconds > 0"):
        TableRules(shift_s=0)
