"""Recursive least squares whatever some of the iterations say."""

from __future__ import annotations

import numpy as np

from benchmarks.tuner.worlds import WORLDS
from optimizer.performance.tuner import get

WORLD = WORLDS["state-dependent"]
SEEDS = 12


def test_gross_errors_lead_nobody_astray() -> None:
    """Every tenth iteration off by x0.2 or x5, among the first too: errors stay those of noise."""
    errors = []
    for seed in range(SEEDS):
        tuner = get("least-squares")(WORLD.replica, WORLD.off(seed))
        for seen in WORLD.steps(150, seed, outliers=0.1):
            tuner.update(seen)
        errors.append(WORLD.step_error(tuner))
    assert np.mean(errors) <= 0.015
    assert max(errors) <= 0.025


def test_what_suits_is_not_learnt_anew() -> None:
    """Noise alone is no reason to doubt; the watch over the last iterations stays silent."""
    for seed in range(4):
        tuner = get("least-squares")(WORLD.replica, WORLD.off(seed))
        for seen in WORLD.steps(150, seed):
            tuner.update(seen)
        assert tuner.learnt is not None
        assert tuner.learnt.reopened == 0


def test_a_change_among_gross_errors_is_followed() -> None:
    """Iterations that become 1.6 times as long are learnt, though some are gross errors."""
    tuner = get("least-squares")(WORLD.replica, WORLD.off(2))
    for seen in WORLD.steps(100, 2, outliers=0.2):
        tuner.update(seen)
    for seen in WORLD.steps(30, 102, 1.6, outliers=0.2):
        tuner.update(seen)
    assert WORLD.step_error(tuner, 1.6) < 0.05
