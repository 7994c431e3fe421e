"""Results refuse to contradict themselves."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from solvers import Limit, Reason, SolveResult, StageResult, Termination, relative_gap

X = np.array([1, 0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"termination": Termination(Reason.OPTIMAL)}, "needs a solution"),
        (
            {"termination": Termination(Reason.INFEASIBLE), "x": X, "primal_bound": 1.0},
            "cannot come with a solution",
        ),
        (
            {"termination": Termination(Reason.OPTIMAL), "x": X, "primal_bound": 2.0},
            "relative gap of inf",
        ),
        (
            {
                "termination": Termination(Reason.OPTIMAL),
                "x": X,
                "primal_bound": 2.0,
                "dual_bound": 2.1,
            },
            "above the primal",
        ),
        (
            {
                "termination": Termination(Reason.OPTIMAL),
                "x": X,
                "primal_bound": 2.0,
                "dual_bound": 2.0,
                "stages": (StageResult(priority=1, value=1.0, dual_bound=0.0),),
            },
            "stage that is not proven",
        ),
        (
            {
                "termination": Termination(Reason.FEASIBLE, Limit.TIME),
                "x": X,
                "primal_bound": math.inf,
            },
            "contradicts the primal bound",
        ),
        (
            {"termination": Termination(Reason.INFEASIBLE), "dual_bound": math.nan},
            "NaN",
        ),
    ],
)
def test_contradictions_are_refused(arguments: dict[str, Any], message: str) -> None:
    """OPTIMAL needs proof, INFEASIBLE excludes a solution, bounds do not cross."""
    with pytest.raises(ValueError, match=message):
        SolveResult(**arguments)


def test_limits_belong_to_unfinished_solves() -> None:
    """FEASIBLE names its limit; OPTIMAL has none."""
    with pytest.raises(ValueError, match="needs the limit"):
        Termination(Reason.FEASIBLE)
    with pytest.raises(ValueError, match="cannot come with"):
        Termination(Reason.OPTIMAL, Limit.TIME)


def test_the_gap() -> None:
    """Zero when bounds meet or cross, infinite when one is missing, finite at a cost of zero."""
    assert relative_gap(5.0, 5.0) == 0.0
    assert relative_gap(5.0, 6.0) == 0.0
    assert relative_gap(-4.0, -5.0) == 0.25
    assert relative_gap(math.inf, 0.0) == math.inf
    assert relative_gap(0.0, -1e-10) == pytest.approx(0.1)


def test_summary_and_repr() -> None:
    """The summary shows value, bound, gap and stages; repr is one line; x is read-only."""
    result = SolveResult(
        termination=Termination(Reason.FEASIBLE, Limit.TIME, "stopped"),
        primal_bound=10.0,
        dual_bound=9.0,
        x=X.copy(),
        stages=(StageResult(priority=2, value=1.0, dual_bound=1.0),),
    )
    assert "10.000000%" in result.summary()
    assert "priority 2" in result.summary()
    assert "stopped" in result.summary()
    assert "\n" not in repr(result)
    assert result.x is not None
    with pytest.raises(ValueError, match="read-only"):
        result.x[0] = 0
