"""A plan on one screen of a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console, ConsoleOptions, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from optimizer.fleet.plan import (
    Allocation,
    FleetPlan,
    PoolRole,
    ResourceUse,
)
from optimizer.report.figures import number, percent
from optimizer.report.long_table import LONG, LongTable
from optimizer.report.plan_words import (
    WHOLE_SHARE,
    load_words,
    place_words,
    replicas_words,
    store_words,
    target_words,
    tightest_target,
    verdict_lines,
)

__all__ = ["PlanView", "plan_view"]

_BAR_WIDTH = 12
# Below these widths [characters] the table of services gives up its less needed columns.
_WITH_CLASS = 104
_WITH_BATCH_AND_LOAD = 88
# Amounts from here on are shown with two decimals.
_TENS = 10.0


@dataclass(frozen=True)
class PlanView:
    """The plan: verdict, services with margins, what is impossible, accelerators, notes."""

    plan: FleetPlan

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        """Yield the parts, as wide as the console allows."""
        plan = self.plan
        yield _verdict(plan)
        if plan.allocations:
            yield _services(plan, options.max_width)
        if plan.unserved:
            yield _unserved(plan)
        ink = "#." if options.ascii_only else "█░"
        if plan.allocations:
            for heading in ("cards", "limit"):
                uses = [r for r in plan.resources if (r.type is None) == (heading == "limit")]
                if uses:
                    yield _resources(uses, ink, heading)
        if plan.purchases:
            yield _purchases(plan)
        yield _footnotes(plan)


def plan_view(plan: FleetPlan) -> PlanView:
    """Return the view of a plan."""
    return PlanView(plan)


def _verdict(plan: FleetPlan) -> RenderableType:
    """Return the first lines: what it costs, and how far from optimal it can be at most."""
    text = Text()
    text.append(f"{plan.fleet}: ", style="bold")
    if not plan.found:
        text.append(plan.termination.value.replace("_", " "), style="bold red")
    else:
        text.append(f"{plan.total_cost_per_hour:,.2f} {plan.currency}/h", style="bold")
        text.append(", ")
    for place, line in enumerate(verdict_lines(plan)):
        text.append("\n" if place or not plan.found else "")
        for words, style in line:
            text.append(words, style=style)
    return text


def _services(plan: FleetPlan, width: int) -> RenderableType:
    hidden = {"class"} if width < _WITH_CLASS else set()
    if width < _WITH_BATCH_AND_LOAD:
        hidden |= {"batch", "load"}
    whole = [a for a in plan.allocations if a.role is not PoolRole.DECODE]
    if len(plan.services_served) == len(whole) and not any(
        a.routes or 0 < a.share < WHOLE_SHARE for a in plan.allocations
    ):
        hidden.add("share")
    if all(a.storage is None for a in plan.allocations):
        hidden.add("store")
    columns: tuple[tuple[str, Literal["left", "right"]], ...] = (
        ("service", "left"),
        ("class", "left"),
        ("accelerator", "left"),
        ("store", "left"),
        ("share", "right"),
        ("repl.", "right"),
        ("batch", "right"),
        (f"{plan.currency}/h", "right"),
        ("load", "right"),
        ("TTFT", "right"),
        ("ITL", "right"),
        ("tightest SLO", "left"),
        ("margin", "right"),
    )
    shown = [place for place, (heading, _) in enumerate(columns) if heading not in hidden]
    rows = []
    for allocation in plan.allocations:
        cells = _service_cells(allocation)
        rows.append([cells[place] for place in shown])
    return _table([columns[place] for place in shown], rows)


def _table(
    columns: Sequence[tuple[str, Literal["left", "right"]]], rows: Sequence[Sequence[Text]]
) -> RenderableType:
    if len(rows) >= LONG:
        return LongTable(columns, rows)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for heading, justify in columns:
        table.add_column(heading, justify=justify, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return Padding(table, (1, 0, 0, 0), expand=False)


def _service_cells(a: Allocation) -> tuple[Text, ...]:
    tightest = tightest_target(a)
    style = "" if a.slo_met else "red"
    return (
        Text(a.service),
        Text(f"{a.service_class} ({a.priority})"),
        Text(place_words(a)),
        Text("-" if a.storage is None else store_words(a.storage)),
        Text(f"{a.share:.0%}"),
        Text(replicas_words(a), style="yellow" if a.partial else ""),
        Text("-" if a.max_batch is None else f"{a.max_batch}"),
        Text(f"{a.cost_per_hour:,.2f}"),
        Text(load_words(a)),
        Text(number(a.ttft_ms)),
        Text(number(a.itl_ms)),
        Text("-" if tightest is None else target_words(tightest), style=style),
        Text(percent(a.margin), style=style),
    )


def _unserved(plan: FleetPlan) -> RenderableType:
    rows = [
        (
            Text(service.service, style="red"),
            Text(f"{service.service_class} ({service.priority})"),
            Text(service.explanation),
        )
        for service in plan.unserved
    ]
    return _table((("unserved", "left"), ("class", "left"), ("why", "left")), rows)


def _resources(resources: Sequence[ResourceUse], ink: str, heading: str) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column(heading, overflow="fold")
    for column in ("used", "free", "of"):
        table.add_column(column, justify="right")
    units = [resource.unit for resource in resources]
    named = any(unit != "cards" for unit in units)
    if named:
        table.add_column("")
    bars = [_bar(resource, ink) for resource in resources]
    if any(bars):  # a column without a word in it would take its width from the others
        table.add_column("")
    for resource, unit, bar in zip(resources, units, bars, strict=True):
        unlimited = resource.capacity is None
        cells = (
            resource.name,
            _amount(resource.used),
            "-" if unlimited else _amount(resource.free),
            "no limit" if unlimited else _amount(resource.capacity),
            *((unit,) if named else ()),
            *((bar,) if any(bars) else ()),
        )
        table.add_row(*(Text(cell) for cell in cells))
    return Padding(table, (1, 0, 0, 0), expand=False)


def _purchases(plan: FleetPlan) -> RenderableType:
    """Show what is bought of every accelerator with tiers."""
    rows = [
        (
            Text(f"{p.accelerator} {p.tier}"),
            Text(f"{p.instances}"),
            Text("any" if p.quota is None else f"{p.quota}"),
            Text(f"{p.cost_per_hour:,.2f}"),
        )
        for p in plan.purchases
    ]
    headings = ("instances", "bought", "of", f"{plan.currency}/h")
    first: tuple[str, Literal["left", "right"]] = (headings[0], "left")
    return _table((first, *((heading, "right") for heading in headings[1:])), rows)


def _amount(value: float | None) -> str:
    """Show whole numbers as they are, others with four figures or two decimals."""
    if value is None or isinstance(value, int):
        return f"{value}"
    return f"{value:,.2f}" if abs(value) >= _TENS else f"{value:.4g}"


def _bar(resource: ResourceUse, ink: str) -> str:
    if not resource.capacity:
        return ""
    filled = min(round(_BAR_WIDTH * resource.used / resource.capacity), _BAR_WIDTH)
    return ink[0] * filled + ink[1] * (_BAR_WIDTH - filled)


def _footnotes(plan: FleetPlan) -> RenderableType:
    lines = []
    if plan.allocations:
        lines.append(
            "TTFT and ITL are predicted means in ms; load is the share of the batch in use"
        )
    for kind, name, why in (
        ("solver", plan.solver, plan.solver_reason),
        ("queue model", plan.queue_model, plan.queue_model_reason),
    ):
        lines.append(f"{kind} {name}" + (f" ({why})" if why else ""))
    lines += [f"note: {note}" for note in plan.notes]
    return Padding(Text("\n".join(lines), style="dim"), (1, 0, 0, 0), expand=False)
