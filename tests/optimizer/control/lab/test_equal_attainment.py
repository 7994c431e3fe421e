"""The cheapest autoscaler that keeps as much."""

from __future__ import annotations

import pytest

from optimizer.control.lab import PolicyRun, Score, Series
from optimizer.control.lab.equal_attainment import Setting, cheapest_equal


def run(setting: Setting) -> PolicyRun:
    """Return a run that keeps less the fuller replicas are; a window of 1800 s is the best one."""
    kept = 1.0 - 0.1 * setting.target_share if setting.by_rate else 0.5
    extra = 0.0 if setting.down_window_s == 1800.0 else 10.0
    score = Score(
        requests=1.0,
        attainment=kept,
        violating_minutes=0.0,
        gpu_hours=100.0 / setting.target_share + extra,
        cost=0.0,
        changes=0,
        reversals=0,
    )
    empty = Series(time_s=(), rate_rps=(), cards=(), kept=())
    return PolicyRun(policy="hpa-tuned", settings=str(setting), score=score, series=empty)


def test_the_largest_target_that_keeps_as_much_is_found() -> None:
    """At 95 % kept the target is a half, in the cheapest of the windows."""
    found = cheapest_equal(run, 0.95)
    assert found.score.attainment >= 0.95
    assert found.score.gpu_hours == pytest.approx(200.0, rel=0.025)
    assert "requests per second, down window 1800 s" in found.settings


def test_without_an_equal_the_one_that_keeps_most_is_told() -> None:
    """Nobody keeps everything here: the emptiest replicas come next."""
    assert cheapest_equal(run, 1.0).score.attainment == pytest.approx(0.985, abs=0.001)
