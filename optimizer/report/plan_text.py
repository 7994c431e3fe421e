"""A plan on one screen of a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from optimizer.fleet.plan import Allocation, FleetPlan, ResourceUse, TargetOutcome
from optimizer.report.figures import number, percent

__all__ = ["plan_view"]

_BAR_WIDTH = 12


def plan_view(plan: FleetPlan) -> RenderableType:
    """Return the plan: verdict, services with margins, what is impossible, accelerators, notes."""
    parts: list[RenderableType] = [_verdict(plan)]
    if plan.allocations:
        parts.append(_services(plan))
    if plan.unserved:
        parts.append(_unserved(plan))
    if plan.resources:
        parts.append(_resources(plan.resources))
    parts.append(_footnotes(plan))
    return Group(*parts)


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
    served = sum(not a.partial for a in plan.allocations)
    partly = len(plan.allocations) - served
    text.append(f"\n{served} of {len(plan.allocations) + len(plan.unserved)} services served")
    if partly:
        text.append(f", {partly} in part (best effort)", style="yellow")
    if plan.unserved:
        text.append(f", {len(plan.unserved)} unserved", style="red")
    for stage in plan.stages:
        if stage.unserved and not stage.proven:
            text.append(
                f"\npriority {stage.priority}: {stage.unserved:g} not served whole, "
                f"at least {stage.unserved_at_least:g} proven unavoidable"
            )
    return text


def _proof(plan: FleetPlan) -> str:
    if plan.relative_gap is None:
        return "no bound proven"
    name = "cost" if plan.objective == "cost" else f"{plan.objective} {plan.primal_bound:,.4g}"
    given = " given the unserved services" if plan.unserved else ""
    if plan.termination.value == "optimal":
        return f"{name} proven optimal{given} (gap {plan.relative_gap:.4%})"
    return f"{name} at most {plan.relative_gap:.2%} above the best possible{given}"


def _services(plan: FleetPlan) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for heading, justify in (
        ("service", "left"),
        ("class", "left"),
        ("accelerator", "left"),
        ("repl.", "right"),
        ("batch", "right"),
        (f"{plan.currency}/h", "right"),
        ("load", "right"),
        ("TTFT", "right"),
        ("ITL", "right"),
        ("tightest SLO", "left"),
        ("margin", "right"),
    ):
        table.add_column(heading, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for a in plan.allocations:
        table.add_row(*_service_cells(a))
    return Padding(table, (1, 0, 0, 0), expand=False)


def _service_cells(a: Allocation) -> tuple[Text, ...]:
    tightest = min(
        a.targets, key=lambda t: float("-inf") if t.margin is None else t.margin, default=None
    )
    replicas = f"{a.replicas}/{a.replicas_needed}" if a.partial else f"{a.replicas}"
    load = "-" if a.utilization is None else f"{a.utilization:.0%}"
    if not a.stable:
        load = "overload"
    style = "" if a.slo_met else "red"
    return (
        Text(a.service),
        Text(f"{a.service_class} ({a.priority})"),
        Text(a.accelerator or "none"),
        Text(replicas, style="yellow" if a.partial else ""),
        Text("-" if a.max_batch is None else f"{a.max_batch}"),
        Text(f"{a.cost_per_hour:,.2f}"),
        Text(load),
        Text(number(a.ttft_ms)),
        Text(number(a.itl_ms)),
        Text("-" if tightest is None else _target(tightest), style=style),
        Text(percent(a.margin), style=style),
    )


def _target(target: TargetOutcome) -> str:
    sign = "<=" if target.metric.is_latency else ">="
    which = "" if target.statistic == "mean" else f"{target.statistic} "
    return f"{target.metric.value} {which}{sign} {number(target.bound)}"


def _unserved(plan: FleetPlan) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1))
    table.add_column("unserved", style="red", overflow="fold")
    table.add_column("class", overflow="fold")
    table.add_column("why", overflow="fold")
    for service in plan.unserved:
        table.add_row(
            Text(service.service),
            Text(f"{service.service_class} ({service.priority})"),
            Text(service.explanation),
        )
    return Padding(table, (1, 0, 0, 0), expand=False)


def _resources(resources: tuple[ResourceUse, ...]) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1))
    table.add_column("cards", overflow="fold")
    for heading in ("used", "free", "of"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for resource in resources:
        unlimited = resource.capacity is None
        table.add_row(
            Text(resource.name),
            Text(f"{resource.used}"),
            Text("-" if unlimited else f"{resource.free}"),
            Text("no limit" if unlimited else f"{resource.capacity}"),
            Text(_bar(resource)),
        )
    return Padding(table, (1, 0, 0, 0), expand=False)


def _bar(resource: ResourceUse) -> str:
    if not resource.capacity:
        return ""
    filled = round(_BAR_WIDTH * resource.used / resource.capacity)
    return "█" * filled + "░" * (_BAR_WIDTH - filled)


def _footnotes(plan: FleetPlan) -> RenderableType:
    solver = f"solver {plan.solver}" + (f" ({plan.solver_reason})" if plan.solver_reason else "")
    model = f"queue model {plan.queue_model}" + (
        f" ({plan.queue_model_reason})" if plan.queue_model_reason else ""
    )
    lines = [
        "TTFT and ITL are predicted means in ms; load is the share of the batch in use",
        solver,
        model,
        *(f"note: {note}" for note in plan.notes),
    ]
    return Padding(Text("\n".join(lines), style="dim"), (1, 0, 0, 0), expand=False)
