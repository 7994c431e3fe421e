"""Bounds that are worth being ready for while replicas start."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from optimizer.control.forecast import ForecastSettings
from optimizer.control.forecast.headroom import HeadroomForecaster
from optimizer.control.forecast.hindsight import Hindsight
from optimizer.control.forecast.slow_levels import SlowLevels

FloatArray = NDArray[np.float64]
SETTINGS = ForecastSettings(scored_steps=3)


def bounds(values: FloatArray, probability: float = 0.9) -> FloatArray:
    """Return the bound of three steps ahead made after every value."""
    forecaster, found = HeadroomForecaster(1, SETTINGS), []
    for value in values:
        forecaster.update([value])
        found.append(forecaster.forecast(3, (probability,)).quantiles[probability][-1, 0])
    return np.array(found)


def judged(bases: list[float], values: list[float]) -> dict[str, FloatArray]:
    """Return what constant bases, of which the first is usual, come to on some values."""
    hindsight = Hindsight(SETTINGS, (0,), len(bases))
    state = hindsight.begin(1)
    for value in values:
        hindsight.judge(state, np.array([value]))
        hindsight.remember(state, np.array(bases)[:, None], np.array([0.0]))
    return state


def test_levels_and_spreads_are_those_of_the_load() -> None:
    """About a steady level with noise the bounds are the level and multiples of the noise."""
    rng = np.random.default_rng(3)
    levels, state = SlowLevels(SETTINGS), SlowLevels.begin(1)
    for value in rng.normal(100.0, 10.0, 2000):
        levels.add(state, np.array([value]))
    found = SlowLevels.bounds(state)[SlowLevels.COUNT // 2 :, 0]
    assert found == pytest.approx(100.0 + 10.0 * np.array([0, 0.6, 1.2, 1.8, 2.4, 3.2]), rel=0.03)


def test_a_missed_load_is_missed_as_a_whole_and_until_the_backlog_is_gone() -> None:
    """What holds 10 misses a step of 20 and, with 2.5 to spare above 10, the four after it."""
    state = judged([10.0, 30.0], [10.0] * 5 + [20.0] + [10.0] * 10)
    little, much = state["missed"][:, 0, 0]
    assert little == pytest.approx(20.0 + 3 * 10.0, rel=0.05)
    assert much == 0.0


def test_what_is_worth_its_price_counts_most() -> None:
    """The dear bound counts where misses cost much, the cheap one where they cost little."""
    state = judged([10.0, 30.0], ([10.0] * 9 + [20.0]) * 30)
    hindsight = Hindsight(SETTINGS, (0,), 2)
    assert hindsight.weights(state, 0.5)[0].sum() > 0.99
    assert hindsight.weights(state, 50.0)[1].sum() > 0.99


def test_before_anything_is_known_the_usual_bound_counts() -> None:
    """Weights are the prior's, and sum to 1."""
    hindsight = Hindsight(SETTINGS, (0,), 4)
    weights = hindsight.weights(hindsight.begin(2), 9.0)
    assert weights.sum(axis=(0, 1)) == pytest.approx(1.0)
    assert np.all(weights[0, 2] > 0.7)


def test_a_lull_does_not_lower_the_bound_of_a_noisy_load() -> None:
    """Where a load jumps about a level, its bound stays above most of what comes."""
    rng = np.random.default_rng(5)
    values = np.repeat(rng.normal(100.0, 20.0, 100).clip(10.0), 6)
    made = bounds(values)
    later = slice(200, -3)
    assert np.mean(values[203:] <= made[later]) > 0.88
    lull = values[later] < 80.0
    assert made[later][lull].mean() > 105.0


def test_a_load_that_is_predictable_is_bounded_closely() -> None:
    """On a smooth day the bound is a tenth above what comes, and seldom below it."""
    values = 100.0 + 50.0 * np.sin(2 * np.pi * np.arange(500) / 240)
    made, came = bounds(values)[250:-3], values[253:]
    assert np.mean(made / came) < 1.13
    assert np.mean(came <= made) > 0.97


def test_bursts_are_followed_and_lulls_are_not_paid_for() -> None:
    """Of bursts out of nothing, seldom and large, nothing is held in between, enough during."""
    values = np.array(([0.0] * 60 + [50.0] * 20) * 6)
    made = bounds(values)
    later = values[240:]
    assert made[240:][later == 0].mean() < 15.0
    burst = np.flatnonzero((later > 0) & (values[235:-5] > 0)) + 240
    assert np.all(made[burst] > 49.9)


def test_long_quiet_makes_no_measureless_bound() -> None:
    """A burst after hours without any change raises the bound in proportion, not beyond."""
    made = bounds(np.array([0.0] * 150 + [100.0] * 5 + [0.0] * 30 + [80.0] * 20))
    assert made.max() < 1000.0


def test_a_glimpse_raises_and_is_forgotten() -> None:
    """What is seen of a step that is not over raises the bound until the step ends."""
    forecaster = HeadroomForecaster(1, SETTINGS)
    for _ in range(40):
        forecaster.update([10.0])
    before = forecaster.forecast(3, (0.9,)).quantiles[0.9][-1, 0]
    forecaster.glimpse(np.array([30.0]))
    assert forecaster.forecast(3, (0.9,)).quantiles[0.9][-1, 0] > 29.0
    forecaster.update([10.0])
    assert forecaster.forecast(3, (0.9,)).quantiles[0.9][-1, 0] == pytest.approx(before, rel=0.05)


def test_units_do_not_matter() -> None:
    """A load in units so small that its figures are huge is bounded like any other."""
    bursts = [9.0 if step % 4 == 0 else 0.5 for step in range(60)]
    found = []
    for unit in (1.0, 1e12):
        forecaster = HeadroomForecaster()
        for value in bursts:
            forecaster.update([value * unit])
        found.append(forecaster.forecast(3, (0.9,)).quantiles[0.9] / unit)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)
