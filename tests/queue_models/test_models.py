"""mmc, mm1k-state-dependent and auto: what they add to the engine."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from queue_models import (
    BirthDeathChain,
    IterationTiming,
    Metric,
    OutsideValidityError,
    PrefillDecodeTiming,
    QueueModel,
    ServiceProcess,
    ServiceProcessError,
    Statistic,
    Target,
    Targets,
    get,
    mmc_queue,
    mmc_wait_quantile,
)
from queue_models.auto import AutoModel
from queue_models.inferno_4p import Inferno4pModel
from queue_models.mmc import MMcModel
from queue_models.service_law import service_law
from queue_models.state_dependent import StateDependentModel
from tests.queue_models.processes import iterations, limited, prefill_decode

LATENCIES = (Metric.WAIT, Metric.TTFT, Metric.ITL)
OURS = (MMcModel(), StateDependentModel())


def _at_load(model: QueueModel, service: ServiceProcess, load: float) -> np.ndarray:
    return load * model.max_rate(service, Targets())


def test_mmc_is_erlang_c_at_full_batch_speed() -> None:
    """Means and percentiles of the wait are those of M/M/c with service time S(B)."""
    timing = PrefillDecodeTiming(20, 0.4, 160, 0.0125)
    service = ServiceProcess(timing, [512], 256, 64)
    full = 160 + 0.0125 * 512 * 64
    seconds = (full + 255 * (20 + 0.4 * 64)) / 1000
    rate = 0.95 * 64 / seconds
    p99 = Statistic(Metric.WAIT, 99)
    came = MMcModel().evaluate(service, rate, [p99])
    wait = 1000 * mmc_queue(rate, 1 / seconds, 64).wait
    assert came.wait_ms == pytest.approx(wait, rel=1e-10)
    assert came.ttft_ms == pytest.approx(wait + full, rel=1e-10)
    assert came.itl_ms == pytest.approx(20 + 0.4 * 64, rel=1e-12)
    wanted = 1000 * mmc_wait_quantile(rate, 1 / seconds, 64, 0.99)
    assert came.percentiles[p99] == pytest.approx(wanted, rel=1e-10)


@pytest.mark.parametrize("service", [iterations(), limited(iterations(), 100), prefill_decode()])
def test_state_dependent_means_are_those_of_the_states(service: ServiceProcess) -> None:
    """TTFT and ITL are averages over the states found, with the throughput as weight."""
    model, law = StateDependentModel(), service_law(service)
    rate = _at_load(model, service, 0.9)
    came = model.evaluate(service, rate)
    places = 4e3 if service.queue_capacity is None else service.queue_capacity[0]
    for i in range(5):
        slots = int(law.slots[i])
        one = law.take(np.array([i]))
        n = np.minimum(np.arange(1, slots + int(places) + 1), slots).astype(float)
        mu = one.service_rates()[0, n.astype(int) - 1]
        found = np.exp(np.concatenate([[0], np.cumsum(np.log(rate[i] / mu))[:-1]]))
        found /= found.sum()
        decode = sum(found * one.decode(n))
        wait = came.wait_ms[i]
        assert came.itl_ms[i] == pytest.approx(decode, rel=1e-8)
        assert came.ttft_ms[i] == pytest.approx(wait + sum(found * one.prefill(n)), rel=1e-8)
        assert came.e2e_ms[i] == pytest.approx(
            came.ttft_ms[i] + one.intervals[0] * decode, rel=1e-8
        )


@pytest.mark.parametrize("model", OURS, ids=lambda m: m.name)
@pytest.mark.parametrize("places", [np.inf, 300.0, 0.0])
@pytest.mark.parametrize("load", [0.2, 0.85, 0.99])
def test_percentiles_bound_and_rate_invert_each_other(
    model: QueueModel, places: float, load: float
) -> None:
    """At the rate for a percentile's own value the percentile is met, and no sooner than before."""
    service = limited(iterations(12), places)
    rate = _at_load(model, service, load)
    statistics = [Statistic(metric, p) for metric in LATENCIES for p in (50.0, 99.0)]
    metrics = model.evaluate(service, rate, statistics)
    for statistic in statistics:
        bound = metrics.value(statistic)
        positive = bound > 0
        target = Target(statistic, np.where(positive, bound, 1.0))
        sized = model.max_rate(service, Targets((target,)))
        assert np.all(sized[positive] >= metrics.throughput_rps[positive] * (1 - 1e-8)), statistic


@pytest.mark.parametrize("model", OURS, ids=lambda m: m.name)
@pytest.mark.parametrize("metric", LATENCIES)
def test_percentiles_are_met_at_the_rate_returned(model: QueueModel, metric: Metric) -> None:
    """At the rate for a bound on a percentile it is within the bound, also where it jumps."""
    service = iterations(60)
    p95 = Statistic(metric, 95.0)
    loaded = model.evaluate(service, _at_load(model, service, 0.97), [p95]).value(p95)
    bound = np.maximum(0.9 * loaded, 1.0)
    rate = model.max_rate(service, Targets((Target(p95, bound),)))
    fits = rate > 0
    assert fits.any() or (metric is Metric.ITL and isinstance(model, MMcModel))
    came = model.evaluate(service, rate, [p95]).value(p95)
    assert np.all(came[fits] <= bound[fits] * (1 + 1e-8))


def test_several_targets_are_the_least_of_each() -> None:
    """The rate for two bounds is the smaller of their rates."""
    service, model = prefill_decode(), StateDependentModel()
    metrics = model.evaluate(service, _at_load(model, service, 0.8))
    ttft = Target(Statistic(Metric.TTFT), metrics.ttft_ms * 1.1)
    itl = Target(Statistic(Metric.ITL), metrics.itl_ms)
    alone = [model.max_rate(service, Targets((target,))) for target in (ttft, itl)]
    both = model.max_rate(service, Targets((ttft, itl)))
    assert both == pytest.approx(np.minimum(*alone), rel=1e-8)


def test_no_bound_is_no_limit() -> None:
    """A bound of infinity and no target at all give the capacity."""
    service, model = iterations(), StateDependentModel()
    free = model.max_rate(service, Targets())
    bounded = model.max_rate(service, Targets((Target(Statistic(Metric.TTFT), np.inf),)))
    assert np.array_equal(free, bounded)
    capacity = service_law(service).service_rates()
    full = capacity[np.arange(len(free)), service.max_batch.astype(int) - 1]
    assert free == pytest.approx(full, rel=1e-8)


def test_overload_of_an_unlimited_queue_is_said() -> None:
    """At or above capacity waits are infinite, throughput is capacity, ITL a full batch's."""
    service = prefill_decode(4)
    law = service_law(service)
    full = law.slots.astype(float)
    p99s = [Statistic(metric, 99) for metric in LATENCIES]
    for model in OURS:
        capacity = model.max_rate(service, Targets()) * (1 + 1e-6)
        metrics = model.evaluate(service, 2 * capacity, p99s)
        assert not metrics.stable.any()
        assert metrics.throughput_rps == pytest.approx(capacity, rel=1e-5)
        for name in ("wait_ms", "ttft_ms", "e2e_ms", "queue_length"):
            assert np.all(np.isinf(getattr(metrics, name)))
        assert metrics.itl_ms == pytest.approx(law.decode(full), rel=1e-12)
        assert metrics.value(p99s[2]) == pytest.approx(law.decode(full), rel=1e-12)
        assert np.all(np.isinf(metrics.value(p99s[0])))
        assert np.all(metrics.utilization == 1.0)


def test_one_output_token_has_no_intervals() -> None:
    """Without a second token ITL and TPOT are 0 and no bound on them binds."""
    service = ServiceProcess(IterationTiming(10, 0.1, 0.1), [100], 1, 8)
    model = StateDependentModel()
    p99 = Statistic(Metric.ITL, 99)
    metrics = model.evaluate(service, 1.0, [p99])
    assert metrics.itl_ms == metrics.tpot_ms == metrics.value(p99) == 0.0
    for statistic in (Statistic(Metric.ITL), p99):
        rate = model.max_rate(service, Targets((Target(statistic, 1e-6),)))
        assert rate == model.max_rate(service, Targets())


@pytest.mark.parametrize("model", OURS, ids=lambda m: m.name)
def test_what_is_not_known_is_refused_in_words(model: QueueModel) -> None:
    """Bursty arrivals and percentiles of E2E raise, naming reason and pairs."""
    timing = IterationTiming(10, 0.1, 0.1)
    bursty = ServiceProcess(timing, [100, 100], 10, 8, arrival_scv=[1.0, 4.0])
    with pytest.raises(
        OutsideValidityError, match=r"arrival_scv must be 1 \(pairs \[1\], 1 in all"
    ):
        model.evaluate(bursty, 1.0)
    with pytest.raises(OutsideValidityError, match="e2e_ms p99 is not known"):
        model.max_rate(
            ServiceProcess(timing, [100], 10, 8),
            Targets((Target(Statistic(Metric.E2E, 99), 100.0),)),
        )


def test_shapes_that_do_not_broadcast_are_named() -> None:
    """Three rates for two pairs raise, with both shapes."""
    service = iterations(2)
    with pytest.raises(ServiceProcessError, match=r"\(3,\).*\(2,\)"):
        MMcModel().evaluate(service, [1.0, 2.0, 3.0])


@pytest.mark.parametrize("name", ["mmc", "mm1k-state-dependent", "inferno-4p"])
def test_no_pairs_are_no_results(name: str) -> None:
    """An empty process gives empty results of every field."""
    models = {model.name: model for model in (*OURS, Inferno4pModel())}
    service = prefill_decode(1).take(np.array([], dtype=int))
    metrics = models[name].evaluate(service, [])
    assert metrics.ttft_ms.shape == (0,)
    assert models[name].max_rate(service, Targets()).shape == (0,)


def test_one_pair_may_be_a_scalar() -> None:
    """A process of numbers gives results without dimensions."""
    service = ServiceProcess(IterationTiming(10, 0.1, 0.1), 100, 10, 8)
    assert StateDependentModel().evaluate(service, 1.0).ttft_ms.shape == ()
    assert StateDependentModel().max_rate(service, Targets()).shape == ()


def test_auto_says_what_it_chose_and_why() -> None:
    """Each pair goes to the most accurate model that holds for it, with that model's numbers."""
    service = iterations(3)
    (choice,) = AutoModel().choose(service, [Statistic(Metric.TTFT, 99)])
    assert choice.name == "iteration-level"
    assert "IterationTiming" in choice.reason
    assert np.array_equal(choice.pairs, np.arange(3))
    exact = get("iteration-level").evaluate(service, 0.5).ttft_ms
    assert np.array_equal(AutoModel().evaluate(service, 0.5).ttft_ms, exact)


def test_auto_mixes_models_where_pairs_differ() -> None:
    """Bursty pairs of two-phase timing go to lps, the others to the state-dependent model."""
    service = ServiceProcess(
        PrefillDecodeTiming(10.0, 0.5, 5.0, 0.01), 100, 20, [8, 16, 32], arrival_scv=[1.0, 4.0, 1.0]
    )
    first, second = AutoModel().choose(service)
    assert (first.name, second.name) == ("mm1k-state-dependent", "lps")
    assert [first.pairs.tolist(), second.pairs.tolist()] == [[0, 2], [1]]
    rate = np.array([[5.0], [20.0]])
    wait = Statistic(Metric.WAIT, 95)
    together = AutoModel().evaluate(service, rate, (wait,))
    targets = Targets((Target(Statistic(Metric.TTFT), [80.0, 90.0, 100.0]),))
    rates = AutoModel().max_rate(service, targets)
    for choice in (first, second):
        model, part = get(choice.name), service.take(choice.pairs)
        alone = model.evaluate(part, rate, (wait,))
        assert np.array_equal(together.ttft_ms[:, choice.pairs], alone.ttft_ms)
        assert np.array_equal(together.percentiles[wait][:, choice.pairs], alone.percentiles[wait])
        bounds = Targets((Target(Statistic(Metric.TTFT), targets.targets[0].bound[choice.pairs]),))
        assert np.array_equal(rates[choice.pairs], model.max_rate(part, bounds))


@given(
    prompt=st.floats(0, 1e5),
    output=st.floats(1, 1e4),
    batch=st.one_of(st.integers(1, 64), st.integers(1, 4096)),
    places=st.one_of(st.just(np.inf), st.integers(0, 1_000_000).map(float)),
    chunk=st.floats(1, 16_384),
    scv=st.floats(0, 10),
    load=st.one_of(st.floats(0, 0.999999), st.sampled_from([0.0, 0.999999, 1.0, 3.0])),
)
@settings(deadline=None, max_examples=80, derandomize=True)
def test_any_valid_input_gives_numbers(
    prompt: float, output: float, batch: int, places: float, chunk: float, scv: float, load: float
) -> None:
    """No NaN and no warning up to B = 4096, K = 1e6 and load 0.999999, means and percentiles."""
    timing = IterationTiming(7.0, 0.02, 0.05, 1e-4)
    service = ServiceProcess(
        timing,
        [prompt],
        output,
        batch,
        output_tokens_scv=scv,
        queue_capacity=places,
        chunk_tokens=chunk,
    )
    statistics = [Statistic(m, p) for m in LATENCIES for p in (50.0, 99.9)]
    for model in OURS:
        capacity = model.max_rate(service, Targets())
        metrics = model.evaluate(service, load * capacity, statistics)
        for statistic in [*(Statistic(m) for m in Metric), *statistics]:
            value = metrics.value(statistic)
            assert not np.isnan(value).any()
            assert metrics.stable[0] == np.isfinite(value[0]) or statistic.metric in (
                Metric.ITL,
                Metric.TPOT,
            )
            bound = np.clip(0.9 * value, 1e-3, 1e12)
            rate = model.max_rate(service, Targets((Target(statistic, bound),)))
            assert np.all((rate >= 0) & (rate <= capacity * (1 + 1e-6)))


@given(
    seed=st.integers(0, 10_000),
    statistic=st.builds(
        Statistic, st.sampled_from(LATENCIES), st.sampled_from([None, 50.0, 95.0, 99.0])
    ),
    factors=st.tuples(st.floats(0.2, 5), st.floats(0.2, 5)),
)
@settings(deadline=None, max_examples=40, derandomize=True)
def test_rates_are_monotone_in_every_slo(
    seed: int, statistic: Statistic, factors: tuple[float, float]
) -> None:
    """A looser bound on any statistic never lowers the rate."""
    for service in (iterations(8, seed), limited(prefill_decode(8, seed), 50)):
        for model in OURS:
            value = model.evaluate(service, _at_load(model, service, 0.8), [statistic])
            base = np.maximum(value.value(statistic), 1e-3)
            low, high = (
                model.max_rate(service, Targets((Target(statistic, factor * base),)))
                for factor in sorted(factors)
            )
            assert np.all(high >= low * (1 - 1e-8))


def test_more_batch_more_rate() -> None:
    """A larger batch never lowers the capacity."""
    timing = IterationTiming(10, 0.1, 0.1, 1e-4)
    service = ServiceProcess(timing, 1000, 200, np.arange(1, 600))
    assert np.all(np.diff(StateDependentModel().max_rate(service, Targets())) >= 0)


def test_engine_and_model_agree() -> None:
    """The model's blocking is the engine's, for the same rates."""
    service = limited(prefill_decode(3), 5)
    law = service_law(service)
    rate = np.full(3, 2.0)
    chain = BirthDeathChain.from_rates(law.service_rates(), 5.0, law.slots)
    wanted = chain.steady_state(rate).blocking_probability
    assert StateDependentModel().evaluate(service, rate).blocking_probability == pytest.approx(
        wanted
    )
