from __future__ import annotations

import numpy as np
import pytest

from optimizer.engine.queue_model import SimulationModel
from queue_models import (
    IterationTiming,
    Metric,
    Role,
    ServiceProcess,
    Statistic,
    Target,
    Targets,
    get,
)

P99 = Statistic(Metric.TTFT, 99.0)


def _service(**changes: object) -> ServiceProcess:
    given = {"chunk_tokens": 2048} | changes
    return ServiceProcess(IterationTiming(8.0, 0.03, 0.03, 5e-5), 512, 128, 16, **given)


def test_answers_are_near_those_of_the_iteration_level_model() -> None:
    """At half of the capacity both agree; without load nothing waits; beyond it nothing is
    stable."""
    service = _service()
    exact = get("iteration-level")
    capacity = float(exact.max_rate(service, Targets()))
    rates = np.array([0.0, 0.5 * capacity, 1.2 * capacity])
    one = SimulationModel().evaluate(service, rates, [P99])
    two = exact.evaluate(service, rates, [P99])
    for metric in ("ttft_ms", "itl_ms", "e2e_ms"):
        assert getattr(one, metric)[:2] == pytest.approx(getattr(two, metric)[:2], rel=0.03)
    assert one.percentiles[P99][1] == pytest.approx(two.percentiles[P99][1], rel=0.1)
    assert one.stable.tolist() == [True, True, False]
    assert one.throughput_rps[2] == pytest.approx(capacity, rel=0.03)
    assert np.isinf(one.ttft_ms[2])
    assert one.concurrency[0] == 0.0


def test_sizing_keeps_the_target() -> None:
    """At the largest rate the mean TTFT is at its bound; an impossible bound leaves no rate."""
    service, model = _service(), SimulationModel()
    mean = Statistic(Metric.TTFT)
    rate = model.max_rate(service, Targets((Target(mean, 40.0),)))
    found = model.evaluate(service, rate, ()).ttft_ms
    assert found == pytest.approx(40.0, rel=0.02)
    assert model.max_rate(service, Targets((Target(mean, 5.0),))) == 0.0


def test_roles_and_refusals_are_honoured() -> None:
    """A decode replica emits its first token after one iteration; a queue without places refuses
    arrivals of a full batch."""
    model = SimulationModel()
    decode = model.evaluate(_service(role=Role.DECODE), 2.0)
    assert decode.ttft_ms < 20.0
    full = model.evaluate(_service(queue_capacity=0), 40.0)
    assert full.stable
    assert 0.5 < full.blocking_probability < 0.9
    assert full.throughput_rps == pytest.approx(40.0 * (1.0 - full.blocking_probability))
