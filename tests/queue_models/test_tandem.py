"""Two pools in a row: sums, mixtures, sizing, refusals, against closed forms of exponentials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import ArrayLike

from queue_models import (
    IterationTiming,
    Metric,
    OutsideValidityError,
    QueueMetrics,
    QueueModel,
    Role,
    ServiceProcess,
    ServiceProcessError,
    Statistic,
    Target,
    Targets,
    evaluate_tandem,
    get,
    tandem_max_rate,
)
from queue_models.arrays import BoolArray, FloatArray
from queue_models.tandem import Tandem
from queue_models.timing import Timing

TIMING = IterationTiming(10.0, 0.05, 0.04, 0.0)
PREFILL = ServiceProcess(TIMING, 512, 101, 32, role=Role.PREFILL)
DECODE = ServiceProcess(TIMING, 512, 101, 32, role=Role.DECODE)


class _Exponential(QueueModel):
    """Every latency is exponential, of mean 100/(10 - rate) s in the metric's own multiple."""

    name: ClassVar[str] = "exponential"
    summary: ClassVar[str] = "a test's double"
    timings: ClassVar[frozenset[type[Timing]]] = frozenset({IterationTiming})
    multiple: ClassVar[dict[Metric, float]] = {
        Metric.WAIT: 0.5,
        Metric.TTFT: 1.0,
        Metric.ITL: 0.1,
        Metric.TPOT: 0.1,
        Metric.E2E: 11.0,
    }

    def refusals(
        self, service: ServiceProcess, statistics: Sequence[Statistic] = ()
    ) -> Mapping[str, BoolArray]:
        return {}

    def evaluate(
        self,
        service: ServiceProcess,
        arrival_rate_rps: ArrayLike,
        statistics: Sequence[Statistic] = (),
    ) -> QueueMetrics:
        rate = np.asarray(arrival_rate_rps, dtype=np.float64) + np.zeros(service.shape)
        stable = rate < 10.0
        with np.errstate(divide="ignore"):
            mean = np.where(stable, 100.0 / np.where(stable, 10.0 - rate, 1.0), np.inf)
        means = {str(metric): by * mean for metric, by in self.multiple.items()}
        percentiles = {
            s: -np.log(1.0 - s.percentile / 100.0) * self.multiple[s.metric] * mean
            for s in statistics
            if s.percentile is not None
        }
        nothing = np.zeros_like(rate)
        return QueueMetrics(
            stable=stable,
            throughput_rps=np.minimum(rate, 10.0),
            blocking_probability=nothing,
            utilization=nothing,
            concurrency=nothing,
            queue_length=nothing,
            percentiles=percentiles,
            **means,
        )

    def max_rate(self, service: ServiceProcess, targets: Targets) -> FloatArray:
        return np.full(service.shape, 10.0)


def test_means_add_up() -> None:
    """TTFT is the first pool's; the first gap holds transfer and second pool; E2E is the sum."""
    metrics = evaluate_tandem(_Exponential(), Tandem(PREFILL, DECODE, 7.0), 5.0)
    assert metrics.ttft_ms == 20.0
    np.testing.assert_allclose(metrics.itl_ms, (7.0 + 20.0) / 100 + 2.0 * 0.99)
    np.testing.assert_allclose(metrics.e2e_ms, 20.0 + 7.0 + 220.0)
    np.testing.assert_allclose(metrics.tpot_ms, (7.0 + 220.0) / 100)


@pytest.mark.parametrize("percentile", [50.0, 90.0, 95.0, 99.0, 99.9])
def test_percentiles_of_e2e_are_those_of_a_sum(percentile: float) -> None:
    """Of two independent exponentials and a constant, within 1 %."""
    e2e = Statistic(Metric.E2E, percentile)
    tandem = Tandem(PREFILL, DECODE, 7.0, decode_replicas=2)
    found = evaluate_tandem(_Exponential(), tandem, 6.0, (e2e,)).percentiles[e2e]
    short, long = 100.0 / 4.0, 1100.0 / 7.0
    x = found - 7.0
    exceeded = (long * np.exp(-x / long) - short * np.exp(-x / short)) / (long - short)
    np.testing.assert_allclose(-np.log(exceeded), -np.log(1 - percentile / 100), rtol=0.01)


def test_percentiles_of_itl_are_those_of_the_mixture() -> None:
    """One gap in a hundred is the transfer and the second pool's first token."""
    itl = Statistic(Metric.ITL, 99.0)
    metrics = evaluate_tandem(_Exponential(), Tandem(PREFILL, DECODE, 7.0), 5.0, (itl,))
    x = metrics.percentiles[itl]
    exceeded = 0.01 * np.exp(-(x - 7.0) / 20.0) + 0.99 * np.exp(-x / 2.0)
    np.testing.assert_allclose(exceeded, 0.01, rtol=0.01)


def test_pools_share_the_rate() -> None:
    """Each replica of a pool sees its share, and the smaller pool is the capacity."""
    tandem = Tandem(PREFILL, DECODE, 0.0, prefill_replicas=[1, 3], decode_replicas=2)
    capacity = tandem_max_rate(_Exponential(), tandem, Targets())
    np.testing.assert_allclose(capacity, [10.0, 20.0], rtol=1e-5)
    metrics = evaluate_tandem(_Exponential(), tandem, 6.0)
    np.testing.assert_allclose(metrics.ttft_ms, [100 / 4, 100 / 8])
    np.testing.assert_allclose(metrics.throughput_rps, 6.0)


def test_sizing_inverts_evaluation() -> None:
    """At the largest rate the tightest target holds with equality; impossible ones give 0."""
    e2e, ttft = Statistic(Metric.E2E, 95.0), Statistic(Metric.TTFT)
    tandem = Tandem(PREFILL, DECODE, 5.0, decode_replicas=[1, 2, 2])
    targets = Targets((Target(e2e, 1000.0), Target(ttft, [1e6, 15.0, 9.0])))
    rate = tandem_max_rate(_Exponential(), tandem, targets)
    metrics = evaluate_tandem(_Exponential(), tandem, rate, (e2e,))
    np.testing.assert_allclose(metrics.percentiles[e2e][0], 1000.0, rtol=1e-6)
    np.testing.assert_allclose(metrics.ttft_ms[1], 15.0, rtol=1e-6)
    assert metrics.percentiles[e2e][1] < 1000.0
    assert rate[2] == 0.0


def test_overload_of_either_pool_is_said() -> None:
    """A pool without steady state makes the whole unstable and its latencies infinite."""
    e2e, itl = Statistic(Metric.E2E, 90.0), Statistic(Metric.ITL, 90.0)
    tandem = Tandem(PREFILL, DECODE, 5.0, prefill_replicas=2)
    metrics = evaluate_tandem(_Exponential(), tandem, 12.0, (e2e, itl))
    assert not metrics.stable
    assert np.isinf(metrics.e2e_ms)
    assert np.isinf(metrics.percentiles[e2e])
    assert np.isinf(metrics.percentiles[itl])
    assert np.isfinite(metrics.ttft_ms)


def test_a_state_dependent_model_serves_the_roles() -> None:
    """With one of our models: more decode replicas never lower the rate, and capacities agree."""
    model = get("mm1k-state-dependent")
    tandem = Tandem(PREFILL, DECODE, 20.0, prefill_replicas=4, decode_replicas=[1, 2, 4, 8])
    targets = Targets((Target(Statistic(Metric.TTFT), 400.0), Target(Statistic(Metric.ITL), 16.0)))
    rate = tandem_max_rate(model, tandem, targets)
    assert rate[0] > 0
    assert (np.diff(rate) >= -1e-9 * rate[1:]).all()


def test_faults_are_named() -> None:
    """Roles, numbers, shapes and unknown statistics are refused in words."""
    with pytest.raises(ServiceProcessError, match=r"Tandem\.prefill: .* PREFILL"):
        Tandem(DECODE, DECODE, 1.0)
    with pytest.raises(ServiceProcessError, match=r"Tandem\.transfer_ms"):
        Tandem(PREFILL, DECODE, -1.0)
    with pytest.raises(ServiceProcessError, match=r"Tandem\.decode_replicas: must be whole"):
        Tandem(PREFILL, DECODE, 1.0, decode_replicas=1.5)
    with pytest.raises(ServiceProcessError, match="do not broadcast"):
        Tandem(PREFILL, DECODE, [1.0, 2.0], decode_replicas=[1, 2, 3])
    tandem = Tandem(PREFILL, DECODE, 1.0)
    with pytest.raises(OutsideValidityError, match="waits in both pools"):
        evaluate_tandem(_Exponential(), tandem, 1.0, (Statistic(Metric.WAIT),))
    with pytest.raises(OutsideValidityError, match="tpot_ms p90 is not known"):
        evaluate_tandem(_Exponential(), tandem, 1.0, (Statistic(Metric.TPOT, 90.0),))
    with pytest.raises(ServiceProcessError, match="arrival_rate_rps"):
        evaluate_tandem(_Exponential(), tandem, -1.0)
