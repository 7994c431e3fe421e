"""A fleet as it is and as it would be, one line per case."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from optimizer.fleet.difference import difference
from optimizer.fleet.plan import FleetPlan
from optimizer.fleet.uncertainty import UncertainPlan
from optimizer.fleet.whatif import WhatIf
from optimizer.report.difference_text import difference_view
from optimizer.report.figures import money_change
from optimizer.spec.assignment import Assignment

__all__ = ["whatif_view"]


def whatif_view(study: WhatIf) -> RenderableType:
    """Return the view: of one case what it changes, of several a table."""
    heading = Text(_words(study.common), style="bold") if study.common else Text("")
    if len(study.cases) == 1 and not study.cases[0].swept:
        base, plan = study.base, study.cases[0].plan
        if isinstance(base, FleetPlan) and isinstance(plan, FleetPlan):
            return Group(heading, difference_view(difference(base, plan)))
    parts: list[RenderableType] = [heading] if study.common else []
    return Group(*parts, _table(study))


def _words(assignments: Sequence[Assignment]) -> str:
    return ", ".join(map(str, assignments))


def _table(study: WhatIf) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("case", overflow="fold")
    for heading in (f"{study.base.currency}/h", "change", "served", "gap"):
        table.add_column(heading, justify="right")
    table.add_column("services that change", overflow="fold")
    table.add_row(*_cells("as it is", study.base, study.base), style="dim")
    for case in study.cases:
        name = _words(case.swept) or "so changed"
        table.add_row(*_cells(name, case.plan, study.base))
    return Padding(table, (1, 0, 0, 0), expand=False)


def _cells(
    name: str, plan: FleetPlan | UncertainPlan, base: FleetPlan | UncertainPlan
) -> tuple[Text, ...]:
    if not plan.found:
        words = plan.termination.value.replace("_", " ")
        return (Text(name), Text("-"), Text("-"), Text("-"), Text("-"), Text(words, style="red"))
    cost = plan.total_cost_per_hour or 0.0
    partly = {a.service for a in plan.allocations if a.partial}
    some = {a.service for a in plan.allocations}
    whole, everyone = len(some - partly), len(some) + len(plan.unserved)
    served = Text(f"{whole}/{everyone}", style="red" if whole < everyone else "")
    delta = "-"
    changes = Text("")
    if plan is not base and base.found:
        delta = money_change(cost - (base.total_cost_per_hour or 0.0), base.total_cost_per_hour)
        changes = _changes(base, plan)
    gap = "-" if plan.relative_gap is None else f"{plan.relative_gap:.2%}"
    return (Text(name), Text(f"{cost:,.2f}"), Text(delta), served, Text(gap), changes)


def _changes(base: FleetPlan | UncertainPlan, plan: FleetPlan | UncertainPlan) -> Text:
    """Count the changes by kind, as `2 moved, 1 dropped`; of uncertain loads at the costliest."""
    before, after = _deployed(base), _deployed(plan)
    if before is None or after is None:
        return Text("no load is served by all of them", style="red")
    kinds: dict[str, int] = {}
    for service in difference(before, after).services:
        kinds[service.change.value] = kinds.get(service.change.value, 0) + 1
    return Text(", ".join(f"{count} {kind}" for kind, count in kinds.items()))


def _deployed(plan: FleetPlan | UncertainPlan) -> FleetPlan | None:
    """Return the plan of one load; None where replicas that differ by load serve none in full."""
    if isinstance(plan, FleetPlan):
        return plan
    return plan.plan_at() if any(o.plan is not None for o in plan.scenarios) else None
