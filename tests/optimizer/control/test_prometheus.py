"""Figures from Prometheus: whatever goes wrong is missing with its reason, never zero."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest

httpx = pytest.importorskip("httpx", reason="needs httpx (the extra 'control')")

from optimizer.control.collectors.prometheus import PrometheusCollector  # noqa: E402
from optimizer.control.collectors.prometheus_query import escaped, selector  # noqa: E402
from optimizer.control.errors import ControlError  # noqa: E402
from optimizer.control.spec import (  # noqa: E402
    MissingReason,
    ReplicaCount,
    ReplicaCounts,
    ServiceObservation,
)
from optimizer.spec import FleetSpec  # noqa: E402
from tests.optimizer.control.fleets import variant  # noqa: E402

NOW = 1_000_000.0
# What each metric's query gives, by a part of the name.
VALUES = {
    "num_requests_waiting": 4.0,
    "num_requests_running": 16.0,
    "kv_cache_usage_perc": 0.5,
    "request_success_total": 10.0,
    "request_prompt_tokens_sum": 5000.0,
    "request_prompt_tokens_count": 10.0,
    "request_generation_tokens_sum": 1000.0,
    "request_generation_tokens_count": 10.0,
    "time_to_first_token_seconds_sum": 2.0,
    "time_to_first_token_seconds_count": 10.0,
    "inter_token_latency_seconds_sum": 0.5,
    "inter_token_latency_seconds_count": 25.0,
}
Handler = Callable[[str], Any]


def series(value: float | str, **labels: str) -> dict[str, Any]:
    return {"metric": {"model_name": "m", **labels}, "value": [NOW, str(value)]}


def vector(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": "vector", "result": list(entries)}}


def healthy(query: str) -> dict[str, Any]:
    """A server that scrapes vLLM."""
    if query.startswith("max by"):
        return vector(series(NOW - 5.0))
    if "deriv" in query:
        return vector(series(0.5))
    if query.startswith("count by"):
        return vector(series(2))
    for part, value in VALUES.items():
        if f'{part}"' in query:
            return vector(series(value))
    return vector()


def collector(fleet: FleetSpec, handler: Handler, **options: Any) -> PrometheusCollector:
    def answer(request: httpx.Request) -> httpx.Response:
        made = handler(parse_qs(request.content.decode())["query"][0])
        if isinstance(made, httpx.Response):
            return made
        return httpx.Response(200, text=made if isinstance(made, str) else json.dumps(made))

    given = {"url": "http://prometheus:9090", **options}
    return PrometheusCollector(fleet, given, transport=httpx.MockTransport(answer))


def seen(fleet: FleetSpec, handler: Handler, **options: Any) -> ServiceObservation:
    counts = options.pop("counts", None)
    return collector(fleet, handler, **options).collect(NOW, counts).services[0]


def test_a_healthy_server_tells_everything(fleet: FleetSpec) -> None:
    """Offered load is completions and the growth of the queues; means are over the window."""
    chat = seen(fleet, healthy)
    assert chat.arrival_rate_rps.value == pytest.approx(10.0 + 2 * 0.5)
    assert chat.completed_rate_rps.value == 10.0
    assert (chat.waiting.value, chat.running.value) == (4.0, 16.0)
    assert chat.input_tokens.value == pytest.approx(500.0)
    assert chat.output_tokens.value == pytest.approx(100.0)
    assert chat.ttft_ms.value == pytest.approx(200.0)
    assert chat.itl_ms.value == pytest.approx(20.0)
    assert chat.arrival_rate_rps.age_s == 5.0


def test_the_last_moments_are_asked_for_too(fleet: FleetSpec) -> None:
    """A step stands in the short window before it fills the long one."""

    def stepped(query: str) -> dict[str, Any]:
        if "rate(" in query and "request_success" in query:
            return vector(series(40.0 if "[20s]" in query else 20.0))
        if "deriv" in query:
            return vector(series(3.0 if "[20s]" in query else 1.0))
        return healthy(query)

    chat = seen(fleet, stepped, window_s=90.0, recent_s=20.0)
    assert chat.arrival_rate_rps.value == pytest.approx(20.0 + 2 * 1.0)
    assert chat.recent_rate_rps.value == pytest.approx(40.0 + 2 * 3.0)
    assert collector(fleet, healthy, recent_s=20.0).recent_s == 20.0


@pytest.mark.parametrize("recent_s", [None, 60.0, 90.0])
def test_a_short_window_that_is_not_short_is_not_asked_for(
    fleet: FleetSpec, recent_s: float | None
) -> None:
    """Nor is one that is switched off."""
    asked: list[str] = []

    def listening(query: str) -> dict[str, Any]:
        asked.append(query)
        return healthy(query)

    chat = seen(fleet, listening, recent_s=recent_s)
    assert chat.recent_rate_rps.missing is MissingReason.NOT_ASKED
    assert all("[60s]" in query for query in asked if "rate(" in query or "deriv" in query)


def test_the_last_moments_may_be_missing_alone(fleet: FleetSpec) -> None:
    """One sample in the short window is no rate: missing, not zero, and the long one is known."""

    def sparse(query: str) -> dict[str, Any]:
        return vector() if "[30s]" in query else healthy(query)

    chat = seen(fleet, sparse)
    assert chat.arrival_rate_rps.known
    assert chat.recent_rate_rps.missing is MissingReason.EMPTY


def test_both_spellings_are_asked_for(fleet: FleetSpec) -> None:
    """Every query for a vLLM figure takes `vllm:` and `vllm_`."""
    asked: list[str] = []

    def listening(query: str) -> dict[str, Any]:
        asked.append(query)
        return healthy(query)

    seen(fleet, listening)
    names = [name for query in asked for name in re.findall(r'__name__=~"([^"]*)"', query)]
    assert names
    for name in names:
        assert re.fullmatch(name, name.replace("[:_]", ":"))
        assert re.fullmatch(name, name.replace("[:_]", "_"))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (vector(), MissingReason.EMPTY),
        (vector(series("NaN")), MissingReason.NOT_FINITE),
        (vector(series("+Inf")), MissingReason.NOT_FINITE),
        (vector(series(-3)), MissingReason.NEGATIVE),
        (vector(series(1, a="1"), series(2, a="2")), MissingReason.BAD_ANSWER),
        (vector({"metric": {"other": "x"}, "value": [NOW, "1"]}), MissingReason.EMPTY),
        (vector({"metric": {"model_name": "m"}, "value": [NOW]}), MissingReason.BAD_ANSWER),
        (httpx.Response(500), MissingReason.SERVER_ERROR),
        (httpx.Response(503, text="busy"), MissingReason.SERVER_ERROR),
        (httpx.Response(429), MissingReason.SERVER_ERROR),
        (httpx.Response(401), MissingReason.REFUSED),
        (httpx.Response(403), MissingReason.REFUSED),
        (httpx.Response(302), MissingReason.BAD_ANSWER),
        ("<html>", MissingReason.BAD_ANSWER),
        ("[]", MissingReason.BAD_ANSWER),
        ({"status": "error", "errorType": "bad_data", "error": "x"}, MissingReason.BAD_ANSWER),
        ({"status": "success", "data": {"resultType": "matrix"}}, MissingReason.BAD_ANSWER),
    ],
)
def test_a_bad_answer_is_a_reason(fleet: FleetSpec, answer: Any, why: MissingReason) -> None:
    """Empty, NaN, negative, doubled, refused, failed or nonsense: missing, and nothing is zero."""

    def handler(query: str) -> Any:
        young = query.startswith("max by") and not isinstance(answer, httpx.Response)
        return healthy(query) if young and why is not MissingReason.EMPTY else answer

    chat = seen(fleet, handler)
    figures = (chat.arrival_rate_rps, chat.recent_rate_rps, chat.completed_rate_rps, chat.waiting)
    for reading in figures:
        assert reading.value is None
        assert reading.missing is why


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (httpx.ReadTimeout("slow"), MissingReason.TIMEOUT),
        (httpx.ConnectTimeout("slow"), MissingReason.TIMEOUT),
        (httpx.ConnectError("refused"), MissingReason.UNREACHABLE),
        (httpx.RemoteProtocolError("garbage"), MissingReason.UNREACHABLE),
    ],
)
def test_a_server_that_does_not_answer_is_asked_once(
    fleet: FleetSpec, error: Exception, why: MissingReason
) -> None:
    """Every figure is missing, and a cycle waits for one timeout, not for one per figure."""
    asked = []

    def handler(query: str) -> Any:
        asked.append(query)
        raise error

    found = collector(fleet, handler).collect(NOW, None)
    assert [s.arrival_rate_rps.missing for s in found.services] == [why, why]
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("age_s", "why"), [(95.0, MissingReason.STALE), (-95.0, MissingReason.FROM_THE_FUTURE)]
)
def test_old_and_future_samples_are_missing(
    fleet: FleetSpec, age_s: float, why: MissingReason
) -> None:
    """A sample older than allowed, or from clocks that disagree, is no figure."""

    def handler(query: str) -> Any:
        return vector(series(NOW - age_s)) if query.startswith("max by") else healthy(query)

    assert seen(fleet, handler).arrival_rate_rps.missing is why


def test_half_of_the_replicas_is_not_all(fleet: FleetSpec) -> None:
    """Where fewer replicas report than are ready, queues and load are not known."""
    ready = ReplicaCount(variant=variant("chat"), wanted=3, ready=3)
    chat = seen(fleet, healthy, counts=ReplicaCounts(at_s=NOW, counts=(ready,)))
    assert chat.arrival_rate_rps.missing is MissingReason.PARTIAL
    assert chat.arrival_rate_rps.detail == "2 of 3 replicas report"
    assert chat.recent_rate_rps.missing is MissingReason.PARTIAL


def test_replicas_that_are_gone_are_not_counted(fleet: FleetSpec) -> None:
    """Gauges are asked of series with a young sample alone."""
    asked: list[str] = []

    def listening(query: str) -> dict[str, Any]:
        asked.append(query)
        return healthy(query)

    seen(fleet, listening, stale_s=40.0)
    gauges = [q for q in asked if "num_requests_waiting" in q and q.startswith("sum by")]
    assert gauges
    assert all("< 40)" in query for query in gauges)


def test_a_gateways_counter_is_the_offered_load(fleet: FleetSpec) -> None:
    """Where a counter of arriving requests is named, it is asked instead."""

    def handler(query: str) -> Any:
        mine = "gateway_requests_total" in query and not query.startswith("max by")
        return vector(series(77)) if mine else healthy(query)

    chat = seen(fleet, handler, offered={"chat": "gateway_requests_total"})
    assert chat.arrival_rate_rps.value == chat.recent_rate_rps.value == 77.0
    assert chat.completed_rate_rps.value == 10.0


def test_no_traffic_has_no_mean(fleet: FleetSpec) -> None:
    """Nothing over nothing is neither NaN nor zero, while the rate is a known zero."""

    def handler(query: str) -> Any:
        idle = any(part in query for part in ("rate(", "deriv", "waiting", "running"))
        idle = idle and not query.startswith(("max by", "count by"))
        return vector(series(0)) if idle else healthy(query)

    chat = seen(fleet, handler)
    assert chat.arrival_rate_rps.value == 0.0
    assert chat.ttft_ms.missing is MissingReason.NO_TRAFFIC


@pytest.mark.parametrize(("completed", "growth"), [(0, 0), (5, -4), (0, -1)])
def test_figures_that_contradict_each_other_are_no_rate(
    fleet: FleetSpec, completed: float, growth: float
) -> None:
    """Engines that hang with requests in them, or requests that vanish, are no idle service."""

    def handler(query: str) -> Any:
        if "deriv" in query:
            return vector(series(growth))
        if query.startswith("sum by") and "request_success" in query:
            return vector(series(completed))
        return healthy(query)

    chat = seen(fleet, handler)
    assert chat.arrival_rate_rps.missing is MissingReason.CONTRADICTORY
    assert chat.recent_rate_rps.missing is MissingReason.CONTRADICTORY


HOSTILE = 'x"} or vector(999) or {a="\\\n'


def test_names_cannot_leave_their_quotes() -> None:
    """A hostile value of a label stays a value."""
    made = selector("vllm[:_]a", {"model_name": HOSTILE})
    inside = re.fullmatch(r'\{__name__=~"vllm\[:_\]a",model_name="((?:[^"\\\n]|\\.)*)"\}', made)
    assert inside is not None
    assert escaped('a"b\\c\nd') == 'a\\"b\\\\c\\nd'


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "prometheus:9090"}, "must begin with http"),
        ({"engine": "llama"}, "must be one of vllm, sglang, tgi"),
        ({"windows_s": 5}, "option windows_s: extra inputs"),
        ({"window_s": -5.0}, "option window_s: input should be greater than 0"),
        ({"labels": {'a"}': "b"}}, "must be letters, digits and _"),
        ({"bearer_file": "/absent/token"}, "cannot be read: No such file"),
        ({"ca_file": "/absent/ca"}, "cannot be read"),
    ],
)
def test_wrong_options_are_told(fleet: FleetSpec, options: dict[str, Any], words: str) -> None:
    """In one line, with what is wanted."""
    with pytest.raises(ControlError, match=words):
        collector(fleet, healthy, **options)


@pytest.mark.parametrize("engine", ["sglang", "tgi"])
def test_other_engines_have_other_names(fleet: FleetSpec, engine: str) -> None:
    """Each engine's own names are asked for, and what it lacks is not asked for."""
    asked: list[str] = []

    def listening(query: str) -> dict[str, Any]:
        asked.append(query)
        return vector(series(NOW - 1.0 if query.startswith("max by") else 1.0))

    chat = seen(fleet, listening, engine=engine)
    assert chat.arrival_rate_rps.known
    assert all(f"{engine}" in query for query in asked)
    assert chat.ttft_ms.known is (engine == "sglang")
