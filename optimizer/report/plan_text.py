"""A plan on one screen of a terminal."""

from __future__ import annotations

import math
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
    StorageUse,
    TargetOutcome,
)
from optimizer.report.figures import number, percent
from optimizer.report.long_table import LONG, LongTable

__all__ = ["PlanView", "plan_view"]

_BAR_WIDTH = 12
# Below these widths [characters] the table of services gives up its less needed columns.
_WITH_CLASS = 104
_WITH_BATCH_AND_LOAD = 88
# Shares of a service's load are sums of rates that a linear programme found.
_ROUNDING = 1e-6
# Amounts from here on are shown with two decimals.
_TENS = 10.0
# A service that refuses more than this share of its requests is pointed out.
_REFUSED = 0.01


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
        if plan.detail:
            text.append(f"\n{plan.detail}")
        return text
    text.append(f"{plan.total_cost_per_hour:,.2f} {plan.currency}/h", style="bold")
    text.append(f", {_proof(plan)}")
    whole = [a for a in plan.allocations if not a.partial]
    served, partly = len(plan.services_served), len(plan.services_partly_served)
    text.append(f"\n{served - partly} of {served + len(plan.unserved)} services served")
    if partly:
        text.append(
            f", {partly} in part (best effort, {plan.best_effort_cost_per_hour:,.2f} "
            f"{plan.currency}/h of the cost)",
            style="yellow",
        )
    if plan.unserved:
        text.append(f", {len(plan.unserved)} unserved", style="red")
    for line in (*_objective_stages(plan), *_totals(plan), *_transition(plan)):
        text.append(f"\n{line}")
    for fact in _facts(whole):
        text.append(f"\n{fact}", style="yellow")
    for stage in plan.stages:
        if not stage.proven:
            text.append(
                f"\npriority {stage.priority}: {stage.not_served_whole} not served whole, "
                f"at least {stage.at_least} proven unavoidable"
            )
    return text


def _proof(plan: FleetPlan) -> str:
    if plan.relative_gap is None:
        return "no bound proven"
    name = f"{plan.objective} {plan.primal_bound:,.4g}"
    if plan.objective in ("cost", "power", "carbon"):
        name = plan.objective
    elif plan.objective_stages:
        name = ", then ".join(stage.minimise for stage in plan.objective_stages)
    given = ""
    if any(allocation.partial for allocation in plan.allocations):
        given = " for the services served whole"
    elif plan.unserved:
        given = " given the unserved services"
    if plan.termination.value == "optimal":
        return f"{name} proven optimal{given} (gap {plan.relative_gap:.4%})"
    return f"{name} at most {plan.relative_gap:.2%} above the best possible{given}"


def _objective_stages(plan: FleetPlan) -> Iterator[str]:
    """Yield what each stage of a lexicographic objective reached."""
    for place, stage in enumerate(plan.objective_stages, start=1):
        proof = "proven least" if stage.proven else "not proven least"
        given = " given the stages before" if place > 1 else ""
        slack = f"; {stage.tolerance:.2%} of it might be given up" if stage.tolerance else ""
        yield f"stage {place}: {stage.minimise} {stage.value:,.4g}, {proof}{given}{slack}"


def _totals(plan: FleetPlan) -> Iterator[str]:
    """Yield power and carbon, where the fleet counts them."""
    if plan.power_kw is not None:
        carbon = plan.carbon_kg_per_hour
        yield f"power {plan.power_kw:,.4g} kW" + (
            "" if carbon is None else f", carbon {carbon:,.4g} kg CO2e/h"
        )


def _transition(plan: FleetPlan) -> Iterator[str]:
    """Yield what changes from today's plan."""
    change = plan.transition
    if change is None:
        return
    names = f" ({_few(change.moved)})" if change.moved else ""
    cost = ""
    if change.cost > 0:
        cost = (
            f"; {change.cost:,.2f} {plan.currency} once, {change.cost_per_hour:,.2f} "
            f"{plan.currency}/h over the horizon"
        )
    ready = f"; ready after {change.ready_after_s:,.0f} s" if change.ready_after_s else ""
    yield (
        f"transition: {len(change.moved)} moved{names}, {change.started} replicas started, "
        f"{change.stopped} stopped{cost}{ready}"
    )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _facts(served: list[Allocation]) -> Iterator[str]:
    """Yield what "served" alone would hide."""
    missing = [a.service for a in served if not a.slo_met]
    refusing = [a.service for a in served if (a.refused_share or 0.0) > _REFUSED]
    admitted: dict[str, float] = {}
    for a in served:
        admitted[a.service] = admitted.get(a.service, 0.0) + a.admitted_rate_rps
    limited = list(
        dict.fromkeys(
            a.service for a in served if admitted[a.service] < a.arrival_rate_rps * (1 - _ROUNDING)
        )
    )
    yield from _estimates(served)
    for names, what in (
        (missing, "predicted to miss an objective"),
        (refusing, f"refusing more than {_REFUSED:.0%} of requests at a full queue"),
        (limited, "sized for less than arrives (a throughput target replaces the load)"),
    ):
        if names:
            yield f"{len(names)} {what}: {_few(names)}"


def _estimates(served: list[Allocation]) -> Iterator[str]:
    """Yield what rests on times that nobody measured."""
    spreads = {a.service: a.log_sd for a in served if a.log_sd is not None}
    if spreads:
        names = list(spreads)
        shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
        yield (
            f"{len(names)} with estimated times, true ones within "
            f"{math.expm1(max(spreads.values())):.0%} two times in three: {shown}"
        )


def _services(plan: FleetPlan, width: int) -> RenderableType:
    hidden = {"class"} if width < _WITH_CLASS else set()
    if width < _WITH_BATCH_AND_LOAD:
        hidden |= {"batch", "load"}
    whole = [a for a in plan.allocations if a.role is not PoolRole.DECODE]
    if len(plan.services_served) == len(whole) and not any(
        a.routes or 0 < a.share < 1 - _ROUNDING for a in plan.allocations
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
    tightest = min(
        a.targets, key=lambda t: float("-inf") if t.margin is None else t.margin, default=None
    )
    replicas = f"{a.replicas}/{a.replicas_needed}" if a.partial else f"{a.replicas}"
    if a.replicas_of is not None:
        replicas = f"those of {a.replicas_of}"
    load = "-" if a.utilization is None else f"{a.utilization:.0%}"
    if not a.stable:
        load = "overload"
    style = "" if a.slo_met else "red"
    return (
        Text(a.service),
        Text(f"{a.service_class} ({a.priority})"),
        Text(_place(a)),
        Text("-" if a.storage is None else _store(a.storage)),
        Text(f"{a.share:.0%}"),
        Text(replicas, style="yellow" if a.partial else ""),
        Text("-" if a.max_batch is None else f"{a.max_batch}"),
        Text(f"{a.cost_per_hour:,.2f}"),
        Text(load),
        Text(number(a.ttft_ms)),
        Text(number(a.itl_ms)),
        Text("-" if tightest is None else _target(tightest), style=style),
        Text(percent(a.margin), style=style),
    )


def _place(a: Allocation) -> str:
    if a.accelerator is None:
        return "none"
    role = "" if a.role is PoolRole.AGGREGATED else f"({a.role})"
    return " ".join(part for part in (a.accelerator, a.configuration, role) if part)


def _store(storage: StorageUse) -> str:
    ratio = storage.recompute_ratio
    return f"{storage.store}, {ratio:.0%} recomputed" if ratio else storage.store


def _target(target: TargetOutcome) -> str:
    sign = "<=" if target.metric.is_latency else ">="
    which = "" if target.statistic == "mean" else f"{target.statistic} "
    return f"{target.metric.value} {which}{sign} {number(target.bound)}"


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
