"""What the controller saw and did, and what a run of its laboratory came to."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from optimizer.control.controller import Cycle
from optimizer.control.lab import LabResult
from optimizer.report.figures import number

__all__ = ["cycle_line", "cycle_view", "lab_view"]


def cycle_line(cycle: Cycle) -> str:
    """Return a cycle in one line, for a log."""
    decision = cycle.decision
    orders = ", ".join(
        f"{one.order}{'' if one.done else f' {one.result}'}" for one in cycle.outcomes
    )
    troubles = [
        f"{condition.type}=False {condition.reason}"
        + (f": {condition.message}" if condition.message else "")
        for condition in cycle.status.conditions
        if not condition.status
    ]
    parts = [f"cycle {decision.cycle} ({decision.trigger})", orders or "no change", *troubles]
    return "; ".join(parts)


def cycle_view(cycle: Cycle, currency: str) -> RenderableType:
    """Return a cycle as a table of its services, with the conditions that do not hold."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in ("service", "variant"):
        table.add_column(heading, overflow="fold")
    for heading in ("seen/s", "planned/s", "now", "proposed", "target"):
        table.add_column(heading, justify="right")
    table.add_column("held back by", overflow="fold")
    for service in cycle.decision.services:
        for place, one in enumerate(service.variants or (None,)):
            first = place == 0
            name = "" if one is None else str(one.variant).removeprefix(f"{service.service} on ")
            counts = ("-",) * 3 if one is None else (one.before, one.proposed, one.target)
            clamps = ", ".join(service.clamps)
            table.add_row(
                service.service if first else "",
                name,
                number(service.observed_rps) if first else "",
                number(service.planned_rps) if first else "",
                *map(str, counts),
                clamps + ("" if service.served else " not served whole") if first else "",
            )
    cost = f"{cycle.decision.cost_per_hour:,.2f} {currency}/h when all of it runs"
    return Group(table, Text(cost), Text(cycle_line(cycle)))


def lab_view(result: LabResult) -> RenderableType:
    """Return every run of a scenario as a row."""
    hours = result.duration_s / 3600.0
    heading = f"{result.scenario}: {hours:g} h of {result.fleet}, {result.simulator} simulation"
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("policy", no_wrap=True)
    for name in (
        "attainment",
        "violating min",
        "GPU-hours",
        "cost",
        "changes",
        "reversals",
        "recovery s",
    ):
        table.add_column(name, justify="right")
    table.add_column("settings", overflow="fold")
    for run in result.runs:
        score = run.score
        table.add_row(
            run.policy,
            f"{score.attainment:.2%}",
            f"{score.violating_minutes:,.0f}",
            f"{score.gpu_hours:,.1f}",
            f"{score.cost:,.0f}",
            f"{score.changes:,}",
            f"{score.reversals:,}",
            ", ".join(f"{time:.0f}" for time in score.recovery_s) or "-",
            run.settings,
        )
    return Group(Text(heading, style="bold"), table)
