"""One replica on one screen of a terminal: what it carries, what binds, latencies against load."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from optimizer.fleet.replica import (
    STANDARD_LOADS,
    OperatingPoint,
    ReplicaSize,
    ReplicaStudy,
    ReplicaTarget,
)
from optimizer.report.figures import number, percent

__all__ = ["latency_words", "replica_view"]

_HEADING = {"ttft": "TTFT", "itl": "ITL", "tpot": "TPOT", "e2e": "E2E", "queueing": "queueing"}
_CLOSE = 1e-9
_NOTHING_MS = 0.005


def replica_view(study: ReplicaStudy) -> RenderableType:
    """Return the answer of one queue model in full, or those of several side by side."""
    answers = [size for size in study.sizes if not size.refusal]
    parts: list[RenderableType] = [_title(study)]
    if len(study.sizes) == 1:
        (size,) = answers
        parts += [_verdict(study, size), _objectives(size), _at(size), _curve(size)]
    else:
        parts += [_models(study), _curves(answers)]
    parts.append(_footnotes(study))
    return Group(*parts)


def latency_words(name: str) -> str:
    """Write the name of a latency for people: `ttft_p99_ms` as TTFT p99."""
    metric, *percentile = name.removesuffix("_ms").split("_")
    return " ".join((_HEADING[metric], *percentile))


def _title(study: ReplicaStudy) -> Text:
    text = Text(f"{study.service} on {study.accelerator}", style="bold")
    text.append(f" ({study.model}): maximum batch {study.max_batch}", style="not bold")
    if study.replicas > 1:
        text.append(
            f", one of {study.replicas} replicas by {study.routing.replace('_', ' ')} routing",
            style="not bold",
        )
    return text


def _verdict(study: ReplicaStudy, size: ReplicaSize) -> Text:
    text = Text()
    if not size.possible:
        text.append("no rate keeps every objective", style="bold red")
        return text
    least = "at least " if size.conservative else ""
    text.append(f"{least}{number(size.max_rate_rps)} requests/s", style="bold")
    within = " within the objectives" if size.targets else ""
    bound = "capacity" if size.binding == "capacity" else latency_words(size.binding)
    text.append(f"{within}, bound by {bound}; capacity {number(size.capacity_rps)} requests/s")
    if study.replicas > 1 and size.max_rate_rps is not None:
        text.append(
            f" (all {study.replicas} replicas: {number(study.replicas * size.max_rate_rps)})"
        )
    return text


def _table(*columns: tuple[str, Literal["left", "right"]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading, justify in columns:
        table.add_column(heading, justify=justify, overflow="fold")
    return table


def _spaced(view: RenderableType) -> RenderableType:
    return Padding(view, (1, 0, 0, 0), expand=False)


def _objectives(size: ReplicaSize) -> RenderableType:
    if not size.targets or size.at is None:
        return Text("no objectives are given: the rate is that of capacity", style="dim")
    table = _table(
        ("objective", "left"),
        ("bound", "right"),
        ("no load", "right"),
        (f"{number(size.at.rate_rps)}/s", "right"),
        ("margin", "right"),
        ("alone allows", "right"),
        ("", "left"),
    )
    for target in size.targets:
        style = "" if target.met else "red"
        table.add_row(
            Text(latency_words(target.name)),
            Text(number(target.bound_ms)),
            Text(number(target.idle_ms)),
            Text(number(target.value_ms), style=style),
            Text(percent(target.margin), style=style),
            Text(f"{number(target.max_rate_rps)}/s"),
            Text(_remark(target), style="bold" if target.binds else ""),
        )
    return _spaced(table)


def _remark(target: ReplicaTarget) -> str:
    if target.max_rate_rps <= 0:
        return "broken even without load"
    return "binds" if target.binds else ""


def _at(size: ReplicaSize) -> RenderableType:
    """Return the means at the rate looked at, on a line."""
    at = size.at
    if at is None or not at.stable:
        return Text("at this rate the replica does not keep up", style="red")
    if at.rate_rps <= 0:
        return Text()
    means = ", ".join(
        f"{latency_words(name)} {_latency(value)}" for name, value in at.latencies_ms.items()
    )
    text = Text(f"at {number(at.rate_rps)} requests/s ({at.load:.0%} of capacity): ", style="bold")
    text.append(f"{means} ms; {number(at.concurrency)} in service", style="not bold")
    if at.refused_share:
        text.append(f"; {at.refused_share:.2%} refused", style="not bold")
    return _spaced(text)


def _latency(value: float | None) -> str:
    """Write a latency [ms]; what cannot be measured is 0."""
    return "0" if value is not None and value < _NOTHING_MS else number(value)


def _shown(size: ReplicaSize) -> Iterator[OperatingPoint]:
    """Yield the standard points of a curve that may be finer."""
    for point in size.curve:
        if any(abs(point.load - load) < _CLOSE for load in STANDARD_LOADS):
            yield point


def _columns(size: ReplicaSize) -> list[str]:
    """Names of the latencies of TTFT and ITL, means first, and of what else is bounded."""
    point = size.curve[0]
    names = [n for n in point.latencies_ms if n.startswith(("ttft_", "itl_"))]
    names += [target.name for target in size.targets if target.name not in names]
    return sorted(names, key=lambda n: (not n.startswith("ttft_"), not n.startswith("itl_")))


def _curve(size: ReplicaSize) -> RenderableType:
    names = _columns(size)
    table = _table(
        ("load", "right"), ("req/s", "right"), ("in service", "right"),
        *((latency_words(name), "right") for name in names), ("", "left"),
    )  # fmt: skip
    bounds = {target.name: target.bound_ms for target in size.targets}
    within = True
    for point in _shown(size):
        values = [point.latencies_ms[name] for name in names]
        kept = [v is not None and v <= bounds.get(n, v) for n, v in zip(names, values, strict=True)]
        beyond = within and not all(kept)
        within = within and all(kept)
        table.add_row(
            f"{point.load:.0%}",
            number(point.rate_rps),
            number(point.concurrency),
            *(
                Text(number(value), style="" if good else "red")
                for value, good in zip(values, kept, strict=True)
            ),
            Text("beyond the objectives from here" if beyond else "", style="dim"),
        )
    return _spaced(table)


def _models(study: ReplicaStudy) -> RenderableType:
    refusals = any(size.refusal for size in study.sizes)
    # A column without a word in it would take its width from the others.
    why: tuple[tuple[str, Literal["left", "right"]], ...] = (("", "left"),) if refusals else ()
    table = _table(
        ("queue model", "left"), ("capacity/s", "right"), ("within SLOs/s", "right"),
        ("bound by", "left"), ("TTFT there", "right"), ("ITL there", "right"), *why,
    )  # fmt: skip
    for size in study.sizes:
        at = size.at
        bound = "capacity" if size.binding == "capacity" else latency_words(size.binding)
        known = {} if at is None else at.latencies_ms
        table.add_row(
            Text(size.queue_model),
            number(size.capacity_rps),
            Text(number(size.max_rate_rps), style="bold"),
            "-" if size.refusal else bound,
            number(known.get("ttft_ms")),
            number(known.get("itl_ms")),
            *((Text(size.refusal, style="yellow"),) if refusals else ()),
        )
    return _spaced(table)


def _curves(answers: list[ReplicaSize]) -> RenderableType:
    """Return a column per latency and model at the same rates."""
    names = _columns(answers[0])
    table = _table(
        ("load", "right"), ("req/s", "right"),
        *((f"{latency_words(n)}\n{size.queue_model}", "right") for n in names for size in answers),
    )  # fmt: skip
    for points in zip(*(tuple(_shown(size)) for size in answers), strict=True):
        table.add_row(
            f"{points[0].load:.0%}",
            number(points[0].rate_rps),
            *(number(point.latencies_ms[name]) for name in names for point in points),
        )
    return _spaced(table)


def _footnotes(study: ReplicaStudy) -> RenderableType:
    lines = ["latencies in ms, rates per replica, load as a share of capacity"]
    lines += [
        f"queue model {size.queue_model}"
        + (f" ({size.queue_model_reason})" if size.queue_model_reason else "")
        for size in study.sizes
        if len(study.sizes) == 1 or size.queue_model_reason
    ]
    lines += [f"note: {note}" for note in study.notes]
    return Padding(Text("\n".join(lines), style="dim"), (1, 0, 0, 0), expand=False)
