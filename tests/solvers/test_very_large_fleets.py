"""Fleets far beyond general solvers: proven, and never over capacity."""

from __future__ import annotations

import numpy as np
import pytest

from solvers import AllocationProblem, Reason, check, solve
from solvers.instances import generate, instances, load_instance

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("instance", "gap"),
    [("fleet:20000:seed=7", 1e-5), ("fleet:100000:seed=3", 5e-6), ("lumpy:2000:seed=5", 1e-4)],
)
def test_the_gap_is_proven_and_the_checker_agrees(instance: str, gap: float) -> None:
    """`lagrangian` proves the gap asked for; the checker recomputes cost and capacities."""
    problem = load_instance(instances(instance)[0])
    result = solve(problem, "lagrangian", relative_gap=gap, time_limit_s=120)
    assert result.termination.reason is Reason.OPTIMAL
    assert result.relative_gap <= gap
    assert result.x is not None
    report = check(problem, result.x)
    assert report.feasible
    assert report.cost == pytest.approx(result.primal_bound)


def test_auto_proves_a_strict_fleet_of_ten_thousand() -> None:
    """Strict priorities over 10 000 groups: every stage and the cost are proven."""
    plain = generate("fleet", 10_000, seed=1)
    unserved = np.diff(plain.usage.indptr) == 0
    problem = AllocationProblem(
        np.where(unserved, 0.0, plain.cost),
        plain.usage,
        plain.capacity,
        plain.group,
        unserved=unserved,
        priority=np.random.default_rng(1).integers(1, 4, plain.groups),
    )
    result = solve(problem, "auto", relative_gap=1e-4, time_limit_s=240)
    assert result.x is not None
    assert check(problem, result.x).feasible
    assert [stage.optimal for stage in result.stages] == [True, True, True]
