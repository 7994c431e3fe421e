"""mgc and lps: what variability of lengths and arrivals adds to the engine."""

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
    RequestWork,
    Role,
    Routing,
    ServiceProcess,
    ServiceProcessError,
    Statistic,
    Target,
    Targets,
    UnstableError,
    limited_sharing_queue,
    pollaczek_khinchine_wait,
)
from queue_models.lps import LimitedSharingModel
from queue_models.mgc import MGcModel
from queue_models.service_law import service_law
from queue_models.state_dependent import StateDependentModel
from queue_models.variability import Variability
from tests.queue_models.processes import iterations

MODELS = (MGcModel(), LimitedSharingModel())
LATENCIES = (Metric.WAIT, Metric.TTFT, Metric.ITL)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
@pytest.mark.parametrize("scv", [0.0, 0.4, 3.0])
def test_one_slot_is_pollaczek_khinchine(model: QueueModel, scv: float) -> None:
    """With B = 1 the mean wait is exact M/G/1, with the SCV of decode time in the whole."""
    timing = PrefillDecodeTiming(20.0, 0.0, 100.0, 0.1)
    service = ServiceProcess(timing, 500, 100, 1, output_tokens_scv=scv)
    whole = 100.0 + 0.1 * 500 + 99 * 20.0
    service_scv = scv * (100 * 20.0) ** 2 / whole**2
    rate = 0.8 / whole
    wanted = pollaczek_khinchine_wait(rate, whole, service_scv)
    assert model.evaluate(service, 1000.0 * rate).wait_ms == pytest.approx(wanted, rel=1e-9)


def test_lps_waits_are_those_of_the_chain_stretched() -> None:
    """Wait and percentiles are the birth-death chain's times one factor; ITL is the chain's."""
    service, p99 = iterations(), Statistic(Metric.WAIT, 99)
    rate = 0.9 * LimitedSharingModel().max_rate(service, Targets())
    plain = StateDependentModel().evaluate(service, rate, [p99])
    came = LimitedSharingModel().evaluate(service, rate, [p99])
    law = service_law(service)
    factor = Variability.of(service, law).stretch(
        rate / law.service_rates()[np.arange(len(rate)), law.slots - 1], law.slots
    )
    assert came.wait_ms == pytest.approx(factor * plain.wait_ms, rel=1e-9)
    assert came.percentiles[p99] == pytest.approx(factor * plain.percentiles[p99], rel=1e-9)
    assert came.itl_ms == pytest.approx(plain.itl_ms, rel=1e-12)
    assert np.all(factor > 0)
    assert factor.min() < 0.9 < 1.1 < factor.max()


def test_routing_in_turn_smooths_and_bursts_are_split() -> None:
    """ca² is 1/R in turn over R replicas, 1 + (ca² - 1)/R at random, and the wait follows."""
    service = ServiceProcess(
        IterationTiming(10, 0.1, 0.1),
        100,
        50,
        4,
        arrival_scv=[1.0, 1.0, 5.0, 5.0],
        replicas=[1, 4, 4, 1],
        routing=np.array([Routing.RANDOM, Routing.ROUND_ROBIN, Routing.RANDOM, Routing.RANDOM]),
    )
    varies = Variability.of(service, service_law(service))
    assert varies.arrival_scv.tolist() == [1.0, 0.25, 2.0, 5.0]
    rate = 0.9 * LimitedSharingModel().max_rate(service, Targets())
    waits = LimitedSharingModel().evaluate(service, rate).wait_ms
    assert waits[1] < waits[0] < waits[2] < waits[3]


def test_prefill_replicas_vary_with_their_prompts() -> None:
    """A replica that only prefills has the SCV of its prompts, not of outputs."""
    service = ServiceProcess(
        PrefillDecodeTiming(20.0, 0.0, 0.0, 0.1),
        500,
        100,
        1,
        input_tokens_scv=2.0,
        output_tokens_scv=9.0,
        role=Role.PREFILL,
    )
    varies = Variability.of(service, service_law(service))
    assert varies.service_scv == pytest.approx(2.0)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m.name)
def test_what_does_not_hold_is_refused_in_words(model: QueueModel) -> None:
    """Limited queues and shared queues of replicas are refused; what is honoured is not."""
    timing = IterationTiming(10, 0.1, 0.1)
    limited = ServiceProcess(timing, 100, 10, 8, queue_capacity=[np.inf, 9.0])
    with pytest.raises(OutsideValidityError, match=r"queue_capacity must be None or inf.*\[1\]"):
        model.evaluate(limited, 1.0)
    shared = ServiceProcess(timing, 100, 10, 8, replicas=[1, 2], routing=Routing.LEAST_OUTSTANDING)
    with pytest.raises(OutsideValidityError, match=r"RANDOM or ROUND_ROBIN \(pairs \[1\]"):
        model.max_rate(shared, Targets())
    with pytest.raises(OutsideValidityError, match="tpot_ms p95 is not known"):
        model.evaluate(ServiceProcess(timing, 100, 10, 8), 1.0, [Statistic(Metric.TPOT, 95)])


@given(
    prompt=st.floats(0, 1e5),
    output=st.floats(1, 1e4),
    batch=st.one_of(st.integers(1, 64), st.integers(1, 4096)),
    chunk=st.floats(1, 16_384),
    scv=st.floats(0, 30),
    burst=st.floats(1e-3, 50),
    load=st.one_of(st.floats(0, 0.999999), st.sampled_from([0.0, 0.999999, 1.0, 3.0])),
)
@settings(deadline=None, max_examples=30, derandomize=True)
def test_any_valid_input_gives_numbers(
    prompt: float, output: float, batch: int, chunk: float, scv: float, burst: float, load: float
) -> None:
    """No NaN and no warning up to B = 4096 and load 0.999999; rates lie within capacity."""
    service = ServiceProcess(
        IterationTiming(7.0, 0.02, 0.05, 1e-4),
        [prompt],
        output,
        batch,
        input_tokens_scv=scv,
        output_tokens_scv=scv,
        chunk_tokens=chunk,
        arrival_scv=burst,
    )
    statistics = [Statistic(m, p) for m in LATENCIES for p in (50.0, 99.9)]
    for model in MODELS:
        capacity = model.max_rate(service, Targets())
        metrics = model.evaluate(service, load * capacity, statistics)
        less = model.evaluate(service, 0.95 * load * capacity)
        for statistic in [*(Statistic(m) for m in Metric), *statistics]:
            value = metrics.value(statistic)
            assert not np.isnan(value).any()
            bound = np.clip(0.9 * value, 1e-3, 1e12)
            rate = model.max_rate(service, Targets((Target(statistic, bound),)))
            assert np.all((rate >= 0) & (rate <= capacity * (1 + 1e-6)))
        assert np.all(less.wait_ms <= metrics.wait_ms * (1 + 1e-9))


@given(
    seed=st.integers(0, 10_000),
    statistic=st.builds(
        Statistic, st.sampled_from(LATENCIES), st.sampled_from([None, 50.0, 95.0, 99.0])
    ),
    factors=st.tuples(st.floats(0.2, 5), st.floats(0.2, 5)),
)
@settings(deadline=None, max_examples=20, derandomize=True)
def test_rates_are_monotone_in_every_slo(
    seed: int, statistic: Statistic, factors: tuple[float, float]
) -> None:
    """A looser bound on any statistic never lowers the rate."""
    service = iterations(8, seed)
    for model in MODELS:
        rate = 0.8 * model.max_rate(service, Targets())
        base = np.maximum(model.evaluate(service, rate, [statistic]).value(statistic), 1e-3)
        low, high = (
            model.max_rate(service, Targets((Target(statistic, factor * base),)))
            for factor in sorted(factors)
        )
        assert np.all(high >= low * (1 - 1e-8))


def test_more_slots_more_rate() -> None:
    """A larger batch never lowers the rate within a mean wait."""
    timing = IterationTiming(10, 0.1, 0.1, 1e-4)
    service = ServiceProcess(timing, 1000, 200, np.arange(1, 600), output_tokens_scv=2.0)
    targets = Targets((Target(Statistic(Metric.WAIT), 100.0),))
    assert np.all(np.diff(LimitedSharingModel().max_rate(service, targets)) >= 0)


def test_capacity_is_the_closed_form() -> None:
    """Without targets the rate is min(B/(alpha K + B w), C/(alpha tokens + C w))."""
    service = iterations(40, 3)
    assert isinstance(service.timing, IterationTiming)
    wanted = RequestWork.of(service).capacity_rps(service.timing)
    assert LimitedSharingModel().max_rate(service, Targets()) == pytest.approx(wanted, rel=1e-8)


def test_limited_sharing_function_checks_its_arguments() -> None:
    """Saturation and SCVs out of range raise."""
    with pytest.raises(UnstableError, match="below mu"):
        limited_sharing_queue(3.0, [1.0, 2.0])
    with pytest.raises(ServiceProcessError, match="arrival_scv"):
        limited_sharing_queue(1.0, [1.0, 2.0], arrival_scv=0.0)
    with pytest.raises(ServiceProcessError, match="arrival_rate"):
        limited_sharing_queue(-1.0, [1.0, 2.0])
