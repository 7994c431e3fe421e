"""Bounds that loads stay below while replicas start."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from optimizer.control.forecast import ForecastSettings
from optimizer.control.forecast.growth import Growth
from optimizer.control.forecast.headroom import HeadroomForecaster

FloatArray = NDArray[np.float64]
SETTINGS = ForecastSettings(scored_steps=3)


def bounds(values: FloatArray, probability: float = 0.9) -> FloatArray:
    """Return the bound of three steps ahead made after every value."""
    forecaster, found = HeadroomForecaster(1, SETTINGS), []
    for value in values:
        forecaster.update([value])
        found.append(forecaster.forecast(3, (probability,)).quantiles[probability][-1, 0])
    return np.array(found)


def growth(values: list[float]) -> float:
    state, grows = Growth.begin(SETTINGS, 1), Growth(SETTINGS)
    for value in values:
        grows.add(state, np.array([value]))
    return float(Growth.quantiles(state, (0.9,))[0, 0])


def test_growth_is_that_of_the_load() -> None:
    """A load that doubles in three steps is seen to; one that is even is not."""
    assert growth([10.0 * 2 ** (step / 3) for step in range(30)]) == pytest.approx(2.0, rel=0.04)
    assert growth([10.0] * 30) == pytest.approx(1.0, abs=0.04)


def test_what_comes_out_of_nothing_is_no_growth() -> None:
    """Bursts out of lulls count for as little as what was there before them."""
    assert growth(([0.1] * 20 + [50.0] * 5) * 6) < 1.3


def test_a_lull_does_not_lower_the_bound_of_a_noisy_load() -> None:
    """Where a load jumps about a level, its bound stays above most of what comes."""
    rng = np.random.default_rng(5)
    values = np.repeat(rng.normal(100.0, 20.0, 120).clip(10.0), 6)
    made = bounds(values)
    later = slice(200, -3)
    assert np.mean(values[203:] <= made[later]) > 0.88
    lull = values[later] < 80.0
    assert made[later][lull].mean() > 105.0


def test_a_load_that_is_predictable_is_bounded_closely() -> None:
    """On a smooth day the bound is within a tenth of what comes."""
    values = 100.0 + 50.0 * np.sin(2 * np.pi * np.arange(700) / 240)
    made = bounds(values)
    assert np.all(made[300:-3] <= 1.15 * values[303:])


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
