"""The filter under both tuners: a Kalman filter where nothing is gated, and nothing where it is."""

from __future__ import annotations

import numpy as np
import pytest

from optimizer.performance.tuner import TunerSettings
from optimizer.performance.tuner.gated_filter import GatedFilter

NOISE = 0.05


def made(**settings: float) -> GatedFilter:
    return GatedFilter(
        np.zeros(3),
        np.diag([0.4, 0.9, 0.1]),
        ("a", "b"),
        TunerSettings(**settings),
        5.0,  # type: ignore[arg-type]
    )


def test_it_is_the_kalman_filter_of_a_library() -> None:
    """With noise known and no drift, state and covariance agree with filterpy's to 1e-9."""
    filterpy = pytest.importorskip("filterpy.kalman", reason="filterpy is not installed")
    rng = np.random.default_rng(1)
    own = made(drift_log_sd=0.0, gate_probability=1 - 1e-15)
    own._noise_read = lambda time: NOISE**2  # type: ignore[method-assign]
    other = filterpy.KalmanFilter(dim_x=3, dim_z=2)
    other.F, other.Q = np.eye(3), np.zeros((3, 3))
    other.R, other.P = NOISE**2 * np.eye(2), np.diag([0.4, 0.9, 0.1])
    other.x, true = np.zeros((3, 1)), np.array([0.3, -0.5, 0.1])
    for _ in range(40):
        jacobian = rng.random((2, 3))
        seen = jacobian @ true + NOISE * rng.normal(size=2)
        assert own.decide(own.weigh(seen - jacobian @ own.mean, jacobian, (0, 1))).accepted
        other.update(seen[:, None], H=jacobian)
        assert own.mean == pytest.approx(other.x.ravel(), rel=1e-9, abs=1e-12)
        assert own.covariance == pytest.approx(other.P, rel=1e-7, abs=1e-12)


def test_innovations_are_as_far_off_as_expected() -> None:
    """On consistent data the normalised innovation squared is 2 on average, of two times."""
    rng = np.random.default_rng(2)
    own, true, nis = made(), np.array([0.3, -0.5, 0.1]), []
    for step in range(500):
        jacobian = rng.random((2, 3))
        off = jacobian @ (true - own.mean) + NOISE * rng.normal(size=2)
        verdict = own.decide(own.weigh(off, jacobian, (0, 1)))
        if step > 30:
            nis.append(verdict.nis)
    assert np.mean(nis) == pytest.approx(2.0, abs=0.35)


def test_what_is_never_observed_stays_as_it_was() -> None:
    """A thousand observations of one direction leave the others' mean and spread alone."""
    rng = np.random.default_rng(3)
    own = made()
    only = np.array([[1.0, 0.0, 0.0]])
    for _ in range(1000):
        own.decide(own.weigh(NOISE * rng.normal(size=1) - own.mean[:1], only, (0,)))
    assert own.mean[1:].tolist() == [0.0, 0.0]
    assert np.diag(own.covariance)[1:] == pytest.approx([0.9, 0.1])
    assert 0 < own.covariance[0, 0] < 1e-3


def test_the_noise_is_read_past_outliers() -> None:
    """With one gross error in eight, a noise of 2 % instead of 5 % is seen within a half."""
    rng = np.random.default_rng(4)
    own = made()
    only = np.array([[1.0, 0.0, 0.0]])
    for step in range(80):
        off = 0.02 * rng.normal(size=1) + (2.0 if step % 8 == 7 else 0.0) - own.mean[:1]
        own.decide(own.weigh(off, only, (0,)))
    assert 0.01 < np.sqrt(own.noise_variance(0)) < 0.035


def test_rejections_change_nothing_until_they_are_overdue() -> None:
    """Beyond the gate mean and covariance stay; the fourth in a row is called overdue."""
    own = made(drift_log_sd=0.0)
    only = np.array([[1.0, 0.0, 0.0]])
    for _ in range(20):
        own.decide(own.weigh(np.zeros(1) - own.mean[:1], only, (0,)))
    before = own.mean.copy(), own.covariance.copy()
    verdicts = [own.decide(own.weigh(np.ones(1), only, (0,))) for _ in range(4)]
    assert not any(verdict.accepted for verdict in verdicts)
    assert [verdict.overdue for verdict in verdicts] == [False, False, False, True]
    assert np.array_equal(own.mean, before[0])
    assert np.array_equal(own.covariance, before[1])
