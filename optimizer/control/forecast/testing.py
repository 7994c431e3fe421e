"""The contract of a forecaster as checks that anyone can run, on our forecasters or their own.

With pytest, for a forecaster of your own::

    import pytest
    from optimizer.control.forecast.testing import CHECKS
    from my_package import MyForecaster

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_contract(check):
        check(MyForecaster)
"""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from optimizer.control.forecast.base import Forecaster
from optimizer.control.forecast.settings import ForecastSettings

__all__ = [
    "CHECKS",
    "check_causality",
    "check_checkpoint",
    "check_constant",
    "check_missing",
    "check_quantiles",
    "check_series_come_and_go",
    "check_series_do_not_mix",
    "check_units",
]

FloatArray = NDArray[np.float64]
Kind = type[Forecaster]

_SEASON = 8
_STEPS = 5
_PROBABILITIES = (0.1, 0.5, 0.9, 0.99)


def _loads(steps: int, series: int, seed: int) -> FloatArray:
    """Return noisy seasonal loads (steps, series), some of them missing."""
    rng = np.random.default_rng(seed)
    step = np.arange(steps)[:, None]
    mean = 20 + 5 * np.sin(2 * np.pi * (step / _SEASON + np.arange(series) / 7))
    values = np.maximum(mean + rng.normal(0, 1, (steps, series)), 0)
    values[rng.random((steps, series)) < 0.1] = np.nan
    return values


def _made(kind: Kind, values: FloatArray) -> Forecaster:
    forecaster = kind(values.shape[1], ForecastSettings(season_steps=_SEASON))
    for row in values:
        forecaster.update(row)
    return forecaster


def _all_of(forecaster: Forecaster) -> FloatArray:
    """Return mean and quantiles of the next steps."""
    found = forecaster.forecast(_STEPS, _PROBABILITIES)
    return np.stack([found.mean, *(found.quantiles[p] for p in _PROBABILITIES)])


def check_causality(kind: Kind) -> None:
    """Check that what comes later changes no forecast made before."""
    values = _loads(40, 3, seed=1)
    other = np.concatenate([values[:25], 10 * _loads(15, 3, seed=2)])
    for end in (1, 10, 25):
        one, two = (kind(3, ForecastSettings(season_steps=_SEASON)) for _ in range(2))
        made = []
        for forecaster, rows in ((one, values), (two, other)):
            forecasts = []
            for row in rows:
                forecaster.update(row)
                forecasts.append(_all_of(forecaster))
            made.append(np.array(forecasts[:end]))
        assert np.array_equal(made[0], made[1], equal_nan=True), f"{kind.name}: the future shows"


def check_checkpoint(kind: Kind) -> None:
    """Check that a checkpoint, through JSON, goes on bit for bit."""
    values = _loads(60, 3, seed=3)
    whole = _made(kind, values)
    half = _made(kind, values[:30])
    again = kind.restore(json.loads(json.dumps(half.checkpoint())))
    for row in values[30:]:
        again.update(row)
    same = np.array_equal(_all_of(whole), _all_of(again), equal_nan=True)
    assert same, f"{kind.name}: goes on otherwise after a checkpoint"


def check_missing(kind: Kind) -> None:
    """Check that nothing is expected where nothing was seen, and that missing is not zero."""
    forecaster = kind(1, ForecastSettings(season_steps=_SEASON))
    assert np.isnan(forecaster.forecast(_STEPS).mean).all(), f"{kind.name}: knows out of nothing"
    forecaster.update([np.nan])
    assert np.isnan(forecaster.forecast(_STEPS).mean).all(), f"{kind.name}: missing is a value"
    for _ in range(30):
        forecaster.update([50.0])
    for _ in range(5):
        forecaster.update([np.nan])
    mean = forecaster.forecast(_STEPS).mean
    assert np.all(np.abs(mean - 50) < 1), f"{kind.name}: missing values pull to {mean.ravel()}"


def check_constant(kind: Kind) -> None:
    """Check that a constant is forecast as itself, and zero as zero."""
    forecaster = kind(2, ForecastSettings(season_steps=_SEASON))
    for _ in range(4 * _SEASON):
        forecaster.update([0.0, 7.5])
    mean = forecaster.forecast(2 * _SEASON).mean
    assert np.allclose(mean, [0.0, 7.5], atol=1e-6), f"{kind.name}: a constant becomes {mean}"


def check_quantiles(kind: Kind) -> None:
    """Check that quantiles rise with the probability, are not negative, and are finite."""
    forecaster = _made(kind, _loads(60, 3, seed=4))
    quantiles = _all_of(forecaster)[1:]
    assert np.isfinite(quantiles).all(), f"{kind.name}: quantiles are not numbers"
    assert np.all(np.diff(quantiles, axis=0) >= 0), f"{kind.name}: quantiles cross"
    assert np.all(quantiles >= 0), f"{kind.name}: a load below zero"


def check_series_do_not_mix(kind: Kind) -> None:
    """Check that a series is forecast among others as it is alone."""
    values = _loads(40, 3, seed=5)
    among = _all_of(_made(kind, values))
    for place in range(values.shape[1]):
        alone = _all_of(_made(kind, values[:, place : place + 1]))
        same = np.allclose(among[..., place], alone[..., 0], rtol=1e-9, equal_nan=True)
        assert same, f"{kind.name}: series {place} feels the others"


def check_series_come_and_go(kind: Kind) -> None:
    """Check that series that stay go on undisturbed, and that a new one begins afresh."""
    values, late = _loads(40, 3, seed=6), _loads(20, 1, seed=7)
    whole = _made(kind, values)
    forecaster = _made(kind, values[:20])
    forecaster.keep([2, -1, 0])
    for row, new in zip(values[20:], late, strict=True):
        forecaster.update([row[2], new[0], row[0]])
    came, wanted = _all_of(forecaster), _all_of(whole)
    for place, before in ((0, 2), (2, 0)):
        same = np.allclose(came[..., place], wanted[..., before], rtol=1e-9, equal_nan=True)
        assert same, f"{kind.name}: series {before} is disturbed by others that come and go"
    fresh = _all_of(_made(kind, late))
    same = np.allclose(came[..., 1], fresh[..., 0], rtol=1e-9, equal_nan=True)
    assert same, f"{kind.name}: a new series does not begin afresh"


def check_units(kind: Kind) -> None:
    """Check that loads in another unit are forecast in that unit."""
    values = _loads(40, 2, seed=8)
    one, many = _all_of(_made(kind, values)), _all_of(_made(kind, 1000 * values))
    same = np.allclose(1000 * one, many, rtol=1e-6, equal_nan=True)
    assert same, f"{kind.name}: the unit matters"


CHECKS: tuple[Callable[[Kind], None], ...] = (
    check_causality,
    check_checkpoint,
    check_missing,
    check_constant,
    check_quantiles,
    check_series_do_not_mix,
    check_series_come_and_go,
    check_units,
)
"""All of them."""
