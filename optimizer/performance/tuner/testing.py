"""The contract of a tuner as checks that anyone can run, on our tuners or their own.

With pytest, for a tuner of your own::

    import pytest
    from optimizer.performance.tuner.testing import CHECKS
    from my_package import MyTuner

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_contract(check):
        check(MyTuner)

Serving observations are those of the queue model `mm1k-state-dependent`, steps those of the law.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from optimizer.performance.tuner.base import Tuner
from optimizer.performance.tuner.observation import (
    Observation,
    ServingObservation,
    StepObservation,
)
from optimizer.performance.tuner.settings import TunedReplica
from queue_models import IterationTiming, ServiceProcess, Targets, get

__all__ = [
    "CHECKS",
    "check_checkpoint",
    "check_constant_load",
    "check_learns",
    "check_recovers",
    "check_rejects_outliers",
    "check_survives_anything",
    "true_observations",
]

FloatArray = NDArray[np.float64]
Kind = type[Tuner]

_REPLICA = TunedReplica(max_batch=64, queue_model="mm1k-state-dependent")
_TRUE = np.array([8.0, 0.05, 0.02, 2e-4])
_START = IterationTiming(*(_TRUE * [2.0, 0.4, 2.5, 0.5]))
_NOISE = 0.05


def true_observations(
    kind: type[Observation], count: int, seed: int, factor: float = 1.0, *, constant: bool = False
) -> Iterator[Observation]:
    """Yield observations of a known replica with 5 % noise, at varied loads or always the same.

    Parameters
    ----------
    kind
        `ServingObservation` or `StepObservation`.
    factor
        On all times of the replica.
    """
    rng = np.random.default_rng(seed)
    timing = IterationTiming(*(_TRUE * factor))
    for i in range(count):
        load = np.array([0.5, 0.5, 0.5]) if constant else rng.random(3)
        noise = np.exp(_NOISE * rng.normal(size=2))
        if issubclass(kind, StepObservation):
            batch, prompt = np.round(1 + 63 * load[0]), np.round(1500 * load[1])
            kv = batch * np.round(200 + 1300 * load[2])
            time = float(_TRUE * factor @ [1.0, batch, prompt, kv] * noise[0])
            yield StepObservation(
                time_s=float(i),
                iteration_ms=time,
                decode_tokens=float(batch),
                prefill_tokens=float(prompt),
                kv_tokens=float(kv),
            )
        else:
            yield _served(float(i), timing, load, noise)


def _served(
    time_s: float, timing: IterationTiming, load: FloatArray, noise: FloatArray
) -> Observation:
    prompt, answer = float(np.round(100 + 900 * load[1])), float(np.round(50 + 250 * load[2]))
    model = get(_REPLICA.queue_model)
    service = ServiceProcess(timing, prompt, answer, _REPLICA.max_batch)
    rate = (0.1 + 0.6 * load[0]) * float(model.max_rate(service, Targets()))
    seen = model.evaluate(service, rate)
    return ServingObservation(
        time_s=time_s,
        arrival_rate_rps=rate,
        input_tokens=prompt,
        output_tokens=answer,
        ttft_ms=float(seen.ttft_ms * noise[0]),
        itl_ms=float(seen.itl_ms * noise[1]),
        concurrency=float(seen.concurrency),
    )


def _error(tuner: Tuner, factor: float = 1.0) -> float:
    """Mean relative error of predicted iteration times over various work."""
    assert tuner.learnt is not None
    rng = np.random.default_rng(99)
    batch, prompt = rng.integers(1, 64, 60), rng.integers(0, 500, 60)
    work = np.stack([np.ones(60), batch, prompt, batch * rng.integers(300, 900, 60)], axis=1)
    found = np.array(list(tuner.learnt.law.entry(tuner.learnt.values)[1].values()))
    return float(np.mean(np.abs(work @ found / (work @ _TRUE * factor) - 1)))


def _told(kind: Kind, observations: Iterator[Observation]) -> Tuner:
    tuner = kind(_REPLICA, _START)
    for one in observations:
        tuner.update(one)
    return tuner


def check_learns(kind: Kind) -> None:
    """Check that times are learnt from a start that is off by x0.4 to x2.5."""
    error = _error(_told(kind, true_observations(kind.observes, 60, seed=1)))
    assert error < 0.05, f"{kind.name}: predictions are off by {error:.1%} after 60 observations"


def check_rejects_outliers(kind: Kind) -> None:
    """Check that gross errors in one observation of ten do little harm."""
    rng = np.random.default_rng(2)

    def spoilt() -> Iterator[Observation]:
        for one in true_observations(kind.observes, 80, seed=3):
            if rng.random() >= 0.1:
                yield one
                continue
            factor = 5.0 if rng.random() < 0.5 else 0.2
            times = ("iteration_ms",) if isinstance(one, StepObservation) else ("ttft_ms", "itl_ms")
            yield replace(one, **{name: factor * getattr(one, name) for name in times})

    tuner = _told(kind, spoilt())
    assert tuner.learnt is not None
    assert tuner.learnt.rejected > 0, f"{kind.name}: rejects nothing"
    error = _error(tuner)
    assert error < 0.08, f"{kind.name}: outliers put predictions off by {error:.1%}"


def check_recovers(kind: Kind) -> None:
    """Check that a replica that becomes 1.6 times slower is followed."""
    tuner = _told(kind, true_observations(kind.observes, 60, seed=4))
    for one in true_observations(kind.observes, 20, seed=5, factor=1.6):
        tuner.update(replace(one, time_s=1000.0 + (one.time_s or 0.0)))
    error = _error(tuner, 1.6)
    assert error < 0.1, f"{kind.name}: 20 observations after a change, off by {error:.1%}"


def check_constant_load(kind: Kind) -> None:
    """Check that a load that never changes neither moves parameters nor feigns confidence."""
    tuner = kind(_REPLICA, _START)
    told = list(true_observations(kind.observes, 150, seed=6, constant=True))
    for one in told[:50]:
        tuner.update(one)
    assert tuner.learnt is not None
    before = np.log(tuner.learnt.values)
    for one in told[50:]:
        tuner.update(one)
    moved = float(np.max(np.abs(np.log(tuner.learnt.values) - before)))
    assert moved < 0.1, f"{kind.name}: parameters wander by {moved:.0%} at constant load"
    surest = max(tuner.learnt.log_sd.values())
    assert surest > 0.2, f"{kind.name}: sure within {surest:.0%} of what nothing tells of"


def check_survives_anything(kind: Kind) -> None:
    """Check that parameters stay positive numbers whatever is observed."""
    tuner = _told(kind, true_observations(kind.observes, 10, seed=7))
    good = next(true_observations(kind.observes, 1, seed=8))
    names = [field.name for field in fields(good) if field.name != "time_s"]
    step = 100.0
    for name in names:
        for value in (None, 0.0, -1.0, float("nan"), float("inf"), 1e-30, 1e30):
            tuner.update(replace(good, time_s=step, **{name: value}))
            step += 1
            _require_good(tuner)
    assert not tuner.update(replace(good, time_s=5.0)).accepted, f"{kind.name}: takes the past"
    assert not tuner.update(replace(good, time_s=float("nan"))).accepted


def check_checkpoint(kind: Kind) -> None:
    """Check that a checkpoint, through JSON, goes on bit for bit."""
    told = list(true_observations(kind.observes, 24, seed=9))
    for end in (3, 15):
        whole, half = kind(_REPLICA, _START), kind(_REPLICA, _START)
        for one in told:
            whole.update(one)
        for one in told[:end]:
            half.update(one)
        again = kind.restore(json.loads(json.dumps(half.checkpoint())))
        for one in told[end:]:
            again.update(one)
        assert whole.checkpoint() == again.checkpoint(), f"{kind.name}: differs after {end}"


def _require_good(tuner: Tuner) -> None:
    assert tuner.learnt is not None
    values, covariance = tuner.learnt.values, tuner.learnt.log_covariance
    assert np.all(np.isfinite(values) & (values > 0)), f"{tuner.name}: parameters {values}"
    assert np.isfinite(covariance).all(), f"{tuner.name}: the covariance is not finite"
    least = float(np.min(np.linalg.eigvalsh(covariance)))
    scale = float(np.max(np.abs(covariance)))
    assert least > -1e-9 * scale, f"{tuner.name}: the covariance is not positive"


CHECKS: tuple[Callable[[Kind], None], ...] = (
    check_learns,
    check_rejects_outliers,
    check_recovers,
    check_constant_load,
    check_survives_anything,
    check_checkpoint,
)
"""All of them."""
