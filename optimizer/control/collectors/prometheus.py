"""Figures of engines that Prometheus scrapes.

What arrives is told from what is completed and what stands in the queues: in a window requests
arrive at the rate of completions plus the growth of what waits and runs. Completions alone fall
short of the load exactly when there are too few replicas. A second, short window tells the same
less exactly and sooner: it may raise what is expected, and is never needed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError

from optimizer.control.collectors.base import Collector
from optimizer.control.collectors.metric_names import ENGINES
from optimizer.control.collectors.prometheus_query import (
    Answer,
    PrometheusQueries,
    Sample,
    selector,
)
from optimizer.control.errors import ControlError
from optimizer.control.spec import (
    NOT_ASKED,
    FleetObservation,
    MissingReason,
    Reading,
    ReplicaCounts,
    ServiceObservation,
)
from optimizer.spec.base import Name, Positive, SpecModel
from optimizer.spec.fleet_spec import FleetSpec

if TYPE_CHECKING:
    import httpx

__all__ = ["PrometheusCollector", "PrometheusOptions"]

_MS_PER_S = 1000.0
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class PrometheusOptions(SpecModel):
    """Options of the collector `prometheus`."""

    url: str = Field(description="Address of the server, such as http://prometheus:9090.")
    engine: str = Field(default="vllm", description="vllm, sglang or tgi.")
    window_s: Positive = Field(default=60.0, description="Time over which rates are counted [s].")
    recent_s: Positive | None = Field(
        default=30.0,
        description="Time over which recent rates are counted [s], at least twice the scrape "
        "interval; they are not asked for where this is null, or not below window_s.",
    )
    stale_s: Positive = Field(default=90.0, description="Samples older than this are missing [s].")
    timeout_s: Positive = Field(default=10.0, description="Of every query [s].")
    instance_label: str = Field(default="instance", description="Label that tells replicas apart.")
    service_label: str | None = Field(
        default=None,
        description="Label whose value is the service's name; by default the model's label of the "
        "engine has the name of the service's model.",
    )
    labels: dict[str, str] = Field(
        default_factory=dict, description="Labels that all series must have, such as a namespace."
    )
    services: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="Labels of single services, in place of the default."
    )
    offered: dict[str, Name] = Field(
        default_factory=dict,
        description="Counters of requests that come, by service, such as those of a gateway: the "
        "offered load itself.",
    )
    ca_file: Name | None = Field(default=None, description="Certificates to be trusted.")
    bearer_file: Name | None = Field(default=None, description="File with a bearer token.")


class PrometheusCollector(Collector):
    """Queries one Prometheus server over HTTP."""

    name = "prometheus"
    summary = "a Prometheus server that scrapes vLLM, SGLang or text-generation-inference"

    def __init__(
        self,
        fleet: FleetSpec,
        options: Mapping[str, Any],
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._options = _checked(options)
        self._fleet = fleet
        self._engine = ENGINES[self._options.engine]
        self.window_s = self._options.window_s
        self.recent_s = self._options.recent_s or self.window_s
        headers = {}
        if self._options.bearer_file is not None:
            headers["Authorization"] = f"Bearer {_token(self._options.bearer_file)}"
        self._queries = PrometheusQueries(
            self._options.url,
            timeout_s=self._options.timeout_s,
            headers=headers,
            ca_file=self._options.ca_file,
            transport=transport,
        )

    def close(self) -> None:
        """Close its connections."""
        self._queries.close()

    def collect(self, now_s: float, counts: ReplicaCounts | None) -> FleetObservation:
        """Return what the server knows of every service.

        Every figure is asked for once, for all services together.
        """
        labels = {s.name: self._labels(s.name, s.model) for s in self._fleet.services}
        figures = _Figures(self._queries, self._options, labels)
        services = []
        for service in self._fleet.services:
            ready = None
            if counts is not None:
                ready = sum(count.ready for count in counts.of(service.name))
            services.append(self._service(service.name, figures, ready))
        return FleetObservation(at_s=now_s, services=tuple(services))

    def _labels(self, service: str, model: str) -> dict[str, str]:
        """Return the labels that the service's series have, beside those that all have."""
        options = self._options
        if service in options.services:
            return options.services[service]
        if options.service_label is not None:
            return {options.service_label: service}
        return {self._engine.model_label: model}

    def _service(self, service: str, figures: _Figures, ready: int | None) -> ServiceObservation:
        engine = self._engine
        waiting = figures.gauge(service, engine.waiting)
        running = figures.gauge(service, engine.running)
        reporting = figures.reporting(service, engine.running)
        if reporting.value is not None and ready is not None and reporting.value < ready:
            words = f"{reporting.value:g} of {ready} replicas report"
            waiting = running = Reading.none(MissingReason.PARTIAL, words)
        completed = figures.rate(service, engine.completed)
        recent = NOT_ASKED
        if self.recent_s < self.window_s:
            lately = figures.rate(service, engine.completed, self.recent_s)
            recent = self._arrivals(service, figures, lately, waiting, running, self.recent_s)
        return ServiceObservation(
            service=service,
            arrival_rate_rps=self._arrivals(
                service, figures, completed, waiting, running, self.window_s
            ),
            recent_rate_rps=recent,
            completed_rate_rps=completed,
            input_tokens=figures.mean(service, engine.input_sum, engine.input_count),
            output_tokens=figures.mean(service, engine.output_sum, engine.output_count),
            waiting=waiting,
            running=running,
            kv_usage=figures.gauge(service, engine.kv_usage, "avg"),
            ttft_ms=figures.mean(service, engine.ttft_sum, engine.ttft_count, _MS_PER_S),
            itl_ms=figures.mean(service, engine.itl_sum, engine.itl_count, _MS_PER_S),
            reporting=reporting,
        )

    def _arrivals(
        self,
        service: str,
        figures: _Figures,
        completed: Reading,
        waiting: Reading,
        running: Reading,
        window_s: float,
    ) -> Reading:
        """Return the offered load: a gateway's counter, or completions and the queues' growth."""
        counter = self._options.offered.get(service)
        if counter is not None:
            return figures.rate(service, (re.escape(counter),), window_s)
        for part in (waiting, running, completed):
            if part.missing is not None:
                return Reading.none(part.missing, part.detail)
        queues = (self._engine.waiting, self._engine.running)
        growth = figures.growth(service, queues, window_s)
        if isinstance(growth, Reading):
            return growth
        assert completed.value is not None
        assert waiting.value is not None
        assert running.value is not None
        rate = completed.value + growth
        # None of these is a fleet without traffic: engines hang, or requests vanish.
        if rate <= 0.0 and waiting.value + running.value > 0.0:
            words = f"{waiting.value + running.value:g} requests are there and none comes or goes"
            return Reading.none(MissingReason.CONTRADICTORY, words)
        if rate < 0.0:
            words = "the queues shrink faster than requests are completed"
            return Reading.none(MissingReason.CONTRADICTORY, words)
        return Reading.of(rate, completed.age_s)


class _Figures:
    """Answers about all services together, each asked for once.

    Parameters
    ----------
    queries, options
        The server, and how to ask.
    labels
        By service, the labels of its series.
    """

    def __init__(
        self,
        queries: PrometheusQueries,
        options: PrometheusOptions,
        labels: Mapping[str, Mapping[str, str]],
    ) -> None:
        self._queries, self._options, self._labels = queries, options, labels
        names = sorted({name for one in labels.values() for name in one})
        self._by = ", ".join(names)
        self._known: dict[str, Answer] = {}
        self._failed: Answer | None = None

    def gauge(self, service: str, patterns: tuple[str, ...], combine: str = "sum") -> Reading:
        """Return a gauge over the replicas that are there."""
        return self._first(service, patterns, f"{combine} by ({self._by}) ({{fresh}})")

    def reporting(self, service: str, patterns: tuple[str, ...]) -> Reading:
        """Return how many replicas report."""
        each = f"{self._by}, {self._options.instance_label}"
        query = f"count by ({self._by}) (count by ({each}) ({{fresh}}))"
        return self._first(service, patterns, query)

    def rate(
        self, service: str, patterns: tuple[str, ...], window_s: float | None = None
    ) -> Reading:
        """Return the rate of a counter over all replicas, resets taken into account."""
        query = f"sum by ({self._by}) (rate({{series}}{self._range(window_s)}))"
        return self._first(service, patterns, query)

    def mean(
        self, service: str, sums: tuple[str, ...], counts: tuple[str, ...], factor: float = 1.0
    ) -> Reading:
        """Return a mean over the window; missing where there was nothing to take it of."""
        total, count = self.rate(service, sums), self.rate(service, counts)
        for part in (total, count):
            if part.value is None:
                return part
        assert total.value is not None
        assert count.value is not None
        if count.value == 0:
            return Reading.none(MissingReason.NO_TRAFFIC, "nothing was completed")
        return Reading.of(factor * total.value / count.value, max(total.age_s, count.age_s))

    def growth(
        self, service: str, gauges: tuple[tuple[str, ...], ...], window_s: float
    ) -> float | Reading:
        """Return how fast gauges together grow [1/s]; a reading that says why where unknown."""
        total, within = 0.0, self._range(window_s)
        for patterns in gauges:
            query = f"sum by ({self._by}) (deriv({{series}}{within}) and ({{fresh}}))"
            found = self._value(service, patterns, query)
            if isinstance(found, Reading):
                return found
            total += found
        return total

    def _range(self, window_s: float | None) -> str:
        """Return a range of PromQL; by default that of the window."""
        return f"[{max(round(window_s or self._options.window_s), 1)}s]"

    def _first(self, service: str, patterns: tuple[str, ...], query: str) -> Reading:
        found = self._value(service, patterns, query)
        if isinstance(found, Reading):
            return found
        for pattern in patterns:
            age = self._age(service, pattern)
            if age.missing is not MissingReason.EMPTY:
                return Reading.of(found, age.value) if age.value is not None else age
        return Reading.of(found)

    def _value(self, service: str, patterns: tuple[str, ...], query: str) -> float | Reading:
        """Return the value under the first pattern that the service has series of."""
        if not patterns:
            return Reading.none(MissingReason.NOT_ASKED, "the engine has no such figure")
        for pattern in patterns:
            answer = self._ask(query, pattern)
            if answer.missing is not None:
                return Reading.none(answer.missing, answer.detail)
            mine = self._mine(service, answer)
            if len(mine) > 1:
                return Reading.none(MissingReason.BAD_ANSWER, f"{len(mine)} values for one")
            if mine:
                value = mine[0].value
                return value if math.isfinite(value) else Reading.of(value)
        for pattern in patterns:
            age = self._age(service, pattern)
            if age.missing is not MissingReason.EMPTY and age.missing is not None:
                return age
        words = " or ".join(patterns)
        return Reading.none(MissingReason.EMPTY, f"no series {words} with the service's labels")

    def _age(self, service: str, pattern: str) -> Reading:
        """Return the age of the newest sample; missing where it is stale."""
        answer = self._ask(f"max by ({self._by}) (timestamp({{series}}))", pattern)
        if answer.missing is not None:
            return Reading.none(answer.missing, answer.detail)
        mine = self._mine(service, answer)
        if not mine:
            return Reading.none(MissingReason.EMPTY, f"no series {pattern}")
        age_s = mine[0].at_s - max(sample.value for sample in mine)
        if age_s > self._options.stale_s:
            return Reading.none(MissingReason.STALE, f"the newest sample is {age_s:.0f} s old")
        if age_s < -self._options.stale_s:
            words = f"the newest sample is {-age_s:.0f} s ahead"
            return Reading.none(MissingReason.FROM_THE_FUTURE, words)
        return Reading.of(max(age_s, 0.0))

    def _mine(self, service: str, answer: Answer) -> list[Sample]:
        wanted = self._labels[service]
        return [
            sample
            for sample in answer.samples
            if all(sample.labels.get(name) == value for name, value in wanted.items())
        ]

    def _ask(self, query: str, pattern: str) -> Answer:
        """Ask once, with the selector of a pattern in its place.

        `{series}` stands for all series of the pattern, `{fresh}` for those with a young sample:
        what a replica said before it went, and nobody took back, is not counted.
        """
        if self._failed is not None:
            return self._failed  # a server that is down is not waited for again
        series = selector(pattern, self._options.labels)
        stale = f"{self._options.stale_s:g}"
        fresh = f"{series} and (time() - timestamp({series}) < {stale})"
        text = query.replace("{fresh}", fresh).replace("{series}", series)
        if text not in self._known:
            answer = self._queries.ask(text)
            self._known[text] = answer
            if answer.missing in (MissingReason.TIMEOUT, MissingReason.UNREACHABLE):
                self._failed = answer
        return self._known[text]


def _checked(options: Mapping[str, Any]) -> PrometheusOptions:
    try:
        found = PrometheusOptions.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the options"
        known = ", ".join(PrometheusOptions.model_fields)
        raise ControlError(
            f"collector 'prometheus': option {where}: {first['msg'][:1].lower()}"
            f"{first['msg'][1:]}; options: {known}"
        ) from error
    if found.engine not in ENGINES:
        raise ControlError(
            f"collector 'prometheus': engine = {found.engine!r}: must be one of "
            f"{', '.join(ENGINES)}"
        )
    given = (found.labels, *found.services.values())
    names = [name for labels in given for name in labels]
    names += [name for name in (found.instance_label, found.service_label) if name is not None]
    for name in names:
        if not _LABEL.fullmatch(name):
            raise ControlError(
                f"collector 'prometheus': label {name!r}: must be letters, digits and _, and not "
                "begin with a digit"
            )
    return found


def _token(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError as error:
        raise ControlError(
            f"collector 'prometheus': bearer_file = {path!r}: cannot be read: {error.strerror}"
        ) from error
