"""batched-mg1: batch times from timings, and the queue they make."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queue_models import (
    BatchServiceQueue,
    IterationTiming,
    Lengths,
    Metric,
    OutsideValidityError,
    PrefillDecodeTiming,
    Role,
    ServiceProcess,
    Statistic,
    TableTiming,
    Target,
    Targets,
)
from queue_models.batch_times import batch_times
from queue_models.batched_mg1 import BatchedModel

MODEL = BatchedModel()


def test_fixed_lengths_are_the_queue_by_hand() -> None:
    """Batch times follow from the timing, and metrics from the chain at completions."""
    service = ServiceProcess(PrefillDecodeTiming(20.0, 0.5, 50.0, 0.1), [200], 64, 8)
    batch = np.arange(1.0, 9.0)
    prefill, iteration = 50.0 + 20.0 * batch, 20.0 + 0.5 * batch
    whole = prefill + 63 * iteration
    queue = BatchServiceQueue(0.003, whole)
    p95 = Statistic(Metric.WAIT, 95)
    came = MODEL.evaluate(service, 3.0, [p95])
    assert came.wait_ms == pytest.approx(queue.wait)
    assert came.ttft_ms == pytest.approx(queue.wait + queue.mean_over_requests(prefill))
    assert came.itl_ms == pytest.approx(queue.mean_over_requests(iteration))
    assert came.tpot_ms == pytest.approx(came.itl_ms)
    assert came.e2e_ms == pytest.approx(queue.wait + queue.time_in_service)
    assert came.percentiles[p95] == pytest.approx(queue.wait_quantile(0.95))


def test_iteration_times_count_chunks_and_cache() -> None:
    """Prompts take their chunks; decode iterations hold prompts and what has grown so far."""
    timing = IterationTiming(10.0, 0.1, 0.05, 0.001)
    service = ServiceProcess(timing, [600], 11, 3, chunk_tokens=1000)
    times = batch_times(service)
    for place, batch in enumerate((1, 2, 3)):
        chunks = np.ceil(600 * batch / 1000)
        prefill = chunks * 10.0 + 0.05 * 600 * batch + 0.001 * 600 * batch
        assert times.prefill[place] == pytest.approx(prefill)
        iteration = 10.0 + 0.1 * batch + 0.001 * batch * (600 + 5)
        assert times.iteration[place] == pytest.approx(iteration)
        assert times.whole[place] == pytest.approx(prefill + 10 * iteration)
    assert times.scv.tolist() == [0.0] * 3


def test_tables_give_what_their_law_gives() -> None:
    """A table sampled from a linear law gives the law's batch times."""
    law = IterationTiming(10.0, 0.1, 0.05, 0.001)
    axes = ([1.0, 64.0], [0.0, 8192.0], [0.0, 1e6])
    grid = np.meshgrid(*axes, indexing="ij")
    table = TableTiming(*axes, 10.0 + 0.1 * grid[0] + 0.05 * grid[1] + 0.001 * grid[2])
    one, other = (
        batch_times(ServiceProcess(timing, [600], 11, 6, chunk_tokens=1000))
        for timing in (law, table)
    )
    # Below its first point, one decode token, the table stays.
    assert other.iteration == pytest.approx(one.iteration, rel=1e-9)
    assert other.whole == pytest.approx(one.whole, rel=2e-2)


def test_the_longest_output_sets_the_time() -> None:
    """E[max] of geometric outputs is the known sum, and lengths vary the time."""
    mean, most = 50.0, 32
    service = ServiceProcess(
        PrefillDecodeTiming(10.0, 0.0, 5.0, 0.0), [100], Lengths.geometric([mean]), most
    )
    times = batch_times(service)
    tokens = np.arange(0.0, 5000.0)
    for batch in (1, 4, most):
        longest = np.sum(1.0 - (1.0 - (1.0 - 1.0 / mean) ** tokens) ** batch)
        wanted = 5.0 + 10.0 * (longest - 1.0)
        assert times.whole[batch - 1] == pytest.approx(wanted, rel=5e-3)
    assert times.scv[0] == pytest.approx((10.0**2 * mean * (mean - 1)) / 495.0**2, rel=1e-2)
    assert np.all(np.diff(times.whole) > 0)


def test_a_prefill_replica_is_a_server_of_prompts() -> None:
    """Without decode E2E is TTFT, and there is no ITL."""
    service = ServiceProcess(
        IterationTiming(10.0, 0.1, 0.05), [500], 100, 16, role=Role.PREFILL, output_tokens_scv=1.0
    )
    came = MODEL.evaluate(service, 20.0)
    assert came.e2e_ms == pytest.approx(came.ttft_ms)
    assert came.itl_ms.tolist() == [0.0]
    assert came.tpot_ms.tolist() == [0.0]


@pytest.mark.parametrize("metric", [Metric.WAIT, Metric.TTFT])
def test_percentiles_are_met_at_the_rate_returned(metric: Metric) -> None:
    """The largest rate for a percentile reproduces it."""
    service = ServiceProcess(PrefillDecodeTiming(20.0, 0.5, 50.0, 0.1), [200, 400], 64, [8, 5])
    p99 = Statistic(metric, 99)
    bound = MODEL.evaluate(service, [2.0, 1.0], [p99]).percentiles[p99]
    rate = MODEL.max_rate(service, Targets((Target(p99, bound),)))
    assert rate == pytest.approx([2.0, 1.0], rel=1e-6)
    alone = batch_times(service.take(np.array([0]))).prefill[0]
    impossible = Targets((Target(Statistic(Metric.TTFT, 99), 0.9 * alone),))
    assert MODEL.max_rate(service, impossible)[0] == 0.0


def test_ttft_percentiles_are_upper_bounds_that_are_tight_when_idle() -> None:
    """At low load it is the prefill of one request; at any load no less than the wait's and it."""
    service = ServiceProcess(PrefillDecodeTiming(20.0, 0.5, 50.0, 0.1), [200], 64, 32)
    times, wait, ttft = batch_times(service), Statistic(Metric.WAIT, 95), Statistic(Metric.TTFT, 95)
    idle = MODEL.evaluate(service, [0.0, 1e-6], [ttft]).percentiles[ttft]
    assert idle == pytest.approx(np.full(2, times.prefill[0]), rel=1e-3)
    rates = np.linspace(0.2, 0.95, 6) * MODEL.max_rate(service, Targets())
    came = MODEL.evaluate(service, rates, [wait, ttft]).percentiles
    assert np.all(came[ttft] >= came[wait] + times.prefill[0])
    assert np.all(came[ttft] <= came[wait] + times.prefill[-1] * (1 + 1e-12))
    assert np.all(np.diff(came[ttft]) > 0)


def test_overload_is_said() -> None:
    """At and above capacity the queue is not stable, waits are `inf` and throughput is capacity."""
    service = ServiceProcess(PrefillDecodeTiming(20.0, 0.5, 50.0, 0.1), [200], 64, 8)
    capacity = 8000.0 / batch_times(service).whole[-1]
    came = MODEL.evaluate(service, 2.0 * capacity, [Statistic(Metric.WAIT, 99)])
    assert not came.stable[0]
    assert came.throughput_rps == pytest.approx(capacity)
    assert np.isinf(came.ttft_ms[0])
    assert np.isinf(came.percentiles[Statistic(Metric.WAIT, 99)][0])
    assert (came.concurrency[0], came.utilization[0]) == (8.0, 1.0)
    assert MODEL.max_rate(service, Targets()) == pytest.approx(capacity, rel=2e-6)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"role": Role.DECODE}, "role must be AGGREGATED or PREFILL"),
        ({"arrival_scv": 2.0}, "arrival_scv must be 1"),
        ({"queue_capacity": 9}, "queue_capacity must be None or inf"),
        ({"kv_capacity_tokens": 9e4}, "kv_capacity_tokens must be inf"),
        ({"max_batch": 2000}, "max_batch must be at most 1024"),
        ({"output_tokens_scv": 1.0}, "wait_ms p99 is known for outputs of equal length only"),
    ],
)
def test_what_does_not_hold_is_refused_in_words(options: dict[str, object], reason: str) -> None:
    """Fields without a meaning here, sizes and percentiles that are not known are named."""
    given_ = {"max_batch": 8, **options}
    service = ServiceProcess(IterationTiming(10.0, 0.1, 0.05), [200], 64, **given_)
    with pytest.raises(OutsideValidityError, match=reason):
        MODEL.evaluate(service, 1.0, [Statistic(Metric.WAIT, 99)])


def test_a_request_without_any_time_is_refused() -> None:
    """All prompt tokens in the cache and one token of output leave nothing to do."""
    service = ServiceProcess(
        PrefillDecodeTiming(20.0, 0.5, 50.0, 0.1), [200, 200], [1, 2], 8, prefix_hit_rate=1.0
    )
    with pytest.raises(OutsideValidityError, match=r"takes no time.*\(pairs \[0\], 1 in all"):
        MODEL.evaluate(service, 1.0)


def test_no_pairs_are_no_results() -> None:
    """An empty process gives empty results of every field."""
    service = ServiceProcess(IterationTiming(10.0, 0.1, 0.05), np.zeros(0), 64, 8)
    metrics = MODEL.evaluate(service, np.zeros(0), [Statistic(Metric.WAIT, 99)])
    assert metrics.ttft_ms.shape == metrics.stable.shape == (0,)
    assert MODEL.max_rate(service, Targets()).shape == (0,)


@given(
    prompt=st.floats(0, 1e4),
    output=st.floats(1, 2000),
    batch=st.integers(1, 96),
    scv=st.sampled_from([0.0, 0.3, 2.0]),
    load=st.sampled_from([0.0, 1e-6, 0.3, 0.9, 0.999999, 1.0, 3.0]),
)
@settings(deadline=None, max_examples=25, derandomize=True)
def test_any_valid_input_gives_numbers(
    prompt: float, output: float, batch: int, scv: float, load: float
) -> None:
    """No NaN and no warning, and waits do not fall as the rate grows."""
    service = ServiceProcess(
        IterationTiming(7.0, 0.02, 0.05, 1e-4), [prompt], output, batch, output_tokens_scv=scv
    )
    capacity = MODEL.max_rate(service, Targets())
    metrics = MODEL.evaluate(service, load * capacity)
    less = MODEL.evaluate(service, 0.9 * load * capacity)
    for metric in Metric:
        assert not np.isnan(metrics.value(Statistic(metric))).any()
    assert np.all(less.wait_ms <= metrics.wait_ms * (1 + 1e-7))
    assert np.all(less.ttft_ms <= metrics.ttft_ms * (1 + 1e-7))
