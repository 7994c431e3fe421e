"""The bars of the tuner on TTFT and ITL, and loads that tell little."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.tuner.worlds import WORLDS, World
from optimizer.performance.tuner import (
    ServingObservation,
    TunedReplica,
    Tuner,
    TunerError,
    get,
)
from queue_models import IterationTiming, Targets
from queue_models import get as queue_model

QUICK = ("state-dependent", "inferno-3p", "inferno-4p")
SEEDS = range(2)


def told(world: World, seed: int, count: int = 40, **options: Any) -> Tuner:
    """A tuner that started off by x0.4 to x2.5 and was told so many windows."""
    tuner = get("extended-kalman")(world.replica, world.off(seed))
    for seen in world.observations(count, seed, **options):
        tuner.update(seen)
    return tuner


@pytest.mark.parametrize("name", QUICK)
def test_times_are_known_after_five_windows(name: str) -> None:
    """Predictions for loads not seen are within 10 % on average, with the seeds' worst at 20 %."""
    errors = np.array([WORLDS[name].errors(told(WORLDS[name], seed, 5)) for seed in SEEDS])
    assert errors.mean() < 0.10
    assert errors.max() < 0.20


@pytest.mark.parametrize(
    ("name", "outliers"),
    [
        ("state-dependent", 0.1),
        pytest.param("state-dependent", 0.0, marks=pytest.mark.slow),
        pytest.param("inferno-3p", 0.1, marks=pytest.mark.slow),
        pytest.param("inferno-4p", 0.1, marks=pytest.mark.slow),
    ],
)
def test_the_steady_error_is_small(name: str, outliers: float) -> None:
    """After 150 windows within 1.5 % on average, 2.5 % for the worst seed, outliers or not."""
    world = WORLDS[name]
    errors = np.array([world.errors(told(world, s, 150, outliers=outliers)) for s in SEEDS])
    assert errors.mean() < 0.015
    assert errors.max() < 0.025


def test_a_slower_replica_is_followed_within_eight_windows() -> None:
    """After a step of x1.6 errors are below 10 % again, also with outliers about."""
    world = WORLDS["state-dependent"]
    for seed in SEEDS:
        tuner = told(world, seed, 60, outliers=0.1)
        for seen in world.observations(8, 100 + seed, 1.6, start_s=1e3):
            tuner.update(seen)
        assert world.errors(tuner, 1.6).max() < 0.10
        assert tuner.learnt is not None
        assert tuner.learnt.reopened == 1


@pytest.mark.parametrize(
    ("name", "concurrency", "slower"),
    [
        ("state-dependent", None, 1.0),
        ("state-dependent", 96.0, 1.6),
        ("inferno-3p", None, 1.6),
        ("inferno-4p", 96.0, 1.0),
    ],
)
def test_overload_never_makes_a_replica_fast(
    name: str, concurrency: float | None, slower: float
) -> None:
    """Told 30 % more than it carries and TTFT of minutes, the full batch is believed no faster."""
    world = WORLDS[name]
    tuner = told(world, 0)
    load = np.array([[0.5, 0.5, 0.5]])
    process, model = world.process(world.true, load), queue_model(world.model)
    capacity = float(model.max_rate(process, Targets())[0])
    full = float(model.evaluate(process, 10 * capacity).itl_ms[0])
    assert tuner.learnt is not None

    def believed() -> float:
        assert tuner.learnt is not None
        learnt = world.process(tuner.learnt.values, load)
        return float(model.evaluate(learnt, 10 * capacity).itl_ms[0])

    before = believed()
    for i in range(20):
        tuner.update(
            ServingObservation(
                time_s=1e3 + i,
                arrival_rate_rps=1.3 * capacity / slower,
                input_tokens=float(process.input_tokens[0]),
                output_tokens=float(process.output_tokens[0]),
                ttft_ms=20e3 + 1e3 * i,
                itl_ms=slower * full,
                concurrency=concurrency,
            )
        )
        assert believed() > 0.97 * before
    assert believed() == pytest.approx(slower * full, rel=0.15)


def test_a_replica_thought_too_slow_for_its_load_is_believed_fast() -> None:
    """Started at a third of its speed, where the model says overload, it is put right at once."""
    world = WORLDS["state-dependent"]
    slow = IterationTiming(*(3.0 * world.true))
    tuner = get("extended-kalman")(world.replica, slow)
    for seen in world.observations(6, 5):
        tuner.update(seen)
    assert world.errors(tuner).max() < 0.15


def test_without_a_start_one_is_made() -> None:
    """From nothing but the windows, 30 of them give times within 5 %."""
    world = WORLDS["state-dependent"]
    tuner = get("extended-kalman")(world.replica)
    assert tuner.learnt is None
    for seen in world.observations(30, 3):
        tuner.update(seen)
    assert world.errors(tuner).max() < 0.05


@pytest.mark.parametrize(
    "missing", [{"ttft_ms": None}, {"itl_ms": None}, {"arrival_rate_rps": None}]
)
def test_missing_figures_are_done_without(missing: dict[str, None]) -> None:
    """Without TTFT, ITL or the rate in every other window, times are learnt from the rest."""
    world = WORLDS["state-dependent"]
    tuner = get("extended-kalman")(world.replica, world.off(1))
    load = np.random.default_rng(2).random((60, 3))
    concurrency = world.shown(world.true, load)[3]
    for i, seen in enumerate(world.observations(60, 2)):
        full = replace(seen, concurrency=float(concurrency[i]))
        update = tuner.update(replace(full, **missing) if i % 2 else full)  # type: ignore[arg-type]
        assert update.reason.startswith(("", "an outlier"))
    assert world.errors(tuner).max() < 0.06


def test_confidence_is_in_what_was_observed_alone() -> None:
    """At one load predictions are sure there while parameters are not; varied loads tell more."""
    world = WORLDS["state-dependent"]
    one, many = (told(world, 0, 100, constant=constant).learnt for constant in (True, False))
    assert one is not None
    assert many is not None
    assert one.prediction_log_sd < 0.02
    assert one.confidence > 0.95
    assert one.log_sd["kv_ms_per_token"] > 3 * many.log_sd["kv_ms_per_token"]
    low, high = one.interval("kv_ms_per_token")
    assert low < world.true[3] < high


number = st.one_of(
    st.none(), st.floats(allow_nan=True, allow_infinity=True), st.sampled_from([0.0, 1.0, 1e3])
)


@given(
    rows=st.lists(st.tuples(number, number, number, number, number, number), max_size=8),
    first=st.integers(0, 6),
)
@settings(deadline=None, max_examples=25, derandomize=True)
def test_no_log_breaks_it(rows: list[tuple[float | None, ...]], first: int) -> None:
    """Whatever is observed, parameters stay positive numbers and the covariance positive."""
    world = WORLDS["state-dependent"]
    tuner = get("extended-kalman")(world.replica, world.off(0))
    for seen in world.observations(first, 1):
        tuner.update(seen)
    for rate, prompt, answer, ttft, itl, concurrency in rows:
        tuner.update(
            ServingObservation(
                arrival_rate_rps=rate,
                input_tokens=prompt,
                output_tokens=answer,
                ttft_ms=ttft,
                itl_ms=itl,
                concurrency=concurrency,
            )
        )
    if tuner.learnt is not None:
        values, covariance = tuner.learnt.values, tuner.learnt.log_covariance
        assert (np.isfinite(values) & (values > 0)).all()
        assert np.linalg.eigvalsh(covariance).min() > -1e-9 * np.abs(covariance).max()


@pytest.mark.slow
def test_a_model_that_is_only_nearly_true_is_fitted_all_the_same() -> None:
    """Told windows of the simulated engine, each model predicts others about as well as it can."""
    from benchmarks.tuner.engine import simulated_errors

    errors = {name: float(np.mean(found)) for name, found in simulated_errors(2).items()}
    assert errors["iteration-level TTFT @40"] < 0.03
    assert errors["iteration-level ITL @40"] < 0.03
    assert errors["mm1k-state-dependent TTFT @40"] < 0.15
    assert errors["mm1k-state-dependent ITL @40"] < 0.12


def test_what_cannot_be_used_is_refused_in_words() -> None:
    """Unknown laws and tuners, other observations and damaged checkpoints name what came."""
    world = WORLDS["state-dependent"]
    with pytest.raises(TunerError, match="unknown law 'linear'; known: iteration"):
        get("extended-kalman")(TunedReplica(max_batch=8, law="linear"))
    with pytest.raises(TunerError, match=r"max_batch = 0: must be a number, 1 or more"):
        TunedReplica(max_batch=0)
    with pytest.raises(TunerError, match="did you mean 'least-squares'"):
        get("least-square")
    document = told(world, 0, 8).checkpoint()
    with pytest.raises(TunerError, match="wanted 'least-squares'"):
        get("least-squares").restore(document)
    with pytest.raises(TunerError, match="not readable"):
        get("extended-kalman").restore({**document, "filter": {"mean": [1.0]}})
