"""The compatibility models beyond the reference: sizing rule, conventions, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queue_models import (
    IterationTiming,
    Metric,
    OutsideValidityError,
    PrefillDecodeTiming,
    QueueModel,
    ServiceProcess,
    Statistic,
    Target,
    Targets,
)
from queue_models.inferno_3p import Inferno3pModel
from queue_models.inferno_4p import Inferno4pModel
from queue_models.state_dependent import StateDependentModel

FOUR = PrefillDecodeTiming(20.58, 0.41, 160, 0.0125)
THREE = IterationTiming(20.58, 0.041, 0.041, 0.00128125)
TTFT, ITL = Statistic(Metric.TTFT), Statistic(Metric.ITL)


def _size(
    model: QueueModel, service: ServiceProcess, ttft: float = np.inf, itl: float = np.inf
) -> np.ndarray:
    return model.max_rate(service, Targets((Target(TTFT, ttft), Target(ITL, itl))))


def test_queue_conventions() -> None:
    """Without a queue capacity the first generation has ten batches, the second no queue."""
    for model, timing, places in ((Inferno4pModel(), FOUR, 80), (Inferno3pModel(), THREE, 0)):
        own = model.evaluate(ServiceProcess(timing, 128, 64, 8), 5.0)
        said = model.evaluate(ServiceProcess(timing, 128, 64, 8, queue_capacity=places), 5.0)
        assert own.ttft_ms == said.ttft_ms
        assert own.blocking_probability == said.blocking_probability


def test_four_parameters_are_the_state_dependent_model() -> None:
    """With its queue, mm1k-state-dependent gives the same means: TTFT at the mean it joins."""
    service = ServiceProcess(FOUR, 512, 256, 64, queue_capacity=640)
    for rate in (0.5, 4.0, 5.0):
        ours, theirs = (
            m.evaluate(service, rate) for m in (StateDependentModel(), Inferno4pModel())
        )
        for name in ("wait_ms", "ttft_ms", "itl_ms", "e2e_ms", "concurrency", "throughput_rps"):
            assert getattr(theirs, name) == pytest.approx(getattr(ours, name), rel=1e-9), name


def test_a_loose_target_allows_the_highest_rate() -> None:
    """Targets looser than anything reachable give 0.999 mu(N), less what is lost."""
    service = ServiceProcess(FOUR, 512, 256, 64)
    seconds = (160 + 0.0125 * 512 * 64 + 255 * (20.58 + 0.41 * 64)) / 1000
    highest = 0.999 * 64 / seconds
    model = Inferno4pModel()
    wanted = model.evaluate(service, highest).throughput_rps
    assert _size(model, service, 1e9, 1e9) == pytest.approx(wanted, rel=1e-6)
    assert model.max_rate(service, Targets()) == pytest.approx(wanted, rel=1e-6)


def test_a_target_below_the_value_at_the_lowest_rate_allows_none() -> None:
    """TTFT below prefill(1), or ITL below decode(1), gives 0."""
    service = ServiceProcess(FOUR, 512, 256, 64)
    assert _size(Inferno4pModel(), service, ttft=166.0) == 0
    assert _size(Inferno4pModel(), service, itl=20.9) == 0


def test_each_target_has_its_own_rate_and_the_least_counts() -> None:
    """Two targets give the smaller of their rates, exactly."""
    service = ServiceProcess(FOUR, [512, 128, 2000], 256, 64)
    model = Inferno4pModel()
    alone = np.minimum(_size(model, service, ttft=700.0), _size(model, service, itl=35.0))
    assert np.array_equal(_size(model, service, 700.0, 35.0), alone)


def test_promised_throughput_keeps_a_tenth() -> None:
    """A pair that promises a throughput is offered at most 0.9 of the highest rate."""
    service = ServiceProcess(FOUR, [512, 512], 256, 64)
    free, kept = Inferno4pModel().max_rate(service, Targets((), np.array([False, True])))
    assert kept / free == pytest.approx(0.9, rel=2e-3)


def test_a_constant_itl_is_taken_as_decreasing_by_the_first_generation() -> None:
    """With N = 1, a loose ITL is refused and one that cannot be met is accepted, as in Go."""
    service = ServiceProcess(FOUR, 512, 256, 1)
    assert _size(Inferno4pModel(), service, itl=30.0) == 0
    assert _size(Inferno4pModel(), service, itl=10.0) > 0


def test_a_falling_itl_drops_the_pair_in_the_second_generation() -> None:
    """With N = 1 the second generation has no rate, whatever the target."""
    service = ServiceProcess(THREE, 512, 256, 1)
    for itl in (5.0, 1e6):
        assert _size(Inferno3pModel(), service, itl=itl) == 0


def test_zero_load_records() -> None:
    """At rate 0: decode(1) and prefill of one token; the README's formulas."""
    first = Inferno4pModel().evaluate(ServiceProcess(FOUR, 512, 256, 64), 0.0)
    assert (first.itl_ms, first.ttft_ms) == pytest.approx((20.99, 160.0125))
    second = Inferno3pModel().evaluate(ServiceProcess(THREE, 512, 256, 64), 0.0)
    assert second.ttft_ms == pytest.approx(20.58 + (0.041 + 0.00128125) * 512)
    assert second.itl_ms == pytest.approx(20.58 + 0.041 + 0.00128125 * (512 + 128.5))
    assert first.wait_ms == second.wait_ms == 0.0


def test_they_do_not_check_services_without_load() -> None:
    """The compatibility models say so; ours check."""
    assert not Inferno4pModel.keeps_targets
    assert not Inferno3pModel.keeps_targets
    assert StateDependentModel.keeps_targets


@pytest.mark.parametrize(
    ("model", "service", "reason"),
    [
        (Inferno4pModel(), ServiceProcess(THREE, 512, 256, 8), "must be PrefillDecodeTiming"),
        (Inferno3pModel(), ServiceProcess(FOUR, 512, 256, 8), "must be IterationTiming"),
        (
            Inferno3pModel(),
            ServiceProcess(IterationTiming(20, 0.04, 0.05), 512, 256, 8),
            "must be equal",
        ),
        (
            Inferno4pModel(),
            ServiceProcess(FOUR, 512, 256, 8, queue_capacity=np.inf),
            "queue_capacity must be finite",
        ),
        (Inferno4pModel(), ServiceProcess(FOUR, 0, 1, 8), "takes no time"),
        (Inferno4pModel(), ServiceProcess(FOUR, 512, 256, 8, arrival_scv=2), "arrival_scv"),
    ],
)
def test_what_they_do_not_model_is_refused(
    model: QueueModel, service: ServiceProcess, reason: str
) -> None:
    """Another timing, an endless queue, bursts: refused with the reason."""
    with pytest.raises(OutsideValidityError, match=reason):
        model.max_rate(service, Targets())


def test_percentiles_are_refused() -> None:
    """Only means are known."""
    with pytest.raises(OutsideValidityError, match="ttft_ms p99 is not known"):
        Inferno4pModel().evaluate(ServiceProcess(FOUR, 1, 2, 3), 1.0, [Statistic(Metric.TTFT, 99)])


@given(
    prompt=st.integers(0, 100_000),
    output=st.integers(1, 20_000),
    batch=st.one_of(st.integers(1, 64), st.integers(1, 4096)),
    places=st.one_of(st.none(), st.integers(0, 1_000_000)),
    ttft=st.floats(1e-3, 1e7),
    itl=st.floats(1e-3, 1e5),
)
@settings(deadline=None, max_examples=60, derandomize=True)
def test_any_valid_input_gives_numbers(
    prompt: int, output: int, batch: int, places: int | None, ttft: float, itl: float
) -> None:
    """No NaN and no warning up to B = 4096 and K = 1e6, with the SLOs held to rounding."""
    for model, timing in ((Inferno4pModel(), FOUR), (Inferno3pModel(), THREE)):
        service = ServiceProcess(timing, [prompt], output, batch, queue_capacity=places)
        if model.refusals(service):
            continue
        rate = _size(model, service, ttft, itl)
        assert np.isfinite(rate).all()
        metrics = model.evaluate(service, rate)
        for metric in Metric:
            assert np.isfinite(metrics.value(Statistic(metric))).all()
        if rate > 0 and batch > 1:
            coarse = metrics.e2e_ms * 2.0**-21
            assert np.all(metrics.ttft_ms <= ttft * (1 + 1e-4) + coarse)


@given(
    batch=st.integers(2, 300),
    prompt=st.integers(1, 4000),
    output=st.integers(2, 1000),
    bounds=st.tuples(st.floats(20, 4000), st.floats(20, 4000)),
)
@settings(deadline=None, max_examples=60, derandomize=True)
def test_rates_are_monotone_in_the_slo(
    batch: int, prompt: int, output: int, bounds: tuple[float, float]
) -> None:
    """A looser TTFT never lowers the rate by more than the core's tolerance and rounding."""
    low, high = sorted(bounds)
    if high < low * 1.01:
        return
    for model, timing in ((Inferno4pModel(), FOUR), (Inferno3pModel(), THREE)):
        service = ServiceProcess(timing, [prompt], output, batch, queue_capacity=5 * batch)
        assert _size(model, service, ttft=high) >= _size(model, service, ttft=low) * (1 - 1e-3)
