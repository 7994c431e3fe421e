"""A plan over periods: what it comes to, and the replicas of every service through time."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from optimizer.fleet.horizon import HorizonPlan, PeriodAllocation
from optimizer.report.plan_words import period_place

__all__ = ["horizon_view"]

# More periods than this are shown a screen's width at a time.
_ACROSS = 24


def horizon_view(plan: HorizonPlan) -> RenderableType:
    """Return the view: verdict, money by what it is for, replicas that serve by period."""
    if not plan.found:
        words = plan.termination.value.replace("_", " ")
        return Text.assemble((f"{plan.fleet}: ", "bold"), (words, "bold red"), f"\n{plan.detail}")
    parts: list[RenderableType] = [_verdict(plan)]
    for first in range(0, len(plan.periods), _ACROSS):
        parts.append(_replicas(plan, range(first, min(first + _ACROSS, len(plan.periods)))))
    unserved = [f"{name} in {p.name}" for p in plan.periods for name in p.unserved]
    if unserved:
        shown = ", ".join(unserved[:6]) + (", ..." if len(unserved) > 6 else "")
        parts.append(Text(f"\nunserved: {shown}", style="red"))
    return Group(*parts)


def _verdict(plan: HorizonPlan) -> Text:
    cost = plan.cost
    assert cost is not None
    text = Text(f"{plan.fleet}: ", style="bold")
    text.append(f"{plan.total_cost:,.2f} {plan.currency} over {len(plan.periods)} periods")
    gap = "no bound proven" if plan.relative_gap is None else f"gap {plan.relative_gap:.4%}"
    text.append(f", {plan.termination.value}, {gap}\n", style="not bold")
    named = {
        "running": cost.running, "committed": cost.committed, "starts": cost.starts,
        "stops": cost.stops, "moves": cost.moves,
    }  # fmt: skip
    split = ", ".join(f"{name} {value:,.2f}" for name, value in named.items() if value)
    text.append(split or "nothing to pay", style="not bold")
    for commitment in plan.commitments:
        text.append(
            f"\ncommitted: {commitment.instances} {commitment.accelerator} at "
            f"{commitment.cost_per_hour:,.2f} {plan.currency}/h",
            style="not bold",
        )
    return text


def _replicas(plan: HorizonPlan, places: range) -> RenderableType:
    """Return serving replicas, a column per period; `+n` are starting, `=` another service's."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    table.add_column("service", overflow="fold")
    table.add_column("accelerator", overflow="fold")
    for t in places:
        table.add_column(plan.periods[t].name, justify="right", overflow="fold")
    lines: dict[tuple[str, str], dict[int, PeriodAllocation]] = {}
    for t in places:
        for a in plan.periods[t].allocations:
            lines.setdefault((a.service, period_place(a)), {})[t] = a
    for (service, place), cells in sorted(lines.items()):
        table.add_row(Text(service), Text(place), *(_cell(cells.get(t)) for t in places))
    return Padding(table, (1, 0, 0, 0), expand=False)


def _cell(allocation: PeriodAllocation | None) -> Text:
    if allocation is not None and allocation.carries and allocation.replicas_of is not None:
        return Text("=")
    if allocation is None or not allocation.serving + allocation.starting:
        return Text("-")
    more = f"+{allocation.starting}" if allocation.starting else ""
    return Text(f"{allocation.serving}{more}", style="" if allocation.carries else "dim")
