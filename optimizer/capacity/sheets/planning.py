"""Sheets of planning examples: accelerators for a load, from arrivals to money."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from optimizer.capacity.errors import (
    CapacityError,
    require_count,
    require_fraction,
    require_positive,
)
from optimizer.capacity.sheets.case import SheetCase
from optimizer.capacity.sheets.sheet import Cell, Line, Section, Sheet, SheetTable

__all__ = ["CHATBOT", "CODE_ASSISTANT", "PLANNED_LOADS", "RAG", "PlannedLoad", "planning_sheet"]

_DEGREES = (1, 2, 4, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLoad:
    """Requests of a service at its peak.

    Parameters
    ----------
    name, title
        Name on the command line, and for people.
    arithmetic
        How the mean rate comes about.
    requests_per_s
        Mean arrival rate.
    peak
        Peak over mean, at least 1.
    input_tokens, output_tokens
        Of a request.
    utilization
        Part of a replica's throughput that the peak may take, in (0, 1].

    Raises
    ------
    CapacityError
        If a figure is out of its range; names it.
    """

    name: str
    title: str
    arithmetic: str
    requests_per_s: float
    peak: float = 1.0
    input_tokens: int
    output_tokens: int
    utilization: float = 0.8

    def __post_init__(self) -> None:
        require_positive("requests_per_s", self.requests_per_s)
        if require_positive("peak", self.peak) < 1:
            raise CapacityError("peak", self.peak, "must be at least 1: peak over mean")
        require_count("input_tokens", self.input_tokens)
        require_count("output_tokens", self.output_tokens)
        require_fraction("utilization", self.utilization)

    @property
    def peak_rps(self) -> float:
        """Arrivals per second at the peak."""
        return self.requests_per_s * self.peak


CHATBOT = PlannedLoad(
    name="chatbot",
    title="Support chatbot: 100,000 conversations a day",
    arithmetic="100,000 conversations x 10 turns / 86,400 s",
    requests_per_s=100_000 * 10 / 86_400,
    peak=3.0,
    input_tokens=500,
    output_tokens=100,
)
CODE_ASSISTANT = PlannedLoad(
    name="code-assistant",
    title="Code assistant: 10,000 developers in their peak hour",
    arithmetic="10,000 developers x 50 completions / 3,600 s",
    requests_per_s=10_000 * 50 / 3_600,
    input_tokens=2000,
    output_tokens=50,
)
RAG = PlannedLoad(
    name="rag",
    title="Retrieval-augmented answers: 1,000 queries a minute",
    arithmetic="1,000 queries / 60 s",
    requests_per_s=1_000 / 60,
    input_tokens=8000,
    output_tokens=500,
)
PLANNED_LOADS = {load.name: load for load in (CHATBOT, CODE_ASSISTANT, RAG)}


@dataclass(frozen=True, slots=True)
class _Served:
    """What it takes to serve a load with replicas of one size."""

    case: SheetCase
    most: int
    most_rps: float
    replicas: int
    in_flight: float
    ttft_ms: float
    token_ms: float
    e2e_s: float

    @property
    def cards(self) -> int:
        return self.replicas * self.case.tensor_parallel

    @property
    def usd_per_hour(self) -> float | None:
        price = self.case.facts.usd_per_hour
        return None if price is None else price * self.cards


def planning_sheet(case: SheetCase, load: PlannedLoad) -> Sheet:
    """Arrivals, tokens, prefill work, replicas, Little's law and money for a load.

    The replica is the case's; where its pool holds no request, the smallest that does.

    Raises
    ------
    CapacityError
        If no degree of tensor parallelism holds a request of that length.
    """
    served = [
        _serve(case.spread(degree), load) for degree in sorted({case.tensor_parallel, *_DEGREES})
    ]
    able = [one for one in served if one is not None]
    if not able:
        raise CapacityError(
            "tensor_parallel",
            case.tensor_parallel,
            f"{case.title}: no degree that fits the link holds requests of "
            f"{load.input_tokens + load.output_tokens:,} tokens",
        )
    larger = [one for one in able if one.case.tensor_parallel >= case.tensor_parallel]
    chosen = (larger or able)[0]
    sections = [_arrivals(load), _prefill_work(chosen.case, load), _replicas(chosen, load)]
    sections += [_little(chosen, load), _ways(able)]
    return Sheet(name=load.name, title=f"{load.title}: {case.title}", sections=tuple(sections))


def _serve(case: SheetCase | None, load: PlannedLoad) -> _Served | None:
    if case is None:
        return None
    most = case.most_requests(load.input_tokens, load.output_tokens)
    if not most:
        return None
    flights = np.arange(1, most + 1, dtype=np.float64)
    loop = case.under_load(flights, load.input_tokens, load.output_tokens)
    rates = loop.output_tokens_per_s / load.output_tokens
    most_rps = float(np.max(rates))
    replicas = math.ceil(load.peak_rps / (load.utilization * most_rps))
    place = int(np.argmax(rates >= load.peak_rps / replicas))
    ttft, token = float(loop.ttft_ms[place]), float(loop.tpot_ms[place])
    e2e = (ttft + load.output_tokens * token) / 1e3
    return _Served(case, most, most_rps, replicas, load.peak_rps * e2e, ttft, token, e2e)


def _arrivals(load: PlannedLoad) -> Section:
    peak = load.peak_rps
    return Section(
        title="Arrivals",
        lines=(
            Line(
                name="mean rate",
                arithmetic=load.arithmetic,
                value=load.requests_per_s,
                unit="requests/s",
            ),
            Line(
                name="peak rate",
                arithmetic=f"{load.requests_per_s:.4g} x {load.peak:g}",
                value=peak,
                unit="requests/s",
            ),
            Line(
                name="prompt tokens at the peak",
                arithmetic=f"{peak:.4g} x {load.input_tokens:,}",
                value=peak * load.input_tokens,
                unit="tokens/s",
            ),
            Line(
                name="answer tokens at the peak",
                arithmetic=f"{peak:.4g} x {load.output_tokens:,}",
                value=peak * load.output_tokens,
                unit="tokens/s",
            ),
        ),
    )


def _prefill_work(case: SheetCase, load: PlannedLoad) -> Section:
    operations = case.work.prefill_flops(load.input_tokens) * case.tensor_parallel
    needed = load.peak_rps * operations / 1e12
    matrices = case.work.prefill_flops_per_token * case.tensor_parallel
    one = case.tflops / case.tensor_parallel
    predicted = case.prefill_ms(load.input_tokens)
    busy = load.peak_rps * predicted / 1e3 * case.tensor_parallel
    return Section(
        title="Prefill alone",
        lines=(
            Line(
                name="operations of a prompt",
                arithmetic=f"{load.input_tokens:,} tokens x {matrices / 1e12:.4g} TFLOP + "
                f"attention ({1 - load.input_tokens * matrices / operations:.1%})",
                value=operations / 1e12,
                unit="TFLOP",
                note="2 x the parameters that a token multiplies",
            ),
            Line(
                name="prefill operations",
                arithmetic=f"{load.peak_rps:.4g}/s x {operations / 1e12:.4g} TFLOP",
                value=needed,
                unit="TFLOPS",
            ),
            Line(
                name="accelerators at full throughput",
                arithmetic=f"{needed:,.0f} / {one:g} TFLOPS",
                value=needed / one,
                unit="accelerators",
                note="with nothing left for answers: a bound that nothing goes below",
            ),
            Line(
                name="accelerators at predicted times",
                arithmetic=f"{load.peak_rps:.4g}/s x {predicted:.1f} ms x {case.tensor_parallel}",
                value=busy,
                unit="accelerators",
            ),
        ),
    )


def _replicas(served: _Served, load: PlannedLoad) -> Section:
    case = served.case
    tokens = load.input_tokens + load.output_tokens / 2
    notes = []
    whole = load.input_tokens + load.output_tokens
    if whole > case.model.max_context_tokens:
        notes.append(
            f"Requests of {whole:,} tokens are above the model's "
            f"{case.model.max_context_tokens:,}: it cannot serve them; the figures show what one "
            "of its size would take."
        )
    return Section(
        title=f"Replicas of {case.tensor_parallel} x {case.facts.name}",
        lines=(
            Line(
                name="requests that a replica holds",
                arithmetic=f"{case.budget.kv_tokens:,} tokens in the pool / {tokens:g} of a "
                "request half-way through, in whole blocks",
                value=float(served.most),
                unit="requests",
            ),
            Line(
                name="requests that it answers",
                arithmetic=f"{served.most} in flight, prefills and decoding as predicted",
                value=served.most_rps,
                unit="requests/s",
            ),
            Line(
                name="replicas",
                arithmetic=f"{load.peak_rps:.4g} / ({load.utilization:g} x {served.most_rps:.4g}), "
                "rounded up",
                value=float(served.replicas),
                unit="replicas",
            ),
            Line(
                name="accelerators",
                arithmetic=f"{served.replicas} x {case.tensor_parallel}",
                value=float(served.cards),
                unit="accelerators",
            ),
        ),
        notes=tuple(notes),
    )


def _little(served: _Served, load: PlannedLoad) -> Section:
    tokens = load.input_tokens + load.output_tokens / 2
    cache = served.case.kv.at(math.ceil(tokens), 1).per_request_kv_cache_bytes / 1e9
    return Section(
        title="In flight, by Little's law",
        lines=(
            Line(
                name="latency of a request",
                arithmetic=f"{served.ttft_ms:.0f} ms to the first token + {load.output_tokens:,} x "
                f"{served.token_ms:.1f} ms",
                value=served.e2e_s,
                unit="s",
            ),
            Line(
                name="requests in flight",
                arithmetic=f"{load.peak_rps:.4g}/s x {served.e2e_s:.3g} s",
                value=served.in_flight,
                unit="requests",
                note="arrivals per second are not requests at once: the latency is the factor",
            ),
            Line(
                name="KV cache in flight",
                arithmetic=f"{served.in_flight:.4g} x {tokens:g} tokens x "
                f"{cache / tokens * 1e9:,.0f} bytes",
                value=served.in_flight * cache,
                unit="GB",
            ),
        ),
    )


def _ways(able: list[_Served]) -> Section:
    rows: list[tuple[Cell, ...]] = [
        (
            one.case.tensor_parallel,
            one.most,
            one.most_rps,
            one.replicas,
            one.cards,
            one.ttft_ms,
            one.token_ms,
            one.e2e_s,
            one.usd_per_hour,
        )
        for one in able
    ]
    best = min(able, key=lambda one: (one.cards, one.case.tensor_parallel))
    return Section(
        title="By accelerators of a replica",
        table=SheetTable(
            columns=(
                "TP",
                "requests at once",
                "requests/s",
                "replicas",
                "accelerators",
                "TTFT ms",
                "ms per token",
                "latency s",
                "USD/h",
            ),
            rows=tuple(rows),
        ),
        notes=(
            f"Fewest accelerators: {best.cards}, {best.replicas} replicas of "
            f"{best.case.tensor_parallel}. Queues of Poisson arrivals and latency objectives want "
            "more: `fleetopt solve` sizes for those.",
        ),
    )
