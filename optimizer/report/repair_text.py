"""Why not everyone can be served, and what would change it, on one screen of a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from optimizer.fleet.conflict import Conflict, Demand
from optimizer.fleet.elastic import ElasticRepair, Extension
from optimizer.fleet.relaxation import Relaxation, RelaxationKind
from optimizer.fleet.repair import Repair, RepairStudy
from optimizer.report.figures import number

__all__ = ["conflict_lines", "repair_view", "repair_words"]

_DEMANDS = {
    Demand.OBJECTIVES: "within its objectives",
    Demand.MOST_REPLICAS: "by no more replicas than it may have",
    Demand.PINNED: "on the accelerator it is pinned to",
}


def repair_view(study: RepairStudy, currency: str) -> RenderableType:
    """Return the view: the conflict, then the repairs, the cheapest first."""
    if study.feasible is None:
        return Text("time did not tell whether everyone can be served; allow more (--time-limit)")
    if study.feasible:
        return Text("everyone can be served as it is", style="green")
    parts: list[RenderableType] = []
    if study.conflict is not None:
        parts += _conflict(study.conflict)
    if study.repairs:
        parts.append(Text("\nany one of these would let everyone be served:", style="bold"))
        for repair in study.repairs:
            parts.append(_indented(f"- {repair_words(repair, currency)}", 2))
            settings = " ".join(f"--set '{change}'" for change in repair.assignments)
            parts.append(_indented(settings, 4, style="dim"))
    for service, reason in study.beyond:
        parts.append(Text(f"\nno figure repairs {service}: {reason}", style="red"))
    return Group(*parts)


def _conflict(conflict: Conflict) -> Iterator[RenderableType]:
    words = "these cannot be kept together"
    words += ", and each matters:" if conflict.irreducible else " (not all may matter):"
    yield Text(words, style="bold")
    for line in conflict_lines(conflict):
        yield _indented(f"- {line}", 2)


def conflict_lines(conflict: Conflict) -> list[str]:
    """Word the requirements that contradict each other, one a line."""
    lines = []
    for service in conflict.services:
        how = [_DEMANDS[demand] for name, demand in conflict.demands if name == service]
        lines.append(", ".join([f"{service} is served", *how]))
    return [*lines, *(f"the limit of {row}" for row in conflict.rows)]


def _indented(words: str, by: int, style: str = "") -> RenderableType:
    return Padding(Text(words, style=style), (0, 0, 0, by), expand=False)


def repair_words(repair: Repair, currency: str) -> str:
    """Word a repair, as `4 more of H100 (8 -> 12): 18.00 USD/h at the cheapest prices`."""
    parts = [_relaxation(relaxation) for relaxation in repair.relaxations]
    if repair.resources is not None:
        parts.append(_resources(repair.resources, currency))
    return "; ".join(parts)


def _relaxation(relaxation: Relaxation) -> str:
    name, factor = relaxation.service, relaxation.factor
    match relaxation.kind:
        case RelaxationKind.LOAD:
            return f"{name} at {factor:.1%} of its load"
        case RelaxationKind.OBJECTIVES:
            return f"the objectives of {name} (and of its class) {factor:.4g} times as loose"
        case RelaxationKind.MOST_REPLICAS:
            return f"up to {relaxation.assignments[0].value} replicas of {name}"
        case RelaxationKind.PINNED:
            return f"{name} no longer pinned to its accelerator"


def _resources(resources: ElasticRepair, currency: str) -> str:
    listed = ", ".join(map(_extension, resources.extensions))
    proof = "proven least" if resources.proven else f"at least {resources.lower_bound:,.2f} needed"
    return f"{listed}: {resources.price:,.2f} {currency}/h at the cheapest prices, {proof}"


def _extension(extension: Extension) -> str:
    row = extension.requirement
    after = row.capacity + extension.more
    unit = "" if row.kind.is_whole else f" {row.unit}"
    amounts = f"{row.capacity:.6g} -> {after:.6g}{unit}"
    return f"{number(extension.more)}{unit} more of {row.name} ({amounts})"
