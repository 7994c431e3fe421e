"""Latencies of one kind of requests among others that share a replica."""

from __future__ import annotations

import numpy as np
import pytest

from queue_models import (
    IterationTiming,
    Lengths,
    Metric,
    OutsideValidityError,
    PrefillDecodeTiming,
    ServiceProcess,
    ServiceProcessError,
    Statistic,
    TaggedRequests,
    Target,
    Targets,
    get,
)
from queue_models.work import RequestWork

_TIMINGS = {
    "iteration": IterationTiming(8.0, 0.05, 0.02, 1e-5),
    "phases": PrefillDecodeTiming(12.0, 0.4, 5.0, 0.01),
}
_PAIRS = [
    ("iteration-level", "iteration"),
    ("mm1k-state-dependent", "iteration"),
    ("lps", "iteration"),
    ("mm1k-state-dependent", "phases"),
    ("lps", "phases"),
]
_SHARES = np.array([0.7, 0.3])
_PROMPTS = np.array([200.0, 3000.0])
_OUTPUTS = np.array([300.0, 50.0])


def mixed(timing: str, kind: int | None, **changes: object) -> ServiceProcess:
    """Return short chats (0) and long documents (1) on one replica, one kind of them tagged."""
    tagged = None
    if kind is not None:
        tagged = TaggedRequests(_PROMPTS[kind], _OUTPUTS[kind])
    both = _SHARES @ (_PROMPTS * _OUTPUTS) - (_SHARES @ _PROMPTS) * (_SHARES @ _OUTPUTS)
    given = {"length_covariance": both, "tagged": tagged, **changes}
    return ServiceProcess(
        _TIMINGS[timing],
        Lengths.mixture(Lengths.fixed(_PROMPTS), _SHARES),
        Lengths.mixture(Lengths.fixed(_OUTPUTS), _SHARES),
        64,
        **given,
    )


@pytest.mark.parametrize(("name", "timing"), _PAIRS)
@pytest.mark.parametrize("rate", [0.0, 2.0, 5.0])
def test_the_kinds_make_up_all_requests(name: str, timing: str, rate: float) -> None:
    """Means of the kinds, weighed by how often they come, are the means of all requests."""
    model = get(name)
    whole = model.evaluate(mixed(timing, None), rate)
    kinds = [model.evaluate(mixed(timing, kind), rate) for kind in (0, 1)]
    for metric in (Metric.WAIT, Metric.TTFT, Metric.E2E):
        parts = [float(k.value(Statistic(metric))) for k in kinds]
        expected = float(whole.value(Statistic(metric)))
        assert _SHARES @ parts == pytest.approx(expected, rel=1e-9, abs=1e-9), metric
    for field in ("utilization", "concurrency", "queue_length", "throughput_rps"):
        for kind in kinds:
            assert getattr(kind, field) == pytest.approx(getattr(whole, field), rel=1e-9)


@pytest.mark.parametrize(("name", "timing"), _PAIRS)
def test_long_prompts_wait_for_themselves(name: str, timing: str) -> None:
    """The first token of a longer prompt comes later, the whole of a longer output too."""
    model = get(name)
    tail = Statistic(Metric.TTFT, 95.0)
    short, long = (model.evaluate(mixed(timing, kind), 4.0, (tail,)) for kind in (0, 1))
    assert long.ttft_ms > short.ttft_ms
    assert short.e2e_ms > long.e2e_ms
    if name == "iteration-level":
        assert long.value(tail) > short.value(tail) + 40


@pytest.mark.parametrize(("name", "timing"), _PAIRS)
def test_requests_of_one_kind_are_all_requests(name: str, timing: str) -> None:
    """Where all are of the tagged kind, its latencies are those of all."""
    model, tail = get(name), Statistic(Metric.TTFT, 99.0)
    tagged = TaggedRequests(500.0, 100.0)
    plain, alone = (
        ServiceProcess(_TIMINGS[timing], 500.0, 100.0, 32, tagged=who) for who in (None, tagged)
    )
    one, other = (model.evaluate(service, 3.0, (tail,)) for service in (plain, alone))
    for statistic in (*map(Statistic, Metric), tail):
        assert other.value(statistic) == pytest.approx(one.value(statistic), rel=1e-6)


@pytest.mark.parametrize(("name", "timing"), _PAIRS)
def test_the_largest_rate_is_that_of_the_tagged_objective(name: str, timing: str) -> None:
    """At the largest rate the kind's own latency is at its bound, and the rate is that of all."""
    model = get(name)
    statistic = Statistic(Metric.TTFT)
    service = mixed(timing, 1)
    bound = 1.5 * float(model.evaluate(service, 0.0).ttft_ms)
    rate = model.max_rate(service, Targets((Target(statistic, bound),)))
    found = float(model.evaluate(service, rate).ttft_ms)
    capacity = float(model.max_rate(service, Targets()))
    assert found <= bound * (1 + 1e-6)
    assert found == pytest.approx(bound, rel=1e-4) or rate == pytest.approx(capacity, rel=1e-4)


def test_work_of_a_mix_is_the_mean_of_its_kinds() -> None:
    """With the covariance of lengths, tokens held in the cache are the mean over the kinds."""
    work = RequestWork.of(mixed("iteration", None))
    kinds = RequestWork.of(ServiceProcess(_TIMINGS["iteration"], _PROMPTS, _OUTPUTS, 64))
    assert work.kv_decode == pytest.approx(_SHARES @ kinds.kv_decode)
    without = RequestWork.of(mixed("iteration", None, length_covariance=0.0))
    assert without.kv_decode > 1.3 * work.kv_decode


def test_models_that_know_no_kinds_refuse_in_words() -> None:
    """A model that knows all requests together alone says so."""
    with pytest.raises(OutsideValidityError, match="not of one kind among others"):
        get("mmc").evaluate(mixed("iteration", 0, length_covariance=0.0), 1.0)


def test_a_kind_without_a_token_is_refused() -> None:
    """Lengths of tagged requests are checked as those of all."""
    with pytest.raises(ServiceProcessError, match=r"TaggedRequests.output_tokens.*at least 1"):
        TaggedRequests(100.0, 0.5)
    with pytest.raises(ServiceProcessError, match="prefix_hit_rate"):
        TaggedRequests(100.0, 5.0, 1.5)


def test_a_mixture_keeps_two_moments() -> None:
    """Mean and second moment of a mixture are those of its kinds, weighed."""
    kinds = Lengths.stack(
        [Lengths.fixed(50.0), Lengths.lognormal(400.0, 1.5), Lengths.geometric(90.0)]
    )
    shares = np.array([0.5, 0.3, 0.2])
    mixture = Lengths.mixture(kinds, shares)
    for order in (1, 2):
        assert mixture.raw_moment(order) == pytest.approx(shares @ kinds.raw_moment(order))
    with pytest.raises(ServiceProcessError, match="a weight per kind"):
        Lengths.mixture(kinds, [1.0])
