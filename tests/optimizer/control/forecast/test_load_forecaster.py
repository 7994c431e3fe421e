"""Loads of named services on a regular grid of steps."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from optimizer.control.forecast import ForecastError, LoadForecaster, ObservedLoad


def fed(method: str = "auto", steps: int = 30) -> LoadForecaster:
    """Two services, one of them growing."""
    forecaster = LoadForecaster(60.0, method)
    for step in range(steps):
        loads = {
            "chat": ObservedLoad(rate_rps=10.0, input_tokens=500.0, output_tokens=100.0),
            "code": ObservedLoad(rate_rps=1.0 + step),
        }
        forecaster.observe(1000.0 + 60.0 * step, loads)
    return forecaster


def test_rate_and_lengths_are_series_of_their_own() -> None:
    """Each service has three series; lengths that were never seen stay unknown."""
    found = fed().forecast(180.0, probability=0.9)
    assert found["chat"].ahead_s.tolist() == [60.0, 120.0, 180.0]
    assert found["chat"].mean_rate_rps == pytest.approx([10.0] * 3, rel=1e-6)
    assert found["chat"].mean_input_tokens == pytest.approx([500.0] * 3, rel=1e-6)
    assert found["chat"].output_tokens == pytest.approx([100.0] * 3, rel=1e-6)
    assert np.isnan(found["code"].mean_input_tokens).all()
    assert found["code"].peak_rate_rps >= found["code"].mean_rate_rps.max() > 28.0


def test_a_gap_is_missing_and_never_zero() -> None:
    """After an hour of silence the load is still expected, and so it is after one lost sample."""
    forecaster = fed()
    forecaster.observe(1000.0 + 60.0 * 90, {"code": ObservedLoad(rate_rps=30.0)})
    assert forecaster.forecast(60.0)["chat"].mean_rate_rps[0] == pytest.approx(10.0, rel=1e-6)


def test_a_step_is_taken_once_and_the_past_never() -> None:
    """A second observation of a step, or one of a former step, is refused and changes nothing."""
    forecaster = fed()
    before = json.dumps(forecaster.checkpoint())
    for time_s in (1000.0 + 60.0 * 29, 1000.0 + 60.0 * 29 + 10.0, 900.0):
        assert not forecaster.observe(time_s, {"chat": ObservedLoad(rate_rps=99.0)})
    assert json.dumps(forecaster.checkpoint()) == before


def test_the_grid_begins_with_the_first_observation() -> None:
    """Cycles that jitter about a minute are a step each, wherever the clock stands at first."""
    forecaster = LoadForecaster(60.0, "last-value")
    times = 30.0 + 60.0 * np.arange(20) + np.tile([0.0, 20.0, -20.0, 5.0], 5)
    taken = [forecaster.observe(t, {"a": ObservedLoad(rate_rps=1.0)}) for t in times]
    assert all(taken)


def test_services_come_and_go() -> None:
    """A service that is kept goes on undisturbed; one that is not is forgotten."""
    forecaster = fed()
    before = forecaster.forecast(60.0)["code"].mean_rate_rps[0]
    forecaster.keep(["code"])
    assert list(forecaster.forecast(60.0)) == ["code"]
    assert forecaster.forecast(60.0)["code"].mean_rate_rps[0] == pytest.approx(before)
    forecaster.observe(1000.0 + 60.0 * 30, {"new": ObservedLoad(rate_rps=5.0)})
    assert forecaster.services == ("code", "new")


def test_a_checkpoint_goes_on_bit_for_bit() -> None:
    """Restored through JSON, the next forecasts are the same."""
    one = fed()
    two = LoadForecaster.restore(json.loads(json.dumps(one.checkpoint())))
    for forecaster in (one, two):
        forecaster.observe(1000.0 + 60.0 * 31, {"chat": ObservedLoad(rate_rps=12.0)})
    assert json.dumps(one.checkpoint()) == json.dumps(two.checkpoint())


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (ObservedLoad(rate_rps=-1.0), "chat.rate_rps = -1.0: must be a number, 0 or more"),
        (ObservedLoad(input_tokens=math.inf), "chat.input_tokens = inf"),
    ],
)
def test_impossible_loads_are_refused(load: ObservedLoad, words: str) -> None:
    """A negative or infinite load is refused by name before anything is taken in."""
    forecaster = fed()
    before = json.dumps(forecaster.checkpoint())
    with pytest.raises(ForecastError, match=words):
        forecaster.observe(1e6, {"chat": load})
    assert json.dumps(forecaster.checkpoint()) == before
