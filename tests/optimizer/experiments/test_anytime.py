"""Anytime curves, checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from optimizer.experiments import AnytimeCurve, RunStatus, anytime_curves
from optimizer.experiments.anytime import primal_gap
from tests.optimizer.experiments.rows import row


@pytest.mark.parametrize(
    ("value", "best", "gap"),
    [
        (None, 5.0, 1.0),
        (5.0, 5.0, 0.0),
        (10.0, 5.0, 0.5),
        (-5.0, -10.0, 0.5),
        (-1.0, 5.0, 1.0),
        (0.0, 0.0, 0.0),
        (3.0, 0.0, 1.0),
    ],
)
def test_primal_gaps_by_hand(value: float | None, best: float, gap: float) -> None:
    """Between 0 and 1, 1 across signs."""
    assert primal_gap(value, best) == gap


def at(curve: AnytimeCurve, seconds: float, which: str = "mean") -> float:
    """Height of a curve at the last point not after a time."""
    values: np.ndarray = getattr(curve, which)
    return float(values[np.searchsorted(curve.times_s, seconds, side="right") - 1])


def test_a_curve_steps_when_the_solver_reports() -> None:
    """1 before the first value; the final value where it is better than the last report."""
    progress = ((0.5, None, 50.0), (1.0, 200.0, 60.0), (2.0, 125.0, 70.0))
    rows = [row("a", "x", 100.0, total_s=4.0, progress=progress)]
    (curve,) = anytime_curves(rows, time_limit_s=10.0)
    assert [at(curve, t) for t in (0.6, 1.1, 2.1, 4.2, 10.0)] == pytest.approx(
        [1.0, 0.5, 0.2, 0.0, 0.0]
    )


def test_a_solver_without_reports_has_one_step() -> None:
    """When it ends; profit counts as profit."""
    rows = [
        row("a", "x", 80.0, total_s=1.0, maximise=True),
        row("a", "y", 100.0, total_s=2.0, maximise=True),
    ]
    x, y = anytime_curves(rows, time_limit_s=10.0)
    assert [at(x, t) for t in (0.9, 1.1)] == pytest.approx([1.0, 0.2])
    assert [at(y, t) for t in (1.1, 2.2)] == pytest.approx([1.0, 0.0])


def test_seeds_open_a_band_and_failures_count() -> None:
    """Mean over all runs; the band is between the seeds' means; a failed run has a gap of 1."""
    rows = [
        row("a", "x", 100.0, seed=0, total_s=1.0),
        row("a", "x", 200.0, seed=1, total_s=1.0),
        row("b", "x", 100.0, seed=0, total_s=1.0),
        row("b", "x", None, seed=1, total_s=None, status=RunStatus.CRASHED),
    ]
    (curve,) = anytime_curves(rows, time_limit_s=10.0)
    assert at(curve, 5.0) == pytest.approx((0 + 0.5 + 0 + 1) / 4)
    assert at(curve, 5.0, "low") == pytest.approx(0.0)
    assert at(curve, 5.0, "high") == pytest.approx(0.75)
