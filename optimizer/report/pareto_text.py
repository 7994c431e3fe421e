"""A Pareto front on one screen of a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from optimizer.fleet.difference import difference
from optimizer.fleet.pareto import ParetoFront, ParetoPoint
from optimizer.fleet.pareto_measure import ParetoMeasure
from optimizer.report.figures import money_change, number

__all__ = ["measure_words", "pareto_view"]

_WORDS = {
    ParetoMeasure.TTFT_MS: "mean TTFT [ms]",
    ParetoMeasure.ITL_MS: "mean ITL [ms]",
    ParetoMeasure.E2E_MS: "mean E2E [ms]",
    ParetoMeasure.POWER_KW: "power [kW]",
    ParetoMeasure.CARBON_KG_PER_HOUR: "carbon [kg CO2e/h]",
    ParetoMeasure.CARDS: "cards",
    ParetoMeasure.MOVES: "services moved",
}


def measure_words(measure: ParetoMeasure) -> str:
    """Word a measure with its unit."""
    return _WORDS[measure]


def pareto_view(front: ParetoFront) -> RenderableType:
    """Return the points by rising cost, and what each changes of the cheapest plan."""
    cheapest = front.points[0]
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in (f"{cheapest.plan.currency}/h", "change", measure_words(front.measure)):
        table.add_column(name, justify="right")
    table.add_column("proven")
    table.add_column("services that change", overflow="fold")
    for point in front.points:
        table.add_row(*_cells(point, cheapest))
    extent = "all of them" if front.complete else "some of them; more with --points"
    heading = Text(f"plans of which none is better in both ({extent})", style="bold")
    return Group(heading, Padding(table, (1, 0, 0, 0), expand=False))


def _cells(point: ParetoPoint, cheapest: ParetoPoint) -> tuple[Text, ...]:
    change, moved = "-", ""
    if point is not cheapest:
        delta = point.cost_per_hour - cheapest.cost_per_hour
        change = money_change(delta, cheapest.cost_per_hour)
        services = [s.service for s in difference(cheapest.plan, point.plan).services]
        moved = ", ".join(services[:4]) + (f" and {len(services) - 4} more" if services[4:] else "")
    return (
        Text(f"{point.cost_per_hour:,.2f}"),
        Text(change),
        Text(number(point.value)),
        Text("yes" if point.proven else "no"),
        Text(moved),
    )
