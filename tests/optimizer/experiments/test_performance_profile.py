"""Performance profiles, checked by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizer.experiments import RunStatus, TableRules, performance_profile
from tests.optimizer.experiments.rows import row


def test_a_profile_by_hand() -> None:
    """Four problems, one of them solved by nobody.

    Times of x: 1, 2, not solved; of y: 2, 2, 4. Ratios of x: 1, 1; of y: 2, 1, 1.
    """
    rows = [
        row("p", "x", cpu_s=1.0),
        row("p", "y", cpu_s=2.0),
        row("q", "x", cpu_s=2.0),
        row("q", "y", cpu_s=2.0),
        row("r", "x", cpu_s=0.5, termination="feasible"),
        row("r", "y", cpu_s=4.0),
        row("s", "x", None, cpu_s=None, status=RunStatus.KILLED),
        row("s", "y", None, cpu_s=9.0, termination="no_solution_found"),
    ]
    x, y = performance_profile(rows)
    assert (x.solver, x.ratios, x.fractions, x.problems) == ("x", (1.0,), (0.5,), 4)
    assert (y.solver, y.ratios, y.fractions) == ("y", (1.0, 2.0), (0.5, 0.75))
    assert [y.at(ratio) for ratio in (0.5, 1.0, 1.9, 2.0, 100.0)] == [0.0, 0.5, 0.5, 0.75, 0.75]


def test_seeds_are_problems_of_their_own() -> None:
    """One instance with two seeds is two problems."""
    rows = [row("p", "x", seed=0), row("p", "x", seed=1, termination="feasible")]
    (x,) = performance_profile(rows)
    assert (x.problems, x.fractions) == (2, (0.5,))


def test_times_that_clocks_do_not_tell_apart_are_equal() -> None:
    """0 and 0.5 milliseconds are both a millisecond."""
    rows = [row("p", "x", cpu_s=0.0), row("p", "y", cpu_s=0.0005), row("p", "z", cpu_s=0.002)]
    assert [profile.ratios for profile in performance_profile(rows)] == [(1.0,), (1.0,), (2.0,)]


def test_time_and_solved_follow_the_rules() -> None:
    """Wall-clock time, and solved by nearness to the best value."""
    rows = [
        row("p", "x", 101.0, cpu_s=1.0, total_s=8.0, termination="feasible"),
        row("p", "y", 100.0, cpu_s=2.0, total_s=4.0),
    ]
    x, y = performance_profile(rows, rules=TableRules(time="total_s", solved_at=0.02))
    assert (x.ratios, y.ratios) == ((2.0,), (1.0,))
    x, y = performance_profile(rows, known={"p": 90.0}, rules=TableRules(solved_at=0.02))
    assert (x.ratios, y.ratios) == ((), ())


@settings(deadline=None, max_examples=50, derandomize=True)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("pqrs"), st.sampled_from("xyz"), st.floats(0, 100), st.booleans()
        ),
        min_size=1,
        max_size=12,
        unique_by=lambda entry: entry[:2],
    )
)
def test_curves_rise_from_one_and_somebody_is_fastest(
    entries: list[tuple[str, str, float, bool]],
) -> None:
    """Steps ascend; at ratio 1 the curves add up to the solved problems, or more with ties."""
    rows = [
        row(problem, solver, cpu_s=seconds, termination="optimal" if solved else "feasible")
        for problem, solver, seconds, solved in entries
    ]
    profiles = performance_profile(rows)
    solved = len({problem for problem, _, _, good in entries if good})
    for profile in profiles:
        assert list(profile.ratios) == sorted(set(profile.ratios))
        assert list(profile.fractions) == sorted(set(profile.fractions))
        assert all(ratio >= 1 for ratio in profile.ratios)
        assert all(0 < fraction <= 1 for fraction in profile.fractions)
    count = sum(profile.at(1.0) * profile.problems for profile in profiles)
    assert count >= solved - 1e-9
    assert (count == pytest.approx(0)) == (solved == 0)
