"""Two plans side by side on one screen of a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from optimizer.fleet.difference import (
    Change,
    Placement,
    PlanDifference,
    ResourceDifference,
    ServiceDifference,
)
from optimizer.fleet.plan import PoolRole
from optimizer.report.figures import money_change

__all__ = ["difference_view", "placement_words"]

_STYLES = {
    Change.DROPPED: "red",
    Change.GONE: "dim",
    Change.SERVED: "green",
    Change.NEW: "green",
    Change.MOVED: "yellow",
}


def difference_view(difference: PlanDifference) -> RenderableType:
    """Return the view: money first, then services, resources and what concerns all."""
    parts: list[RenderableType] = [_verdict(difference)]
    if difference.services:
        parts.append(_services(difference))
    if difference.resources:
        parts.append(_resources(difference.resources))
    if difference.causes:
        lines = "\n".join(f"for all: {cause}" for cause in difference.causes)
        parts.append(Padding(Text(lines, style="dim"), (1, 0, 0, 0), expand=False))
    return Group(*parts)


def _verdict(difference: PlanDifference) -> Text:
    costs = (difference.cost_before, difference.cost_after)
    before, after = ("no plan" if cost is None else f"{cost:,.2f}" for cost in costs)
    text = Text.assemble((f"{before} -> {after} {difference.currency}/h", "bold"))
    if difference.cost_delta_per_hour is not None:
        text.append(f" ({money_change(difference.cost_delta_per_hour, difference.cost_before)})")
    changed, same = len(difference.services), difference.unchanged
    text.append(f"\n{changed} of {changed + same} services changed")
    return text


def _services(difference: PlanDifference) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for heading in ("service", "", "before", "after"):
        table.add_column(heading, overflow="fold")
    table.add_column(f"{difference.currency}/h", justify="right")
    table.add_column("why", overflow="fold")
    for service in difference.services:
        table.add_row(*_service_cells(service))
    return Padding(table, (1, 0, 0, 0), expand=False)


def _service_cells(service: ServiceDifference) -> Iterator[Text]:
    yield Text(service.service)
    yield Text(service.change.value, style=_STYLES.get(service.change, ""))
    yield Text(placements_words(service.before))
    yield Text(placements_words(service.after))
    yield Text(f"{service.cost_delta_per_hour:+,.2f}")
    yield Text("; ".join(service.causes) or "-")


def placements_words(placements: Iterable[Placement]) -> str:
    """Word what serves a service, as `2 x H100 (batch 64) + 1 x L4 (batch 8)`."""
    return " + ".join(map(placement_words, placements)) or "-"


def placement_words(placement: Placement) -> str:
    """Word one placement."""
    if placement.accelerator is None:
        return "scaled to zero"
    batch = "" if placement.max_batch is None else f" (batch {placement.max_batch})"
    place = f"{placement.accelerator} {placement.configuration}".rstrip()
    store = "" if placement.store is None else f" with {placement.store}"
    role = "" if placement.role is PoolRole.AGGREGATED else f" for {placement.role}"
    if placement.replicas_of is not None:
        return f"replicas of {placement.replicas_of} on {place}{batch}"
    shared = f", shared with {', '.join(placement.shared_with)}" if placement.shared_with else ""
    return f"{placement.replicas} x {place}{store}{role}{batch}{shared}"


def _resources(resources: Iterable[ResourceDifference]) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("resource", overflow="fold")
    for heading in ("used before", "now", "limit before", "now"):
        table.add_column(heading, justify="right")
    for resource in resources:
        limits = (resource.capacity_before, resource.capacity_after)
        table.add_row(
            Text(resource.name),
            *(Text(_amount(used)) for used in (resource.used_before, resource.used_after)),
            *(Text("-" if limit is None else _amount(limit)) for limit in limits),
        )
    return Padding(table, (1, 0, 0, 0), expand=False)


def _amount(value: float | None) -> str:
    return "-" if value is None else f"{value:,.6g}"
