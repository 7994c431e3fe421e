"""What a Prometheus server knows that scrapes the simulated fleet, and answers over HTTP."""

from __future__ import annotations

import itertools
import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import httpx

from optimizer.control.lab.fluid_fleet import FluidFleet

Labels = tuple[str, str, str]  # service, instance, job
Points = deque[tuple[float, float]]  # when, what
_LOOKBACK_S = 300.0


@dataclass
class ScrapedPrometheus:
    """The few forms of PromQL that the collector asks, over the samples of the last minutes.

    Parameters
    ----------
    fleet
        Whose replicas are scraped.
    prefix
        Of the names of series.
    change
        What a fault makes of a sample: name, labels, value, and time; None: it is not scraped.
    answer
        What a fault answers in place of the server; may raise what httpx raises.
    """

    fleet: FluidFleet
    prefix: str = "vllm:"
    change: Callable[[str, dict[str, str], float], tuple[float, float] | None] | None = None
    answer: Callable[[httpx.Request], httpx.Response] | None = None
    doubled: bool = False
    labelled: bool = True
    series: dict[str, dict[Labels, Points]] = field(default_factory=dict)
    counters: dict[tuple[str, str], float] = field(default_factory=dict)
    alive: set[Labels] = field(default_factory=set)
    dead_stay: bool = False

    def scrape(self, dt_s: float) -> None:
        """Take the samples of every replica that serves."""
        self.alive = set()
        for service, instance, name, value in self._samples(dt_s):
            labels = {"instance": instance, "service": service if self.labelled else "?"}
            for job in ("a", "b") if self.doubled else ("a",):
                kept = (labels["service"], instance, job)
                self.alive.add(kept)
                shown = (value, 0.0)
                if self.change is not None:
                    changed = self.change(name, labels, value)
                    if changed is None:
                        continue
                    shown = changed
                mine = self.series.setdefault(self.prefix + name, {})
                points = mine.setdefault(kept, deque(maxlen=40))
                points.append((self.fleet.now_s + shown[1], shown[0]))
        if not self.dead_stay:
            for mine in self.series.values():
                for gone in [labels for labels in mine if labels not in self.alive]:
                    del mine[gone]

    def reset(self) -> None:
        """Let every counter begin anew, as when all engines restart."""
        self.counters.clear()

    def set_right(self) -> None:
        """Take samples as they are again, and drop those from the future."""
        self.change = None
        self.series.clear()

    def _samples(self, dt_s: float) -> Iterator[tuple[str, str, str, float]]:
        there = set()
        for variant, replicas in self.fleet._replicas.items():
            tick = self.fleet.ticks.get(variant.service)
            total = sum(r.ready for r in self.fleet._of_service[variant.service])
            if tick is None:
                continue
            load = tick.load
            for number in range(replicas.ready):
                instance = f"{variant.service}-{variant.accelerator}-{number}"
                there.add(instance)
                done = tick.completed / total
                yield variant.service, instance, "num_requests_waiting", tick.waiting / total
                yield variant.service, instance, "num_requests_running", tick.running / total
                yield variant.service, instance, "kv_cache_usage_perc", 0.5
                for name, each in (
                    ("request_success_total", 1.0),
                    ("request_prompt_tokens_sum", load.input_tokens),
                    ("request_prompt_tokens_count", 1.0),
                    ("request_generation_tokens_sum", load.output_tokens),
                    ("request_generation_tokens_count", 1.0),
                    ("time_to_first_token_seconds_sum", 0.1),
                    ("time_to_first_token_seconds_count", 1.0),
                    ("inter_token_latency_seconds_sum", 0.01 * load.output_tokens),
                    ("inter_token_latency_seconds_count", load.output_tokens),
                ):
                    key = (instance, name)
                    self.counters[key] = self.counters.get(key, 0.0) + each * done
                    yield variant.service, instance, name, self.counters[key]
        self.counters = {key: n for key, n in self.counters.items() if key[0] in there}

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer a query."""
        if self.answer is not None:
            return self.answer(request)
        query = parse_qs(request.content.decode())["query"][0]
        result = [
            {"metric": {"service": service}, "value": [self.fleet.now_s, repr(value)]}
            for service, value in self._evaluated(query).items()
        ]
        document = {"status": "success", "data": {"resultType": "vector", "result": result}}
        return httpx.Response(200, text=json.dumps(document))

    def _evaluated(self, query: str) -> dict[str, float]:
        found = re.search(r'__name__=~"([^"]*)"', query)
        assert found is not None
        pattern = re.compile(found[1])
        window = re.search(r"\[(\d+)s\]", query)
        stale = re.search(r"timestamp\([^)]*\) < ([\d.]+)", query)
        now_s = self.fleet.now_s
        parts: dict[str, list[tuple[str, float]]] = {}
        found_series = (
            one
            for name, mine in self.series.items()
            if pattern.fullmatch(name)
            for one in mine.items()
        )
        for (service, instance, _), points in found_series:
            at_s, value = points[-1]
            if at_s <= now_s - _LOOKBACK_S or (stale and now_s - at_s >= float(stale[1])):
                continue
            if query.startswith("max by"):
                value = at_s
            elif window is not None:
                inside = [p for p in points if p[0] >= now_s - float(window[1])]
                if len(inside) < 2:
                    continue
                value = (_risen if "rate(" in query else _grown)(inside)
            parts.setdefault(service, []).append((instance, value))
        return {service: _combined(query, values) for service, values in parts.items()}


def _risen(points: list[tuple[float, float]]) -> float:
    """Return the rate of a counter; a fall is a reset."""
    pairs = itertools.pairwise(points)
    risen = sum(b[1] - a[1] if b[1] >= a[1] else b[1] for a, b in pairs)
    return risen / (points[-1][0] - points[0][0])


def _grown(points: list[tuple[float, float]]) -> float:
    return (points[-1][1] - points[0][1]) / (points[-1][0] - points[0][0])


def _combined(query: str, values: list[tuple[str, float]]) -> float:
    numbers = [value for _, value in values]
    if query.startswith("count by"):
        return float(len({instance for instance, _ in values}))
    if query.startswith("max by"):
        return max(numbers)
    if query.startswith("avg by"):
        return sum(numbers) / len(numbers)
    return sum(numbers)
