"""Rows kept with a probability: cones, their linear rows, the checker, who refuses them."""

from __future__ import annotations

import dataclasses
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solvers import (
    AllocationProblem,
    Chance,
    Limit,
    PriceMeaning,
    ProblemError,
    Reason,
    SolveParams,
    UnsupportedFeatureError,
    check,
    get,
    problem_from_json,
    problem_to_json,
    read_problem,
    solve,
    write_model,
    write_problem,
)
from solvers.chance_cuts import ChanceCuts, fitting_columns
from solvers.testing import brute_force


def random_chance(seed: int, *, groups: int = 5, options: int = 3) -> AllocationProblem:
    """Two rows; factors of single groups, of some problems one of all groups; a few priorities."""
    random = np.random.default_rng(seed)
    n = groups * options
    group = np.repeat(np.arange(groups), options)
    usage, cost = random.uniform(0.0, 5.0, (2, n)), random.uniform(0.0, 10.0, n).round(2)
    strict = seed % 3 == 0
    stays = np.zeros(n, dtype=bool)
    if strict:
        stays[::options] = True
        usage[:, stays], cost[stays] = 0.0, 0.0
    spread, row = [], []
    for place in range(2):
        share = random.uniform(0.0, 0.6, groups)
        for owner in range(groups):
            spread.append(np.where(group == owner, usage[place] * share[owner], 0.0))
            row.append(place)
        if seed % 2:
            spread.append(usage[place] * 0.1)
            row.append(place)
    return AllocationProblem(
        cost,
        usage,
        usage.sum(axis=1) / options * random.uniform(0.8, 1.4),
        group,
        unserved=stays if strict else None,
        priority=random.integers(1, 3, groups) if strict else None,
        chance=Chance(spread, row),
    )


@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.integers(0, 10**6))
def test_small_problems_are_solved_to_the_optimum(seed: int) -> None:
    """On any small problem convex proves what enumeration finds, priorities included."""
    problem = random_chance(seed)
    best, result = brute_force(problem), solve(problem, "convex")
    if best is None:
        assert result.termination.reason is Reason.INFEASIBLE
        return
    assert result.termination.reason is Reason.OPTIMAL
    assert result.x is not None
    found = (*(stage.value for stage in result.stages), result.primal_bound)
    assert found == pytest.approx(best, rel=1e-9)
    assert check(problem, result.x).feasible


@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.integers(0, 10**6))
def test_half_spaces_touch_the_cone_and_lose_no_solution(seed: int) -> None:
    """A row in the direction of x is the cone at x, and nowhere above it; inside is within."""
    problem, random = random_chance(seed), np.random.default_rng(seed)
    cuts = ChanceCuts(problem)

    def draw() -> np.ndarray:
        x = np.zeros(problem.columns, dtype=np.int64)
        x[np.arange(problem.groups) * 3 + random.integers(0, 3, problem.groups)] = 1
        return x

    here, there = draw(), draw()
    touching = cuts.linear_usage(here)
    assert touching.dot(here) == pytest.approx(cuts.usage_at(here), rel=1e-12)
    assert (touching.dot(there) <= cuts.usage_at(there) * (1 + 1e-12)).all()
    inside = cuts.inside(here)
    if seed % 2 == 0 and (inside.usage.dot(there) <= inside.capacity).all():
        assert (cuts.usage_at(there) <= problem.capacity * (1 + 1e-12)).all()


@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.integers(0, 10**6))
def test_chords_lose_nothing_that_is_as_good_as_the_incumbent(seed: int) -> None:
    """Narrowed for a value, they are kept by every choice of at most that, and lie nearer."""
    problem = dataclasses.replace(random_chance(seed, groups=4), priority=None, unserved=None)
    choices = [np.zeros(problem.columns, dtype=np.int64) for _ in range(3**4)]
    for x, chosen in zip(choices, itertools.product(range(3), repeat=4), strict=True):
        x[np.arange(4) * 3 + np.array(chosen)] = 1
    good = [x for x in choices if check(problem, x).feasible]
    if not good:
        return
    cuts = ChanceCuts(problem)
    chords = cuts.chords
    wide = chords.high - chords.low
    value = float(np.median([problem.cost @ x for x in good]))
    chords.look_from(good[0])
    for row in chords.rows.tolist():
        chords.tighten(row, cuts.problem(), value, None)
    assert (chords.high - chords.low <= wide * (1 + 1e-9)).all()
    usage, limit = chords.linear()
    for x in good:
        if problem.cost @ x <= value:
            assert (usage.dot(x.astype(float)) <= limit * (1 + 1e-9) + 1e-9).all()


@pytest.mark.parametrize("seed", [1, 4, 7, 10])
def test_profits_are_negative_costs(seed: int) -> None:
    """With every cost below 0 the same choice is best, and proven."""
    problem = dataclasses.replace(random_chance(seed, groups=4), priority=None, unserved=None)
    profit = dataclasses.replace(problem, cost=problem.cost - 20.0)
    best, found = solve(problem, "convex"), solve(profit, "convex")
    assert found.termination.reason is best.termination.reason
    if found.x is not None:
        assert found.primal_bound == pytest.approx(best.primal_bound - 80.0)


def test_a_chord_by_hand() -> None:
    """Two services with deviation 3 or 4, or 0 unserved: V from 0 to 25, sqrt(V) >= V / 5.

    With V known to be 9 at least, the chord runs through both roots.
    """
    spread = [[3.0, 0.0, 0.0, 0.0], [0.0, 0.0, 4.0, 0.0]]
    problem = AllocationProblem(
        [1, 9, 1, 9], [[1, 0, 1, 0]], [20], [0, 0, 1, 1], chance=Chance(spread, [0, 0])
    )
    chords = ChanceCuts(problem).chords
    assert (chords.low[0], chords.high[0]) == (0.0, 25.0)
    usage, limit = chords.linear()
    assert usage.to_dense()[0] == pytest.approx([1 + 9 / 5, 0, 1 + 16 / 5, 0])
    assert limit[0] == 20.0
    chords.low[0] = 9.0
    usage, limit = chords.linear()
    assert limit[0] == pytest.approx(20 - 3 * 5 / 8)
    assert usage.to_dense()[0] == pytest.approx([1 + 9 / 8, 0, 1 + 16 / 8, 0])


def test_a_row_is_kept_with_the_stated_probability() -> None:
    """Normal usage of what is chosen stays within every row in 99 % of 200 000 draws.

    The two rows bind to within a few per cent, so that 99 % is not met by far too much room.
    """
    random = np.random.default_rng(7)
    groups, options, z = 40, 4, 2.3263478740408408
    n = groups * options
    group = np.repeat(np.arange(groups), options)
    mean = random.uniform(1.0, 5.0, (2, n)) * (random.integers(0, 2, n) == np.arange(2)[:, None])
    deviation = mean * 0.4
    spread = np.zeros((2 * groups, n))
    spread[group, np.arange(n)] = z * deviation[0]
    spread[groups + group, np.arange(n)] = z * deviation[1]
    rows = np.repeat([0, 1], groups)
    problem = AllocationProblem(
        random.uniform(1.0, 9.0, n) - mean.sum(axis=0), mean, [60.0, 60.0], group,
        chance=Chance(spread, rows),
    )  # fmt: skip
    result = solve(problem, "convex", relative_gap=0.05)
    assert result.x is not None
    chosen = np.flatnonzero(result.x)
    draws = mean[:, chosen, None] + deviation[:, chosen, None] * random.standard_normal(
        (1, len(chosen), 200_000)
    )
    kept = (draws.sum(axis=1) <= 60.0).mean(axis=1)
    noise = 3.0 * math.sqrt(0.99 * 0.01 / 200_000)
    assert (kept >= 0.99 - noise).all()
    assert kept.min() < 0.999


def test_the_checker_adds_the_room_for_deviations() -> None:
    """3 + 4 + sqrt(9 + 16) = 12: kept at 12, passed at 11.99, and the usage says 12."""
    spread = [[3.0, 0.0], [0.0, 4.0]]
    for capacity, kept in ((12.0, True), (11.99, False)):
        problem = AllocationProblem(
            [1, 1], [[3, 4]], [capacity], [0, 1], chance=Chance(spread, [0, 0])
        )
        report = check(problem, [1, 1])
        assert report.feasible is kept
        assert report.usage == pytest.approx([12.0])


def test_columns_that_cannot_fit_alone_are_left_out() -> None:
    """Mean 2 and deviation 2 exceed 3.9 alone; mean 2 and 1.5 with a second factor do not."""
    spread = [[2.0, 0.0, 1.5], [0.0, 0.0, 1.0]]
    problem = AllocationProblem(
        [1, 2, 3], [[2, 0, 2]], [3.9], [0, 0, 0], chance=Chance(spread, [0, 0])
    )
    assert fitting_columns(problem).tolist() == [1, 2]


def test_prices_are_duals_of_the_relaxation_with_cones() -> None:
    """The relaxation's prices prove its value: they are labelled so, and its bound is the result's.

    One group may buy fractions: usage 2 + 2 per unit of x with room 2 allows x = 1/2; the row's
    price is what half a unit less of the dear column costs per unit of room.
    """
    problem = AllocationProblem(
        [0.0, 8.0], [[2.0, 0.0]], [4.0], [0, 0], chance=Chance([[2.1, 0.0]], [0])
    )
    free = AllocationProblem(
        [0.0, 8.0, 0.0, 8.0], [[2.0, 0.0, 2.0, 0.0]], [6.0], [0, 0, 1, 1],
        chance=Chance([[2.0, 0, 0, 0], [0, 0, 2.0, 0]], [0, 0]),
    )  # fmt: skip
    assert solve(problem, "convex").primal_bound == 8.0
    result = solve(free, "convex", relative_gap=1.0)
    assert result.prices is not None
    assert result.prices.meaning is PriceMeaning.RELAXATION_DUAL
    # Both take x: 4 x + 2 sqrt(2) x = 6, so cost 16 (1 - x), and price 16 / (4 + 2 sqrt(2)).
    assert result.prices.values == pytest.approx([16.0 / (4.0 + 2.0 * math.sqrt(2.0))], rel=1e-4)


@pytest.mark.parametrize("name", ["greedy", "highs", "lagrangian", "milp", "cp-sat"])
def test_others_refuse_and_name_who_can(name: str) -> None:
    """Solvers without cones say so, and name convex."""
    with pytest.raises(UnsupportedFeatureError, match=r"lacks chance.*convex"):
        get(name).solve(random_chance(1), SolveParams())


def test_a_start_is_used_and_a_limit_kept() -> None:
    """From an optimal start without time, the start comes back with a bound below it."""
    problem = random_chance(2)
    best = solve(problem, "convex")
    again = solve(problem, "convex", start=best, time_limit_s=1e-6)
    assert again.primal_bound == best.primal_bound
    assert again.termination.limit is Limit.TIME
    assert again.dual_bound <= best.primal_bound


def test_stages_of_a_solve_that_was_stopped_claim_no_more_than_is_known() -> None:
    """Under strict priorities a start that comes back early has stages, none above its value."""
    problem = random_chance(9)
    best = solve(problem, "convex")
    again = solve(problem, "convex", start=best, time_limit_s=1e-6)
    assert again.termination.reason is Reason.FEASIBLE
    assert [stage.value for stage in again.stages] == [stage.value for stage in best.stages]
    assert all(stage.dual_bound <= stage.value for stage in again.stages)


def test_files_keep_the_uncertain_part(tmp_path: Path) -> None:
    """JSON and archives bring every number back; LP files refuse what they cannot say."""
    problem = random_chance(1)
    assert problem_from_json(problem_to_json(problem)) == problem
    write_problem(problem, tmp_path / "problem.npz")
    assert read_problem(tmp_path / "problem.npz") == problem
    with pytest.raises(ProblemError, match="kept with a probability"):
        write_model(problem, tmp_path / "problem.lp")


@pytest.mark.parametrize(
    ("spread", "row", "said"),
    [
        ([[1.0, -1.0]], [0], r"chance.spread\[1\] = -1.0: must be finite and >= 0"),
        ([[1.0, math.nan]], [0], "must be finite"),
        ([[1.0, 1.0]], [0, 0], "2 entries, but spread has 1 factors"),
        ([[1.0, 1.0]], [3], r"chance.row\[0\] = 3: must be below 1"),
        ([[1.0, 1.0, 1.0]], [0], "3 columns, 2 are wanted"),
    ],
)
def test_faults_are_named(spread: list[list[float]], row: list[int], said: str) -> None:
    """What is no distribution of these rows is refused with its place."""
    with pytest.raises(ProblemError, match=said):
        AllocationProblem([1, 1], [[1, 1]], [1], [0, 1], chance=Chance(spread, row))
