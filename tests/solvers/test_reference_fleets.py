"""The bars of the shared reference fleets: same candidates, our solvers against the Go greedy."""

from __future__ import annotations

from typing import Any

import pytest

from solvers import Reason, Solver, check, solve
from solvers.highs import HighsSolver
from tests.solvers.inferno_reference import EXACT_ENTRIES, entry_problem, fleet, load

EXACT: dict[str, tuple[str | Solver, dict[str, Any]]] = {
    "highs": (HighsSolver(), {}),
    "milp with HiGHS": ("milp", {}),
    "milp with CBC": ("milp", {"backend": "CBC"}),
    "cp-sat": ("cp-sat", {}),
    "auto": ("auto", {}),
}
POLICIES = {
    "": "none",
    "None": "none",
    "PriorityExhaustive": "priority-exhaustive",
    "PriorityRoundRobin": "priority-round-robin",
    "RoundRobin": "round-robin",
}


@pytest.mark.parametrize("entry", EXACT_ENTRIES)
@pytest.mark.parametrize("how", EXACT)
def test_exact_solvers_prove_the_reference_optimum(how: str, entry: str) -> None:
    """Served counts by priority and cost are those of the exact reference, with a gap of 0."""
    solver, options = EXACT[how]
    truth = load("greedy_vs_exact.json")[entry]["exact"]
    reference, problem = entry_problem(entry)
    result = solve(problem, solver, **options)
    assert result.termination.reason is Reason.OPTIMAL
    assert result.relative_gap == 0.0
    assert result.primal_bound == pytest.approx(truth["cost"], rel=1e-12)
    assert all(stage.value == stage.dual_bound for stage in result.stages)
    left = {stage.priority: stage.value for stage in result.stages}
    for priority, served in truth["served"].items():
        assert reference.priority.count(int(priority)) - left[int(priority)] == served
    assert result.x is not None
    report = check(problem, result.x)
    assert report.feasible
    assert report.unserved == left


@pytest.mark.parametrize("how", EXACT)
def test_the_same_seed_gives_the_same_solution(how: str) -> None:
    """Two runs choose the same columns where many optima tie (CBC took seed 0 for the clock)."""
    solver, options = EXACT[how]
    _, problem = entry_problem("wva-100x9-scarce")
    first, second = (solve(problem, solver, **options).x for _ in range(2))
    assert first is not None
    assert second is not None
    assert (first == second).all()


@pytest.mark.parametrize(("entry", "cost"), [("wva-10x9", 310), ("light-10x9", 310)])
def test_the_reference_problem_is_read_as_meant(entry: str, cost: float) -> None:
    """The reader's candidates reproduce the recorded allocations' costs and units."""
    results = load(f"results/{entry}.json")
    reference = fleet(results, load(f"instances/{entry}.json"))
    run = next(r for r in results["results"] if r["name"] == "scarce")
    problem = reference.problem(run["capacity"])
    x = [0] * problem.columns
    column = 0
    for server in reference.servers:
        accelerator = run["allocations"].get(server, {}).get("accelerator")
        for candidate in reference.candidates[server]:
            x[column] = int(candidate["acc"] == accelerator)
            column += 1
        x[column] = int(accelerator is None)
        column += 1
    report = check(problem, x)
    assert report.feasible
    assert report.cost == run["costs"][0]
    assert sum(report.unserved.values()) == run["unallocated"][0]
    assert cost < report.cost


@pytest.mark.parametrize("entry", ["wva-10x9", "light-10x9", "wva-100x9"])
def test_greedy_is_never_worse_than_the_worst_reference_run(entry: str) -> None:
    """For every capacity and best-effort policy: unserved by priority first, then cost.

    The reference lists allocations of its first run only: priorities are compared with those, and
    totals with the worst of all runs.
    """
    results = load(f"results/{entry}.json")
    reference = fleet(results, load(f"instances/{entry}.json"))
    for run in results["results"]:
        problem = reference.problem(run["capacity"])
        policy = POLICIES[run["optimizer"].get("saturationPolicy", "")]
        delayed = run["optimizer"]["delayedBestEffort"]
        result = solve(problem, "greedy", saturation_policy=policy, delayed_best_effort=delayed)
        assert result.x is not None
        report = check(problem, result.x, result.parts)
        assert report.feasible, run["name"]
        unserved = tuple(report.unserved.values())
        recorded = reference.unserved_by_priority(set(run["allocations"]))
        assert unserved <= recorded, run["name"]
        assert sum(unserved) <= max(run["unallocated"]), run["name"]
        if unserved == recorded:
            assert result.primal_bound <= max(run["costs"]) + 1e-9, run["name"]


@pytest.mark.parametrize("entry", ["wva-sample-small", "light-sample-small"])
def test_greedy_on_the_published_samples(entry: str) -> None:
    """On the published samples greedy serves everyone at no more than the reference greedy."""
    _, problem = entry_problem(entry)
    result = solve(problem, "greedy")
    assert [stage.value for stage in result.stages] == [0.0, 0.0, 0.0]
    assert result.primal_bound <= load("greedy_vs_exact.json")[entry]["greedy"]


def test_the_regret_trap() -> None:
    """Counter-example 1: the optimum is 70, the reference greedy says 90, ours is not trapped."""
    results = load("results/ce1-regret-trap-wva.json")
    reference = fleet(results, load("instances/ce1-regret-trap.json"))
    problem = reference.problem({"A": 2, "B": 100})
    assert results["cost"] == 90
    for solver in ("milp", "cp-sat", "auto", "greedy"):
        assert solve(problem, solver).primal_bound == 70.0, solver


def test_scale_to_zero() -> None:
    """Counter-example 4: a server without load keeps its candidate of no replicas and no cost."""
    results = load("results/ce4-scale-to-zero-limited-wva.json")
    reference = fleet(results, load("instances/ce4-scale-to-zero-limited.json"))
    problem = reference.problem({"A": 1, "B": 1})
    result = solve(problem, "auto")
    assert result.termination.reason is Reason.OPTIMAL
    assert [stage.value for stage in result.stages] == [0.0] * len(result.stages)
    assert result.primal_bound == 5.0
