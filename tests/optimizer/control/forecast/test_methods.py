"""Each method against its own recursion, and the whole against what it must never do."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from optimizer.control.forecast import ForecastError, ForecastSettings, get, names
from optimizer.control.forecast.local_level import level_update
from optimizer.control.forecast.season_detection import detect_season
from optimizer.control.forecast.testing import CHECKS

FloatArray = NDArray[np.float64]
RECURSIVE = ("auto", "damped-holt", "headroom", "holt-winters", "last-value", "local-level")

values = st.lists(st.one_of(st.floats(0, 1e6), st.just(float("nan"))), min_size=2, max_size=40)


def test_the_local_level_is_the_kalman_filter_of_a_library() -> None:
    """Level and variance agree with filterpy's to 1e-9, missing values included."""
    filterpy = pytest.importorskip("filterpy.kalman", reason="filterpy is not installed")
    rng = np.random.default_rng(3)
    seen = 10 + np.cumsum(rng.normal(0, 0.3, 80)) + rng.normal(0, 1, 80)
    seen[rng.random(80) < 0.2] = np.nan
    other = filterpy.KalmanFilter(dim_x=1, dim_z=1)
    other.F = other.H = np.eye(1)
    other.Q, other.R, other.P = np.array([[0.2]]), np.eye(1), np.array([[5.0]])
    other.x = np.array([[9.0]])
    level, variance = np.array([[9.0]]), np.array([[5.0]])
    for value in seen:
        known = np.array([not np.isnan(value)])
        error = np.where(known, value - level, 0.0)
        level, variance = level_update(level, variance, error, known, np.array([[0.2]]))
        if known[0]:
            other.update(value)
        other.predict()
        assert level[0, 0] == pytest.approx(other.x[0, 0], rel=1e-9)
        assert variance[0, 0] == pytest.approx(other.P[0, 0], rel=1e-9)


@pytest.mark.parametrize("name", RECURSIVE)
@given(past=values, future=values, other=values)
@settings(deadline=None, max_examples=12, derandomize=True)
def test_altering_the_future_never_changes_a_past_decision(
    name: str, past: list[float], future: list[float], other: list[float]
) -> None:
    """Whatever follows, every forecast made before is bit for bit the same."""
    made = []
    for rest in (future, other):
        forecaster = get(name)()
        decided = []
        for value in [*past, *rest]:
            forecaster.update([value])
            found = forecaster.forecast(3, (0.1, 0.9))
            decided.append(np.concatenate([found.mean, *found.quantiles.values()]))
        made.append(np.array(decided[: len(past)]))
    assert np.array_equal(made[0], made[1], equal_nan=True)


@pytest.mark.parametrize("name", RECURSIVE)
@given(seen=values)
@settings(deadline=None, max_examples=12, derandomize=True)
def test_forecasts_are_loads(name: str, seen: list[float]) -> None:
    """Whatever is seen, forecasts are numbers, not negative; quantiles rise."""
    forecaster = get(name)()
    for value in seen:
        forecaster.update([value])
    found = forecaster.forecast(8, (0.05, 0.5, 0.95))
    if np.isnan(seen).all():
        assert np.isnan(found.mean).all()
        return
    stacked = np.stack([found.quantiles[p] for p in (0.05, 0.5, 0.95)])
    assert np.isfinite(stacked).all()
    assert (found.mean >= 0).all()
    assert (np.diff(stacked, axis=0) >= 0).all()


def test_a_trend_is_followed_and_dies_away() -> None:
    """On a ramp damped Holt looks further up at each step, by less and less."""
    forecaster = get("damped-holt")()
    for step in range(60):
        forecaster.update([10.0 + 2.0 * step])
    steps = np.diff(forecaster.forecast(6).mean[:, 0])
    assert (steps > 0).all()
    assert (np.diff(steps) < 0).all()


@pytest.mark.parametrize("told", [True, False])
def test_a_season_is_learnt_whether_told_or_found(told: bool) -> None:
    """After five cycles a season of ±20 with noise of 2 is forecast within twice the noise."""
    rng = np.random.default_rng(5)
    mean = 50 + 20 * np.sin(2 * np.pi * np.arange(72) / 12)
    forecaster = get("holt-winters")(1, ForecastSettings(season_steps=12 if told else None))
    for value in (mean + rng.normal(0, 2, 72))[:60]:
        forecaster.update([value])
    error = np.abs(forecaster.forecast(12).mean[:, 0] - mean[60:])
    assert error.mean() < 4.0


def test_seasons_are_seen_where_there_are_some() -> None:
    """A season of 24 and one of 7 are found; noise and a random walk have none."""
    rng = np.random.default_rng(8)
    step = np.arange(200)
    series = np.stack(
        [
            10 + np.sin(2 * np.pi * step / 24) + rng.normal(0, 0.3, 200),
            10 + 2.0 * (step % 7 == 3) + rng.normal(0, 0.3, 200),
            rng.normal(10, 1, 200),
            np.cumsum(rng.normal(0, 1, 200)),
        ],
        axis=1,
    )
    assert detect_season(series, 100).tolist() == [24, 7, 0, 0]


def test_auto_follows_the_method_that_is_right() -> None:
    """On a steep sawtooth Holt-Winters counts for most, on a random walk it does not."""
    rng = np.random.default_rng(2)
    step = np.arange(150)
    walk = 100 + np.cumsum(rng.normal(0, 3, 150))
    saw = 20 + 10.0 * (step % 10) + rng.normal(0, 1, 150)
    forecaster = get("auto")(2, ForecastSettings(season_steps=10))
    for row in np.stack([saw, walk], axis=1):
        forecaster.update(row)
    weight = dict(zip(forecaster.methods, forecaster.weights, strict=True))  # type: ignore[attr-defined]
    assert weight["holt-winters"][0] > 0.9
    assert weight["holt-winters"][1] < 0.3


def test_quantiles_cover_what_they_promise() -> None:
    """Of values to come, about as many lie below a quantile as its probability says."""
    rng = np.random.default_rng(4)
    seen = rng.gamma(4.0, 5.0, (400, 8))
    forecaster = get("auto")(8)
    below: dict[float, list[NDArray[np.bool_]]] = {0.5: [], 0.9: [], 0.95: []}
    for step, row in enumerate(seen):
        if step >= 60:
            quantiles = forecaster.forecast(1, tuple(below)).quantiles
            for p, hits in below.items():
                hits.append(row <= quantiles[p][0])
        forecaster.update(row)
    for p, hits in below.items():
        assert np.mean(hits) == pytest.approx(p, abs=0.04)


def test_statsforecast_keeps_the_contract() -> None:
    """The optional plug-in passes the checks, but for time: it is fitted at every step."""
    pytest.importorskip("statsforecast", reason="the extra 'forecast' is not installed")
    assert "statsforecast" in names()
    for check in CHECKS:
        if check.__name__ in ("check_missing", "check_constant"):
            check(get("statsforecast"))


def test_what_cannot_be_used_is_refused_in_words() -> None:
    """Wrong sizes, infinities, probabilities, settings and checkpoints name what came."""
    forecaster = get("local-level")(2)
    with pytest.raises(ForecastError, match="3 values came for 2 series"):
        forecaster.update([1, 2, 3])
    with pytest.raises(ForecastError, match="value 1 is infinite"):
        forecaster.update([1, np.inf])
    with pytest.raises(ForecastError, match="probability = 1"):
        forecaster.forecast(1, (1.0,))
    with pytest.raises(ForecastError, match="steps = 0"):
        forecaster.forecast(0)
    with pytest.raises(ForecastError, match="season_steps = 1"):
        ForecastSettings(season_steps=1)
    with pytest.raises(ForecastError, match="did you mean 'holt-winters'"):
        get("holtwinters")
    document = json.loads(json.dumps(forecaster.checkpoint()))
    with pytest.raises(ForecastError, match="wanted 'last-value'"):
        get("last-value").restore(document)
    document["state"]["level"]["base64"] = "?"
    with pytest.raises(ForecastError, match="not readable"):
        get("local-level").restore(document)


@pytest.mark.parametrize(
    ("name", "steps"),
    [("holt-winters", 5), ("holt-winters", 1003), ("local-level", 200), ("headroom", 203)],
)
def test_a_long_silence_is_so_many_missing_values(name: str, steps: int) -> None:
    """Seasons go on meanwhile, and what follows is learnt alike; one series began later."""
    rng = np.random.default_rng(3)
    leapt, counted = (get(name)(1, ForecastSettings(season_steps=24)) for _ in range(2))
    loads = 50 + 20 * np.sin(2 * np.pi * np.arange(240) / 24) + rng.normal(0, 1, 240)
    for step, load in enumerate(loads):
        for one in (leapt, counted):
            if step == 100:
                one.keep([0, -1])
            one.update([load] if step < 100 else [load, 2 * load])
    leapt.skip(steps)
    for _ in range(steps):
        counted.update([np.nan, np.nan])
    for step, load in enumerate(loads[:31]):
        if step % 15 == 0:
            expected = counted.forecast(24).mean
            np.testing.assert_allclose(leapt.forecast(24).mean, expected, rtol=0.02, atol=0.5)
        for one in (leapt, counted):
            one.update([load, 2 * load])


@pytest.mark.parametrize("name", ["last-value", "damped-holt", "holt-winters", "auto", "headroom"])
def test_a_clock_that_jumps_by_ages_costs_no_more_than_hours(name: str) -> None:
    """A thousand million steps pass at once: nobody waits for a count of them."""
    forecaster = get(name)(2)
    for step in range(60):
        forecaster.update([10.0 + step % 12, 5.0])
    forecaster.skip(10**9)
    forecaster.update([10.0, 5.0])
    assert np.isfinite(forecaster.forecast(15, (0.9,)).quantiles[0.9]).all()
